"""auth as a SAML service provider beside a real identity provider, and a browser between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import select
from tests.integration.auth_support import FORM, ORIGIN, Auth, Browser, published, running_auth
from tests.support.kept import process_folder
from tests.support.simplesamlphp import IdentityProvider

from keystead_auth.adapters import tables
from keystead_auth.adapters.saml_keys import SamlKey, write_saml_key
from keystead_auth.worker import duties
from keystead_contracts.identity import IDENTITY_AUDIENCE, IDENTITY_ISSUER, IdentityClaims, SignInMethod
from keystead_contracts.people import IdentityProviderKind, IdentityProviderPublished
from keystead_kit.secrets import new_token

SP = f"{ORIGIN}/auth/saml/metadata"
ACS = f"{ORIGIN}/auth/saml/acs"
NOTHING: Mapping[str, Any] = MappingProxyType({})
FRONT_DOOR = f"/auth/sign-in/{FORM}"


@contextmanager
def saml_auth(database_url: str, redis_url: str, folder: Path, **settings: Any) -> Iterator[Auth]:
    """auth with a SAML key, whose form offers identity providers alone."""
    files = dict(zip(("saml_key_file", "saml_certificate_file"), _key_pair(), strict=True))
    with running_auth(database_url, redis_url, folder, **files | settings) as auth:
        auth.take(published(version=2, methods=[SignInMethod.IDP], organization_ids=["northwind"]))
        yield auth


@cache
def _key_pair() -> tuple[Path, Path]:
    """The files of a key and its certificate, the same for every test: making one takes seconds."""
    key, certificate = process_folder() / "saml.key.pem", process_folder() / "saml.crt.pem"
    write_saml_key(key, certificate, "keystead.test")
    return key, certificate


def provider_fact(id: str = "idp1", version: int = 1, **changes: Any) -> IdentityProviderPublished:
    """An identity provider as enroll publishes it."""
    return IdentityProviderPublished(
        identity_provider_id=id, version=version, name="Northwind", kind=IdentityProviderKind.SAML
    ).model_copy(update=changes)


def certificate(auth: Auth) -> str:
    """auth's own SAML certificate, base64."""
    return auth.parts.settings.saml_keys[0].certificate


def introduce(
    auth: Auth, idp: IdentityProvider, fact: IdentityProviderPublished | None = None, sp: Mapping[str, Any] = NOTHING
) -> None:
    """Makes the two know each other. `sp`: what else the provider is told of auth."""
    idp.know(SP, ACS, certificate(auth), **sp)
    auth.take(fact or provider_fact(metadata_url=idp.metadata_url))
    read_providers(auth)


def read_providers(auth: Auth) -> None:
    """The worker reads the metadata that is due."""
    while duties(auth.worker)["providers"]():
        pass


def checks(auth: Auth) -> list[dict[str, Any]]:
    """The IdentityProviderChecked facts in the outbox, oldest first."""
    table = tables.outbox.table
    with auth.parts.database.read() as session:
        rows = session.execute(select(table.c.fact).order_by(table.c.recorded_at)).all()
    return [row.fact for row in rows if row.fact["type"] == "identity_provider_checked"]


def begin(browser: Browser, id: str = "idp1", form: str = FORM) -> str:
    """Chooses the provider; the address that the browser is sent to."""
    answer = browser.get(f"/auth/saml/{id}/sign-in?form={form}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def bring(auth: Auth, fields: dict[str, str]) -> httpx.Response:
    """The provider's page posts to us: from another site, so without our cookies and with a foreign Origin."""
    carrier = auth.browser()
    return carrier.post("/auth/saml/acs", origin="https://idp.example", **fields)


def sign_in(auth: Auth, idp: IdentityProvider, browser: Browser, user: str = "ada", id: str = "idp1") -> httpx.Response:
    """The whole way."""
    answer = bring(auth, idp.sign_in(begin(browser, id), user))
    assert answer.status_code == 303, answer.text
    return browser.get(answer.headers["location"])


def claims(auth: Auth, browser: Browser) -> IdentityClaims:
    token = browser.cookie("keystead_identity")
    assert token
    return IdentityClaims.model_validate(
        auth.verifier.verify(token, issuer=IDENTITY_ISSUER, audience=IDENTITY_AUDIENCE)
    )


def relay_state(address: str) -> str:
    return parse_qs(urlsplit(address).query)["RelayState"][0]


def next_key(folder: Path) -> dict[str, Path]:
    """Settings that name another key, which is to follow the present one."""
    key, certificate_file = folder / "next.key.pem", folder / "next.crt.pem"
    write_saml_key(key, certificate_file, "keystead.test")
    return {"saml_next_key_file": key, "saml_next_certificate_file": certificate_file}


def certificate_in(path: dict[str, Path]) -> str:
    return SamlKey.from_files(path["saml_next_key_file"], path["saml_next_certificate_file"]).certificate


def stranger(auth: Auth) -> Browser:
    """A browser with a visit of its own."""
    browser = auth.browser("192.0.2.66")
    browser.http.cookies.set("keystead_auth_visit", new_token())
    return browser
