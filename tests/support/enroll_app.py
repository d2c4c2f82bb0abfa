"""A whole enroll on real databases and a real Redis, with a browser and an agent that use it as people do."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import inspect, select
from sqlalchemy.engine import make_url
from tests.support.enroll_people import (
    MACHINE,
    Agent,
    Browser,
    issued,
    next_job,
    problem_code,
    public_pem,
    started,
)
from tests.support.enroll_setup import (
    ACCESS_CODE_KEY,
    ADA,
    BOB,
    CODE,
    COOKIE_KEY,
    LICENCE,
    ORIGIN,
    PAGE,
    REGISTRATION_TOKEN,
    SETUP,
    ShiftedClock,
    files,
    settings,
)
from tests.support.http_client import client_of
from tests.support.kept import Kept, become, fill
from tests.support.servers import free_port, wait_until

from keystead_contracts.identity import IdentityClaims
from keystead_enroll.adapters import tables
from keystead_enroll.adapters.builtin_ca import BuiltinCa
from keystead_enroll.bootstrap import Enroll, build
from keystead_enroll.domain.declaration import Declaration
from keystead_enroll.domain.orders import Order
from keystead_enroll.settings import EnrollSettings
from keystead_enroll.usecases.apply.work import Applied
from keystead_enroll.usecases.apply_declaration import apply_declaration
from keystead_enroll.web.app import create_app
from keystead_kit.migrations import Migrations
from keystead_kit.secrets import TokenSigner

__all__ = [
    "ACCESS_CODE_KEY",
    "ADA",
    "BOB",
    "CODE",
    "COOKIE_KEY",
    "LICENCE",
    "MACHINE",
    "ORIGIN",
    "PAGE",
    "REGISTRATION_TOKEN",
    "SETUP",
    "Agent",
    "Browser",
    "EnrollApp",
    "ShiftedClock",
    "enroll_app",
    "files",
    "http",
    "issued",
    "migrate",
    "next_job",
    "problem_code",
    "public_pem",
    "served",
    "settings",
    "started",
]


class EnrollApp:
    """One enroll: its parts, its web application, its worker's duty, and people at its door."""

    def __init__(self, enroll: Enroll, clock: ShiftedClock) -> None:
        self.enroll, self.clock = enroll, clock
        self.linter = enroll.linter = files().linter
        self.ca: BuiltinCa = enroll.open_ca()
        self.auth = TokenSigner.from_file(files().identity_key)
        self.web: FastAPI = create_app(enroll)
        self.origin = enroll.settings.public_origin
        self.uris = self._uris()

    def _uris(self) -> dict[str, str]:
        with self.enroll.transactions.read() as tx:
            return {form.name: form.uri_extension for form in tx.forms()}

    def again(self, chosen: EnrollSettings) -> None:
        """Begins anew on another database: nothing that counts, waits or is connected stays."""
        self.clock.shift = timedelta()
        fresh = build(chosen, self.clock)
        for name in ("settings", "database", "bus", "limits"):
            become(getattr(self.enroll, name), getattr(fresh, name))
        self.uris = self._uris()

    def apply(self, declaration: dict[str, Any]) -> dict[str, str]:
        """Declares more; form name → URI extension."""
        return self.applied(declaration).forms

    def applied(self, declaration: dict[str, Any], *, check: bool = False) -> Applied:
        """The same; all that was done."""
        enroll = self.enroll
        return apply_declaration(
            enroll.transactions,
            enroll.clock,
            enroll.secrets,
            self.linter,
            Declaration.model_validate(declaration),
            check=check,
        )

    def client(self) -> TestClient:
        """A fresh HTTP client without cookies that follows nothing by itself."""
        return client_of(self.web, self.origin)

    def identity(self, form: str = "Staff", email: str = ADA, **changes: Any) -> str:
        """What auth says of a person who signed in for `form`."""
        return self.auth.sign(self.identity_claims(form, email) | changes)

    def identity_claims(self, form: str = "Staff", email: str = ADA) -> dict[str, Any]:
        """The claims of `identity`."""
        now = int(time.time())
        return IdentityClaims(
            sub=email, jti=secrets.token_hex(16), iat=now, exp=now + 120, form=self.uris[form], method="email"
        ).model_dump(mode="json")

    def browser(self, form: str = "Staff", email: str = ADA, client: httpx.Client | None = None) -> Browser:
        """A browser whose person has signed in for `form`."""
        browser = Browser(self, client or self.client(), self.uris[form])
        browser.sign_in(self.identity(form, email))
        return browser

    def agent(self, client: httpx.Client | None = None) -> Agent:
        """An agent that has redeemed nothing yet."""
        return Agent(self, client or self.client())

    def work(self) -> int:
        """What the worker does: issues until nothing is left; how many orders that was."""
        done = 0
        while found := self.enroll.issue(self.ca, self.linter):
            done += found
        return done

    def publish(self) -> int:
        """What the worker does: has the OCSP responder certified if it is time, and signs the revocation lists that
        are due; how many."""
        self.enroll.renew_responder(self.ca, self.linter)
        return self.enroll.publish_lists(self.ca)

    def order(self, order_id: str) -> Order:
        """The stored order."""
        with self.enroll.transactions.read() as tx:
            order = tx.order(order_id)
            assert order is not None
            list(order.log)
            return order

    def certificates(self) -> list[Any]:
        """Every stored certificate's row."""
        with self.enroll.database.read() as session:
            return list(session.execute(select(tables.certificates)).all())

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """What was told to other services."""
        with self.enroll.database.read() as session:
            found = session.execute(select(tables.outbox.table.c.fact)).scalars().all()
        return [fact for fact in found if fact["type"] == kind]

    def profile(self, name: str) -> str:
        """A profile's id."""
        with self.enroll.transactions.read() as tx:
            return next(p.id for p in tx.profiles() if p.name == name)


