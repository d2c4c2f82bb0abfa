"""Administrators and what they come with, for tests of the console and the API."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpx
from tests.support.enroll_app import PAGE, EnrollApp

from keystead_contracts.base import Message
from keystead_contracts.events import Envelope
from keystead_contracts.identity import AdministratorClaims
from keystead_contracts.people import AdministratorMethod
from keystead_enroll.domain.administration import Administrator, ApiToken, Grant, Role
from keystead_enroll.usecases.admin.tokens import PREFIX
from keystead_kit.secrets import new_id, token_digest

MRAO = Grant(Role.MRAO)
IDP_METADATA = (
    '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example/">'
    '<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></EntityDescriptor>'
)
"""What a first look takes for the metadata of an identity provider."""


def administrator(app: EnrollApp, *grants: Grant, name: str = "Grace Hopper") -> Administrator:
    """A stored administrator with these grants; a master without any."""
    made = Administrator(
        id=new_id(),
        email=f"{secrets.token_hex(4)}@admin.example.org",
        name=name,
        methods=[AdministratorMethod.PASSWORD],
        grants=[grant.to_plain() for grant in grants or (MRAO,)],
        created_at=app.clock.now(),
    )
    with app.enroll.transactions.write() as tx:
        tx.add(made)
    return made


def api_token(app: EnrollApp, owner: Administrator, grants: Iterable[Grant] | None = None) -> str:
    """A stored token of theirs that may do all that they may, or what `grants` say."""
    secret = f"{PREFIX}{secrets.token_urlsafe(32)}"
    given = owner.grants if grants is None else [grant.to_plain() for grant in grants]
    now = app.clock.now()
    with app.enroll.transactions.write() as tx:
        tx.add(ApiToken(new_id(), "test", token_digest(secret), owner.id, given, now, now + timedelta(days=1)))
    return secret


class Api:
    """A program that speaks to the API with a token."""

    def __init__(self, app: EnrollApp, token: str | None, client: httpx.Client | None = None) -> None:
        self.client: Any = client or app.client()
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """The answer to one request below `/api/v1`."""
        headers = self.headers | kwargs.pop("headers", {})
        return self.client.request(method, f"/api/v1{path}", headers=headers, **kwargs)

    def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            answer = self("GET", path, params=params | ({"after": after} if after else {}))
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["items"]
            after = page["next"]
            if after is None:
                return found

    def create(self, path: str, body: dict[str, Any], **kwargs: Any) -> str:
        """Creates a thing and answers its id."""
        answer = self("POST", path, json=body, **kwargs)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def master(app: EnrollApp) -> Api:
    """The API as a master administrator sees it."""
    return Api(app, api_token(app, administrator(app)))


def officer(app: EnrollApp, *grants: Grant) -> Api:
    """The API as an administrator with these grants sees it."""
    return Api(app, api_token(app, administrator(app, *grants)))


class Console:
    """A browser at the console."""

    def __init__(self, app: EnrollApp, client: httpx.Client | None = None) -> None:
        self.app = app
        self.client: Any = client or app.client()
        self.form_token = ""

    def arrive(self, identity: str) -> httpx.Response:
        """Comes from auth with an administrator's identity cookie."""
        self.client.cookies.set("keystead_administrator", identity)
        response = self.client.get("/console/arrive", headers=PAGE)
        self.client.cookies.delete("keystead_administrator")
        return response

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        """A page of the console. Remembers the form token that it holds."""
        response = self.client.get(f"/console{path}", headers=PAGE | headers)
        found = re.search(r'name="form_token" value="([^"]+)"', response.text)
        self.form_token = found[1] if found else self.form_token
        return response

    def post(self, path: str, **fields: Any) -> httpx.Response:
        """Sends a form from our own page."""
        data = {"form_token": self.form_token} | fields
        return self.client.post(f"/console{path}", data=data, headers=PAGE | {"origin": self.app.origin})

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """Opens the page of a form and sends it."""
        opened = self.get(path)
        assert opened.status_code == 200, opened.text
        return self.post(path.partition("?")[0], **fields)

    def follow(self, response: httpx.Response) -> httpx.Response:
        """Where a form that was taken leads."""
        assert response.status_code == 303, response.text
        assert "draft=" not in response.headers["location"], self.mistakes(response)
        return self.get(response.headers["location"].removeprefix("/console"))

    def mistakes(self, response: httpx.Response) -> str:
        """The page to which a form with mistakes leads back. Fails if the form was taken."""
        assert response.status_code == 303, response.text
        assert "?draft=" in response.headers["location"], response.headers["location"]
        return self.get(response.headers["location"].removeprefix("/console")).text


def page_key(page: str) -> dict[str, str]:
    """The field by which a page that is sent twice is known."""
    found = re.search(r'name="page_key" value="([^"]+)"', page)
    assert found, page
    return {"page_key": found[1]}


def administrator_identity(app: EnrollApp, who: Administrator, **changes: Any) -> str:
    """What auth says of an administrator who signed in."""
    now = int(time.time())
    claims = AdministratorClaims(
        sub=who.id, email=who.email, jti=secrets.token_hex(16), iat=now, exp=now + 120, method=who.methods[0],
        second_factor=True,
    )  # fmt: skip
    return app.auth.sign(claims.model_dump(mode="json") | changes)


def console(app: EnrollApp, *grants: Grant) -> Console:
    """The console as a new administrator with these grants sees it; as a master without any."""
    opened = Console(app)
    response = opened.arrive(administrator_identity(app, administrator(app, *grants)))
    assert response.status_code == 303, response.text
    return opened


def take_fact(app: EnrollApp, fact: Message) -> None:
    """auth tells enroll something."""
    now = app.clock.now()
    envelope = Envelope(
        message_id=new_id(), source="auth", destination="enroll", recorded_at=now, trace_id=new_id(),
        fact=fact.model_dump(mode="json"),
    )  # fmt: skip
    app.enroll.messenger().take_in(envelope.model_dump(mode="json"))
