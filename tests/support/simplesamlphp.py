"""SimpleSAMLphp as an identity provider: another code base's SAML, on PHP's own web server, in a temporary folder."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx
from tests.support.servers import HOST, end_process, free_port, listening, wait_until

from keystead_auth.adapters.saml_keys import write_saml_key

PROGRAM = Path("/usr/share/simplesamlphp/www")
USERS: dict[str, dict[str, list[str]]] = {
    "ada": {
        "uid": ["ada"],
        "mail": ["Ada@Example.org"],
        "givenName": ["Ada"],
        "sn": ["Lovelace"],
        "schacHomeOrganization": ["northwind.example"],
        "isMemberOf": ["staff", "mathematics"],
    },
    "guest": {
        "mail": ["guest@example.org"],
        "schacHomeOrganization": ["northwind.example"],
        "isMemberOf": ["visitors"],
    },
    "nameless": {"uid": ["nameless"]},
    "entra": {
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": ["grace@example.org"],
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": ["Grace"],
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname": ["Hopper"],
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name": ["grace@contoso.example"],
        "http://schemas.microsoft.com/identity/claims/displayname": ["Rear Admiral Grace Hopper"],
        "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups": ["7f3c6f0e-53a5-4b6b-8d5c-9d1a2f4f6a10"],
    },
}
PASSWORD = "in-a-test-only"
SECONDS = 60.0


@dataclass
class IdentityProvider:
    """A running identity provider, and a person's browser on its pages."""

    folder: Path
    port: int
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def entity_id(self) -> str:
        return f"{self.origin}/idp"

    @property
    def metadata_url(self) -> str:
        return f"{self.origin}/saml2/idp/metadata.php"

    def metadata(self) -> str:
        answer = httpx.get(self.metadata_url, timeout=SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.text

    def know(self, entity_id: str, acs: str, certificate: str, **settings: Any) -> None:
        """Has it answer this service provider. `settings` as in SimpleSAMLphp's saml20-sp-remote."""
        service = {"Binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", "Location": acs, "index": 0}
        keys = [{"type": "X509Certificate", "encryption": True, "signing": True, "X509Certificate": certificate}]
        self.peers[entity_id] = {"AssertionConsumerService": [service], "keys": keys} | settings
        lines = [f"$metadata[{_php(name)}] = {_php(peer)};" for name, peer in self.peers.items()]
        (self.folder / "metadata" / "saml20-sp-remote.php").write_text("\n".join(["<?php", *lines, ""]))

    def hosted(self, **settings: Any) -> None:
        """Configures the identity provider itself, as in SimpleSAMLphp's saml20-idp-hosted."""
        values = {
            "host": "__DEFAULT__",
            "privatekey": "idp.key.pem",
            "certificate": "idp.crt.pem",
            "auth": "people",
            "signature.algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "attributes.NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
        } | settings
        text = f"<?php\n$metadata[{_php(self.entity_id)}] = {_php(values)};\n"
        (self.folder / "metadata" / "saml20-idp-hosted.php").write_text(text)

    def sign_in(self, address: str, user: str, browser: httpx.Client | None = None) -> dict[str, str]:
        """A person follows `address` there and signs in; the fields that their browser then brings back."""
        with browser or httpx.Client(follow_redirects=True, timeout=SECONDS) as http:
            page = http.get(address)
            return self._past_password(http, page, user)

    def unasked(self, sp: str, user: str, relay_state: str = "") -> dict[str, str]:
        """A person begins at the identity provider; the fields that their browser brings."""
        query = {"spentityid": sp} | ({"RelayState": relay_state} if relay_state else {})
        return self.sign_in(f"{self.origin}/saml2/idp/SSOService.php?{urlencode(query)}", user)

    def sign_in_by_post(self, page: str, fields: dict[str, str], user: str) -> dict[str, str]:
        """A person presses the button of our page, which sends the request, and signs in."""
        action = re.search(r'<form method="post" action="([^"]+)"', page)
        assert action
        with httpx.Client(follow_redirects=True, timeout=SECONDS) as http:
            return self._past_password(http, http.post(html.unescape(action[1]), data=fields), user)

    @staticmethod
    def _past_password(http: httpx.Client, page: httpx.Response, user: str) -> dict[str, str]:
        state = re.search(r'name="AuthState" value="([^"]+)"', page.text)
        assert state, page.text
        action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
        page = http.post(
            urljoin(str(page.url), html.unescape(action[1]) if action else ""),
            data={"AuthState": html.unescape(state[1]), "username": user, "password": PASSWORD},
        )
        return hidden_fields(page.text)


def hidden_fields(page: str, among: str = "SAMLResponse") -> dict[str, str]:
    """The hidden fields of a page's form, which has one named `among`."""
    found = {}
    for field_ in re.findall(r"<input[^>]*>", page):
        name, value = (re.search(rf'{each}="([^"]*)"', field_) for each in ("name", "value"))
        if name and value and 'type="hidden"' in field_:
            found[html.unescape(name[1])] = html.unescape(value[1])
    assert among in found, page
    return found


@contextmanager
def simplesamlphp(folder: Path) -> Iterator[IdentityProvider]:
    """An identity provider that knows `USERS`, until the block ends."""
    for each in ("config", "metadata", "cert", "log", "data", "tmp", "sessions"):
        (folder / each).mkdir(parents=True)
    port = free_port()
    provider = IdentityProvider(folder, port)
    write_saml_key(folder / "cert" / "idp.key.pem", folder / "cert" / "idp.crt.pem", "idp.test")
    config = {
        "baseurlpath": f"{provider.origin}/",
        "certdir": f"{folder}/cert/",
        "loggingdir": f"{folder}/log/",
        "datadir": f"{folder}/data/",
        "tempdir": f"{folder}/tmp",
        "secretsalt": "a salt for tests only, 0123456789abcdef",
        "auth.adminpassword": "an administrator's, for tests only",
        "technicalcontact_email": "nobody@idp.test",
        "timezone": "UTC",
        "logging.handler": "file",
        "logging.level": 7,
        "enable.saml20-idp": True,
        "module.enable": {"exampleauth": True, "core": True, "saml": True},
        "session.cookie.secure": False,
        "session.cookie.samesite": None,
        "store.type": "phpsession",
        "session.phpsession.savepath": f"{folder}/sessions",
        "metadatadir": f"{folder}/metadata",
        "metadata.sources": [{"type": "flatfile", "directory": f"{folder}/metadata"}],
        "admin.checkforupdates": False,
        "trusted.url.domains": [],
    }
    people: dict[str, Any] = {f"{name}:{PASSWORD}": attributes for name, attributes in USERS.items()}
    sources = {"people": {"0": "exampleauth:UserPass"} | people}
    (folder / "config" / "config.php").write_text(f"<?php\n$config = {_php(config)};\n")
    (folder / "config" / "authsources.php").write_text(f"<?php\n$config = {_php(sources)};\n")
    (folder / "metadata" / "saml20-sp-remote.php").write_text("<?php\n")
    provider.hosted()
    cache = ("opcache.enable_cli=1", "opcache.revalidate_freq=0")  # a test's metadata count at once
    options = []
    for setting in (*cache, "display_errors=0", f"error_log={folder}/php.log"):
        options += ["-d", setting]
    environment = os.environ | {"SIMPLESAMLPHP_CONFIG_DIR": f"{folder}/config"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["php", *options, "-S", f"{HOST}:{port}", "-t", str(PROGRAM)], env=environment, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: listening(port), "SimpleSAMLphp listens")
            yield provider
        finally:
            end_process(process)


def _php(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int():
            return str(value)
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case Mapping():
            return "[" + ", ".join(f"{_php_key(key)} => {_php(item)}" for key, item in value.items()) + "]"
        case list():
            return "[" + ", ".join(_php(item) for item in value) + "]"
    raise TypeError(value)


def _php_key(key: str) -> str:
    return key if key.isdigit() else _php(key)
