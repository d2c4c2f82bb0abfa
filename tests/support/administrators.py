"""Administrators and what they come with, for tests of the console and the API."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpx
from tests.support.enroll_app import EnrollApp

from keystead_contracts.people import AdministratorMethod
from keystead_enroll.domain.administration import Administrator, ApiToken, Grant, Role
from keystead_enroll.usecases.admin.tokens import PREFIX
from keystead_kit.secrets import new_id, token_digest

MRAO = Grant(Role.MRAO)


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
