"""An administrator at auth's pages, for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pyotp
from sqlalchemy import select
from tests.integration.auth_support import Auth, Browser

from keystead_auth.adapters import tables
from keystead_auth.web import administrators as pages
from keystead_contracts.identity import ADMINISTRATOR_AUDIENCE, IDENTITY_ISSUER, AdministratorClaims
from keystead_contracts.people import AdministratorMethod, AdministratorPublished

CONSOLE_PAGE = pages.CONSOLE

BASE = "/auth/administrators"
SIGN_IN, CODE, AUTHENTICATOR = f"{BASE}/sign-in", f"{BASE}/code", f"{BASE}/authenticator"
FORGOT, PASSWORD, RECOVERY = f"{BASE}/forgot", f"{BASE}/password", f"{BASE}/recovery-codes"
EMAIL, SECRET = "grace@example.org", "four calm horses swim"
SESSION, HALF, CONSOLE = (
    "keystead_auth_administrator_session",
    "keystead_auth_administrator_step",
    "keystead_administrator",
)


def administrator(**changes: Any) -> AdministratorPublished:
    """The administrator of the tests, invited."""
    fact = AdministratorPublished(
        administrator_id="a" * 32, version=1, email=EMAIL, name="Grace Hopper",
        methods=[AdministratorMethod.PASSWORD], invited_by="Ada Lovelace", invitation=1,
    )  # fmt: skip
    return fact.model_copy(update=changes)


def invitation_path(auth: Auth) -> str:
    """The newest link in the outbox."""
    with auth.parts.database.read() as session:
        rows = session.execute(select(tables.outbox.table.c.fact).order_by(tables.outbox.table.c.recorded_at))
        links = [row.fact["link"] for row in rows if row.fact["type"] == "administrator_invited"]
    return str(links[-1]).removeprefix(auth.parts.settings.public_origin)


@dataclass
class Grace:
    """An administrator with a password, an authenticator and recovery codes."""

    auth: Auth
    totp: pyotp.TOTP
    recovery: list[str]
    browser: Browser

    def code(self) -> str:
        """A code that was not used yet: a minute goes by."""
        self.auth.clock.ahead += type(self.auth.clock.ahead)(seconds=60)
        return self.totp.at(self.auth.clock.now())

    def give_code(self, browser: Browser, code: str) -> httpx.Response:
        return give_code(browser, code)

    def sign_in(self, browser: Browser | None = None) -> Browser:
        """Signs in with password and code."""
        browser = browser or self.auth.browser()
        assert give_password(browser).headers["location"] == CODE
        assert give_code(browser, self.code()).headers["location"] == CONSOLE_PAGE
        return browser


def settled(auth: Auth) -> Grace:
    """The administrator after invitation, password and authenticator, signed in at `browser`."""
    auth.take(administrator())
    browser = auth.browser("192.0.2.200")
    answer = choose(browser, invitation_path(auth))
    assert answer.headers["location"] == AUTHENTICATOR
    page = browser.get(AUTHENTICATOR).text
    totp = pyotp.TOTP(secret_on(page))
    answer = browser.post(AUTHENTICATOR, code=totp.at(auth.clock.now()), form_token=token_on(page))
    assert answer.status_code == 200
    return Grace(auth, totp, codes_on(answer.text), browser)


def choose(browser: Browser, path: str, password: str = SECRET, again: str | None = None) -> httpx.Response:
    return browser.post(
        path, new_password=password, again=password if again is None else again, form_token=browser.form_token(path)
    )


def give_password(browser: Browser, password: str = SECRET, email: str = EMAIL) -> httpx.Response:
    return browser.post(SIGN_IN, email=email, password=password, form_token=browser.form_token(SIGN_IN))


def give_code(browser: Browser, code: str) -> httpx.Response:
    return browser.post(CODE, code=code, form_token=browser.form_token(CODE))


def claims(auth: Auth, browser: Browser) -> AdministratorClaims:
    token = browser.cookie(CONSOLE)
    assert token
    told = jwt.decode(
        token, auth.verifier._key, algorithms=["ES256"], issuer=IDENTITY_ISSUER, audience=ADMINISTRATOR_AUDIENCE,
        options={"verify_iat": False, "verify_exp": False},  # the tests' clock is ahead
    )  # fmt: skip
    return AdministratorClaims.model_validate(told)


def secret_on(page: str) -> str:
    found = re.search(r"<code>([A-Z2-7 ]{32,})</code>", page)
    assert found, "no secret on the page"
    return found[1].replace(" ", "")


def codes_on(page: str) -> list[str]:
    found = re.findall(r"\b(?:[a-z2-7]{4}-){3}[a-z2-7]{4}\b", page)
    return list(dict.fromkeys(found))


def token_on(page: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
    assert found
    return found[1]
