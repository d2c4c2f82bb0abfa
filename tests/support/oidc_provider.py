"""node's oidc-provider as an OpenID provider: another code base's OpenID Connect, installed once under var/."""

from __future__ import annotations

import fcntl
import html
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from tests.support.servers import HOST, end_process, free_port, listening, wait_until

PACKAGE = "oidc-provider@8.8.1"
"""The last release that runs on Node 18, which Debian 12 has."""
CACHE = Path(__file__).parents[2] / "var" / PACKAGE.replace("@", "-")
SECRET = "a client's secret, in tests only: %/+ &"
SECONDS = 60.0
USERS: dict[str, dict[str, Any]] = {
    "ada": {
        "email": "Ada@Example.org",
        "email_verified": True,
        "given_name": "Ada",
        "family_name": "Lovelace",
        "groups": ["staff", "mathematics"],
        "schac_home_organization": "northwind.example",
    },
    "grace": {"email": "grace@example.org", "name": "Grace Hopper"},
    "unverified": {"email": "boss@example.org", "email_verified": False},
    "nameless": {"name": "Nobody"},
}
_SERVER = """
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const findAccount = async (_context, id) => (
  settings.users[id] && { accountId: id, claims: async () => ({ sub: id, ...settings.users[id] }) }
);
const provider = new Provider(settings.issuer, { ...settings.configuration, findAccount });
provider.listen(settings.port, settings.host);
"""


@dataclass
class OpenIdProvider:
    """A running provider, and a person's browser on its pages."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def issuer(self) -> str:
        return f"http://{HOST}:{self.port}"

    def sign_in(self, address: str, user: str, browser: httpx.Client | None = None) -> str:
        """A person follows `address` there, signs in and consents; the address that their browser is sent back to."""
        with browser or httpx.Client(timeout=SECONDS) as http:
            answer = http.get(address)
            for _ in range(12):
                if answer.is_redirect:
                    onward = urljoin(str(answer.url), answer.headers["location"])
                    if not onward.startswith(self.issuer):
                        return onward
                    answer = http.get(onward)
                    continue
                action = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
                assert action, answer.text
                prompt = "login" if 'name="login"' in answer.text else "consent"
                fields = {"prompt": prompt} | ({"login": user, "password": "x"} if prompt == "login" else {})
                answer = http.post(urljoin(str(answer.url), html.unescape(action[1])), data=fields)
            raise AssertionError(answer.text)


def installed() -> Path:
    """The folder of the package, installed if it is not."""
    CACHE.parent.mkdir(exist_ok=True)
    with (CACHE.parent / f"{CACHE.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / "node_modules" / "oidc-provider" / "package.json").exists():
            CACHE.mkdir(exist_ok=True)
            (CACHE / "package.json").write_text('{"private": true, "type": "module"}')
            subprocess.run(
                ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE],
                cwd=CACHE, check=True, capture_output=True, timeout=300,
            )  # fmt: skip
    return CACHE


@contextmanager
def openid_provider(folder: Path, *redirect_uris: str, **configuration: Any) -> Iterator[OpenIdProvider]:
    """A provider with two clients of ours, until the block ends: "keystead" with `SECRET`, "public" without."""
    folder.mkdir(parents=True)
    provider = OpenIdProvider(folder)
    common = {"redirect_uris": list(redirect_uris), "grant_types": ["authorization_code"], "response_types": ["code"]}
    settings = {
        "issuer": provider.issuer,
        "host": HOST,
        "port": provider.port,
        "users": USERS,
        "configuration": {
            "clients": [
                common | {"client_id": "keystead", "client_secret": SECRET},
                common | {"client_id": "public", "token_endpoint_auth_method": "none"},
            ],
            "claims": {
                "openid": ["sub"],
                "email": ["email", "email_verified"],
                "profile": ["name", "given_name", "family_name", "groups", "schac_home_organization"],
            },
            "cookies": {"keys": ["for tests only"]},
        }
        | configuration,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    server = installed() / "server.mjs"
    server.write_text(_SERVER)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(["node", str(server), str(folder / "settings.json")], stdout=log, stderr=log)
        try:
            wait_until(lambda: listening(provider.port), "oidc-provider listens", SECONDS)
            yield provider
        finally:
            end_process(process)