_APPS: Kept[EnrollApp] = Kept()


@contextmanager
def enroll_app(database_url: str, redis_url: str, **changes: Any) -> Iterator[EnrollApp]:
    """An enroll on an empty database, which it sets up, or on one that is set up."""
    chosen, kind = _ready(database_url, redis_url, changes), make_url(database_url).get_backend_name()
    key = repr((kind, redis_url, sorted(changes.items())))
    with _APPS.one(key, lambda: _new(chosen), lambda app: app.again(chosen)) as app, closing(app.enroll):
        yield app


def _ready(database_url: str, redis_url: str, changes: dict[str, Any]) -> EnrollSettings:
    """Settings of an enroll on these servers, with the database set up."""
    fill(database_url, "enroll", lambda url: _set_up(settings(url, redis_url)))
    return settings(database_url, redis_url, **changes)


def _set_up(chosen: EnrollSettings) -> None:
    with closing(build(chosen)) as enroll:
        tables.metadata.create_all(enroll.database.engine)
        declared = Declaration.model_validate(SETUP)
        apply_declaration(enroll.transactions, enroll.clock, enroll.secrets, files().linter, declared)


def _new(chosen: EnrollSettings) -> EnrollApp:
    clock = ShiftedClock()
    return EnrollApp(build(chosen, clock), clock)


@contextmanager
def served(database_url: str, redis_url: str, **changes: Any) -> Iterator[EnrollApp]:
    """The same behind a real HTTP server on 127.0.0.1, for streams: `origin` is where it listens."""
    port = free_port()
    app = _new(_ready(database_url, redis_url, {"public_origin": f"http://127.0.0.1:{port}"} | changes))
    with closing(app.enroll):
        server = uvicorn.Server(
            uvicorn.Config(app.web, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the web server")
        try:
            yield app
        finally:
            app.web.state.end_streams()
            server.should_exit = True
            thread.join(20)


def http(app: EnrollApp) -> httpx.Client:
    """A client for a `served` app. Streams may be silent for 30 s."""
    return httpx.Client(base_url=app.origin, timeout=30)


def migrate(app: EnrollApp, step: Callable[[Migrations, str], None], revision: str) -> None:
    """Takes the schema of the tests' database, made from the models, up or down to `revision`."""
    migrations = app.enroll.migrations()
    if "alembic_version" not in inspect(app.enroll.database.engine).get_table_names():
        migrations.stamp()
    step(migrations, revision)
