"""The agent's settings and policy: an administrator's TOML file, then `KEYSTEAD_AGENT_…` variables. The one home of
`os.environ`.

A policy that the file sets (`servers`, `allow_software_key`) cannot be loosened by a variable.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from keystead_agent.errors import PolicyRefused, SettingsInvalid

PREFIX = "KEYSTEAD_AGENT_"
DEFAULT_FILE = Path("/etc/keystead/agent.toml")
POLICY = ("servers", "allow_software_key")
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def origin_of(server: str) -> str:
    """`server` as a plain origin (RFC 6454): scheme, host, port if it is not the scheme's own. Raises ValueError."""
    parts = urlsplit(server.strip())
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"{server!r} is not a server's address such as https://enroll.example.org")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{server!r} has more in it than a scheme, a host and a port")
    if parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        raise ValueError(f"{server!r} is not encrypted: http is accepted only for this machine itself, use https")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else _a_labels(parts.hostname)
    port = parts.port
    standard = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, standard) else "")


def _a_labels(host: str) -> str:
    """The host name in A-labels (RFC 5890): what looks like another name shows that it is not. Raises ValueError."""
    name = host
    if not host.isascii():
        import idna

        try:
            name = idna.encode(host, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"{host!r} is not a host name: {error}") from error
    if not HOST_NAME.fullmatch(name):
        raise ValueError(f"{host!r} is not a host name")
    return name


def _split(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    path = path.expanduser()
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _readable(path: Path) -> Path:
    path = _absolute(path)
    if not path.is_file():
        raise ValueError("names no file")
    return path


class Settings(BaseModel):
    """What the agent runs with. `servers` lists the origins that may use this machine; empty means any, after asking.
    `tcti` is a tpm2-tss TCTI ("device:/dev/tpmrm0", "swtpm:host=…,port=…"). `allow_software_key` lets a server ask
    for a key in a file where there is no TPM. `ca_file` holds further TLS roots (PEM)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state_dir: Annotated[Path, AfterValidator(_absolute)]
    servers: Annotated[tuple[Annotated[str, AfterValidator(origin_of)], ...], BeforeValidator(_split)] = ()
    tcti: Annotated[str, Field(pattern=r"^[a-z-]+(:.*)?$")] = "device:/dev/tpmrm0"
    allow_software_key: bool = False
    ca_file: Annotated[Path, AfterValidator(_readable)] | None = None

    def require_allowed(self, origin: str) -> None:
        """Raises PolicyRefused unless policy lets the server at `origin` use this machine."""
        if self.servers and origin not in self.servers:
            raise PolicyRefused(
                f"{origin} is not a server that this computer's policy allows",
                f"Allowed: {', '.join(self.servers)}. An administrator can add it to `servers`.",
            )


def load_settings(environ: Mapping[str, str] | None = None, *, is_root: bool | None = None) -> Settings:
    """The settings from `environ` (the process's own by default) and the file that it names. Raises SettingsInvalid
    with every mistake in one list."""
    environ = os.environ if environ is None else environ
    is_root = os.geteuid() == 0 if is_root is None else is_root
    mistakes: list[str] = []
    file = Path(environ.get(f"{PREFIX}CONFIG", DEFAULT_FILE))
    from_file = _read_file(file, f"{PREFIX}CONFIG" in environ, mistakes)
    values: dict[str, Any] = {"state_dir": _default_state_dir(environ, is_root), **from_file}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == f"{PREFIX}CONFIG":
            continue
        field = name.removeprefix(PREFIX).lower()
        if field not in Settings.model_fields:
            mistakes.append(f"{name}: there is no such setting")
        elif field in POLICY and field in from_file:
            mistakes.append(f"{name}: the policy in {file} sets this already")
        else:
            values[field] = environ[name]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for item in error.errors():
            field = str(item["loc"][0])
            where = f"{file}: {field}" if field in from_file else f"{PREFIX}{field.upper()}"
            mistakes.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
    if mistakes:
        raise SettingsInvalid(
            "the settings cannot be used:\n" + "\n".join(f"  {mistake}" for mistake in mistakes),
            f"Settings are {', '.join(sorted(Settings.model_fields))}.",
        )
    return settings


def silence_tss_log() -> None:
    """Keeps libtss2 from writing its own lines to stderr; the agent says the same in words. A value that is set
    already wins."""
    os.environ.setdefault("TSS2_LOG", "all+NONE")


def _default_state_dir(environ: Mapping[str, str], is_root: bool) -> Path:
    if is_root:
        return Path("/var/lib/keystead")
    data = environ.get("XDG_DATA_HOME") or f"{environ.get('HOME', '~')}/.local/share"
    return Path(data) / "keystead"


def _read_file(file: Path, named: bool, mistakes: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            mistakes.append(f"{file}: no such file")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mistakes.append(f"{file}: {error}")
    return {}
