"""Speaks to the API of a server: one connection, refusals and silence as exceptions of their own."""

from __future__ import annotations

import os
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from keystead_contracts.problems import PROBLEM_MEDIA_TYPE

PREFIX = "/api/v1"
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0
PAGE_ROWS = 200


class RemoteError(Exception):
    """What went wrong, and what to do about it."""

    def __init__(self, detail: str, advice: str = "", fields: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.advice, self.fields = detail, advice, dict(fields or {})


class NotConfigured(RemoteError):
    """No server or no token is named."""


class NotReachable(RemoteError):
    """The server does not answer, or not as one of ours."""


class Refused(RemoteError):
    """The server refuses. `status` is the HTTP status."""

    def __init__(self, status: int, detail: str, advice: str, fields: Mapping[str, str]) -> None:
        super().__init__(detail, advice, fields)
        self.status = status


@dataclass(frozen=True)
class Access:
    """Which server, and with what."""

    server: str
    token: str = field(repr=False)
    ca_file: Path | None = None


def config_file() -> Path:
    """Where `keystead login` keeps its access: `$XDG_CONFIG_HOME/keystead/access.toml`."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "keystead" / "access.toml"


def find_access(environment: Mapping[str, str], config: Path) -> Access:
    """The access that KEYSTEAD_URL with KEYSTEAD_TOKEN or KEYSTEAD_TOKEN_FILE names, else the one of `keystead login`.

    Raises NotConfigured.
    """
    kept = _kept(config)
    server = environment.get("KEYSTEAD_URL") or kept.get("server", "")
    token = environment.get("KEYSTEAD_TOKEN", "")
    file = environment.get("KEYSTEAD_TOKEN_FILE", "")
    if not token and file:
        try:
            token = Path(file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            unreadable = f"KEYSTEAD_TOKEN_FILE {file} cannot be read."
            raise NotConfigured(unreadable, "Name a file with one token in it.") from error
    if not token and server == kept.get("server"):
        token = kept.get("token", "")
    if not server or not token:
        raise NotConfigured(
            "No server is known." if not server else f"There is no token for {server}.",
            "Run `keystead login https://enroll.example.org`, or set KEYSTEAD_URL and KEYSTEAD_TOKEN_FILE.",
        )
    ca_file = environment.get("KEYSTEAD_CA_FILE") or kept.get("ca_file")
    return Access(server.rstrip("/"), token, Path(ca_file) if ca_file else None)


def keep_access(access: Access, config: Path) -> None:
    """Writes the file of `find_access`, readable by its owner alone."""
    config.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [f'server = "{access.server}"', f'token = "{access.token}"']
    if access.ca_file:
        lines.append(f"ca_file = '{access.ca_file}'")
    fresh = config.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(config)


def _kept(config: Path) -> dict[str, str]:
    try:
        return {name: str(value) for name, value in tomllib.loads(config.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NotConfigured(f"{config} cannot be read.", "Delete it and run `keystead login` again.") from error


class Remote:
    """The API of one server."""

    def __init__(self, access: Access, transport: httpx.BaseTransport | None = None) -> None:
        self.access = access
        verify: ssl.SSLContext | bool = True
        if access.ca_file:
            verify = ssl.create_default_context(cafile=str(access.ca_file))
        self._http = httpx.Client(
            base_url=access.server,
            headers={"authorization": f"Bearer {access.token}", "accept": "application/json"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            verify=verify,
            transport=transport,
        )

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """The JSON that one request is answered with; None if there is none. Raises Refused, NotReachable."""
        response = self._send(method, path, **kwargs)
        if not response.content:
            return None
        kind = response.headers.get("content-type", "")
        return response.json() if kind.startswith("application/json") else response.content

    def pages(self, path: str, params: Mapping[str, Any], most: int | None) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page, at most `most` of them."""
        after: str | None = None
        left = most
        while left is None or left > 0:
            limit = PAGE_ROWS if left is None else min(PAGE_ROWS, left)
            page = self.call("GET", path, params={**params, "limit": limit} | ({"after": after} if after else {}))
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            after = page.get("next")
            if after is None:
                return

    def fresh(self, path: str, etag: str) -> tuple[Any, str]:
        """The JSON at `path` and its ETag; None and the same one if that was `etag`. Raises Refused, NotReachable."""
        response = self._send("GET", path, headers={"if-none-match": etag} if etag else {})
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None, etag
        return response.json(), response.headers.get("etag", "")

    def upload(self, path: str, params: Mapping[str, Any], content: Iterator[bytes], kind: str) -> tuple[int, Any]:
        """Sends octets as they come; the answer's status and JSON. Raises Refused, NotReachable."""
        response = self._send("POST", path, params=params, content=content, headers={"content-type": kind})
        return response.status_code, response.json()

    def stream(self, path: str, params: Mapping[str, Any]) -> Iterator[bytes]:
        """The octets of a download, as they come."""
        try:
            with self._http.stream("GET", f"{PREFIX}{path}", params=params) as response:
                if response.status_code != 200:
                    response.read()
                    raise _refusal(response)
                yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise self._silence(error) from error

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        try:
            response = self._http.request(method, f"{PREFIX}{path}", **kwargs)
        except httpx.HTTPError as error:
            raise self._silence(error) from error
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return response
        raise _refusal(response)

    def _silence(self, error: httpx.HTTPError) -> NotReachable:
        reason = str(error).strip() or type(error).__name__
        return NotReachable(
            f"{self.access.server} cannot be reached: {reason}.",
            "See whether the address is right and the server runs. For a CA of your own set KEYSTEAD_CA_FILE.",
        )


def _refusal(response: httpx.Response) -> RemoteError:
    if not response.headers.get("content-type", "").startswith(PROBLEM_MEDIA_TYPE):
        return NotReachable(
            f"The answer ({response.status_code}) is none of a Keystead server.", "See whether the address is right."
        )
    problem = response.json()
    reference = (
        f" (reference {problem['reference']})" if response.status_code >= 500 and problem.get("reference") else ""
    )
    return Refused(
        response.status_code,
        f"{problem.get('detail') or problem.get('title', 'refused')}{reference}",
        problem.get("advice", ""),
        problem.get("fields") or {},
    )
