"""auth on real parts: its web application over ASGI and its worker's duties, on one database and one Redis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.engine import make_url
from tests.support import http_client
from tests.support.kept import Kept, become, fill, process_folder

from keystead_auth.adapters import tables
from keystead_auth.bootstrap import SERVICE, Parts, WorkerParts, migrations, web_parts, worker_parts
from keystead_auth.settings import AuthWebSettings
from keystead_auth.web.app import create_app
from keystead_auth.worker import duties
from keystead_contracts.base import CertificateType, Message
from keystead_contracts.events import Envelope, FormPublished
from keystead_contracts.identity import SignInMethod
from keystead_kit.bus import Bus
from keystead_kit.db import Database
from keystead_kit.ratelimit import RateLimiter
from keystead_kit.secrets import TokenVerifier, new_id, write_signing_key

ORIGIN = "http://localhost:8080"
FORM = "Zm9ybS1mb3ItdGVzdHM"
TOTP_KEY = "an integration test's authenticator key, 0123456789"
COOKIE_KEY = "an integration test's cookie key, 0123456789"


@dataclass
class TestClock:
    """A clock that goes on by itself and can be set forward."""

    __test__ = False
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def published(**changes: Any) -> FormPublished:
    """The form of the tests."""
    fact = FormPublished(
        form=FORM, version=1, name="Staff certificates", organization="Northwind University",
        certificate_type=CertificateType.CLIENT, methods=[SignInMethod.EMAIL], email_domains=["example.org"],
        help_text="Ask your IT desk.", help_link="https://help.example.org/",
    )  # fmt: skip
    return fact.model_copy(update=changes)


class Browser:
    """One browser: it keeps cookies, sends Accept and, with a form, Origin."""

    def __init__(self, app: Any, address: str) -> None:
        self.http = client_of(app, address)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.http.request("GET", path, **kwargs)

    def form_token(self, path: str) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.get(path).text)
        assert found, f"no form at {path}"
        return found[1]

    def post(self, path: str, *, origin: str | None = ORIGIN, **data: str) -> httpx.Response:
        headers = {"origin": origin} if origin else {}
        return self.http.request("POST", path, data=data, headers=headers)

    def ask(self, email: str, form: str = FORM) -> httpx.Response:
        """Types an address into the form's front door."""
        path = f"/auth/sign-in/{form}"
        return self.post(path, email=email, form_token=self.form_token(path))

    def confirm(self, token: str) -> httpx.Response:
        """Opens the letter's link and presses the button."""
        path = f"/auth/confirm/{token}"
        return self.post(path, form_token=self.form_token(path))

    def cookie(self, name: str) -> str | None:
        return self.http.cookies.get(name)


@dataclass
class Auth:
    """auth's web and worker."""

    parts: Parts
    worker: WorkerParts
    clock: TestClock
    verifier: TokenVerifier
    app: Any

    def again(self, chosen: AuthWebSettings) -> None:
        """Begins anew on another database: nothing that counts or is connected stays."""
        self.clock.ahead = timedelta()
        become(self.parts.settings, chosen)
        database_url, redis_url = chosen.database_url.get_secret_value(), chosen.redis_url.get_secret_value()
        for each in (self.parts, self.worker):
            become(each.database, Database(database_url))
            become(each.bus, Bus(SERVICE, redis_url))
        become(vars(self.parts.attempts)["_limiter"], RateLimiter(redis_url, SERVICE))

    def close(self) -> None:
        """Closes every connection."""
        for each in (self.parts, self.worker):
            each.bus.close()
            each.database.close()

    def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(self.app, address)

    def take(self, fact: Message) -> None:
        """A fact arrives."""
        message = Envelope(
            message_id=new_id(), source="enroll", destination="auth", recorded_at=self.clock.now(),
            trace_id="b" * 32, fact=fact.model_dump(mode="json"),
        )  # fmt: skip
        self.worker.messenger.take_in(message.model_dump(mode="json"))

    def decide(self) -> int:
        """The worker does its duty once."""
        return duties(self.worker)["decide"]()

    def links(self) -> list[dict[str, Any]]:
        """The facts in the outbox that bring somebody a link, oldest first."""
        return [fact for fact in self.facts() if "link" in fact]

    def facts(self) -> list[dict[str, Any]]:
        """All facts in the outbox, oldest first."""
        with self.parts.database.read() as session:
            rows = session.execute(select(tables.outbox.table.c.fact).order_by(tables.outbox.table.c.recorded_at))
            return [row.fact for row in rows]

    def token(self, browser: Browser | None = None, email: str = "ada@example.org") -> str:
        """The token of a fresh link for `email`."""
        before = len(self.links())
        assert (browser or self.browser("192.0.2.250")).ask(email).status_code == 303
        self.decide()
        links = self.links()
        assert len(links) == before + 1
        return str(links[-1]["link"]).rsplit("/", 1)[1]

    def count(self, table: Any) -> int:
        with self.parts.database.read() as session:
            return len(session.execute(select(table)).all())


_AUTHS: Kept[Auth] = Kept()


@contextmanager
def running_auth(database_url: str, redis_url: str, _folder: Path, **settings: Any) -> Iterator[Auth]:
    """auth, migrated, knowing the form of the tests."""
    values: dict[str, Any] = {
        "mode": "development",
        "public_origin": ORIGIN,
        "database_url": database_url,
        "redis_url": redis_url,
        "token_key_file": _token_keys()[0],
        "cookie_key": COOKIE_KEY,
        "totp_key": TOTP_KEY,
    }
    chosen = AuthWebSettings(**values | settings)
    fill(database_url, "auth", lambda url: _set_up(AuthWebSettings(**values | {"database_url": url})))
    key = repr((make_url(database_url).get_backend_name(), redis_url, sorted(settings.items())))
    with _AUTHS.one(key, lambda: _new(chosen), lambda auth: auth.again(chosen)) as auth, closing(auth):
        yield auth


@cache
def _token_keys() -> tuple[Path, Path]:
    """The private and the public key of every auth in this process."""
    private, public = process_folder() / "auth.token.pem", process_folder() / "auth.token.pub.pem"
    write_signing_key(private, public)
    return private, public


def _set_up(chosen: AuthWebSettings) -> None:
    with closing(_new(chosen)) as auth:
        migrations(auth.parts.database).upgrade()
        auth.take(published())


def _new(chosen: AuthWebSettings) -> Auth:
    clock = TestClock()
    parts = web_parts(chosen, clock)
    verifier = TokenVerifier.from_file(_token_keys()[1])
    return Auth(parts, worker_parts(chosen, clock), clock, verifier, create_app(parts))


def client_of(app: Any, address: str = "192.0.2.1") -> httpx.Client:
    """An HTTP client of `app` that comes from `address`."""
    return http_client.client_of(
        app, ORIGIN, headers={"accept": "text/html"}, client=(address, 50000), raise_server_exceptions=False
    )
