"""auth's ports in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.auth.administrator_fakes import (
    FakeAdministrators,
    FakePersons,
    FakeRecoveryCodes,
    FakeResetRequests,
    FakeTokens,
)

from keystead_auth.domain.providers import Arrival, Attempt, IdentityProvider
from keystead_auth.domain.sign_in import Decision, Form, Link, Session, SignInRequest
from keystead_auth.ports import Guess
from keystead_contracts.base import Message
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import IdentityProviderChecked

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
FORM = Form("staff", 1, "Staff certificates", "Northwind", (SignInMethod.EMAIL,), ("example.org",))


@dataclass
class FakeClock:
    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def pass_by(self, **amount: float) -> None:
        self.time += timedelta(**amount)


@dataclass
class Store:
    """Every fake repository of one transaction, over dictionaries."""

    form_rows: dict[str, Form] = field(default_factory=dict)
    request_rows: dict[str, tuple[SignInRequest, Decision | None]] = field(default_factory=dict)
    link_rows: dict[str, Link] = field(default_factory=dict)
    session_rows: dict[str, Session] = field(default_factory=dict)
    outbox: list[tuple[str, str, Message]] = field(default_factory=list)
    provider_rows: dict[str, IdentityProvider] = field(default_factory=dict)
    attempt_rows: dict[str, Attempt] = field(default_factory=dict)
    arrival_rows: dict[str, Arrival] = field(default_factory=dict)
    assertion_rows: dict[str, datetime] = field(default_factory=dict)
    due: list[str] = field(default_factory=list)
    told: dict[str, IdentityProviderChecked] = field(default_factory=dict)

    persons: FakePersons = field(default_factory=FakePersons)
    administrators: FakeAdministrators = field(default_factory=FakeAdministrators)
    recovery_codes: FakeRecoveryCodes = field(default_factory=FakeRecoveryCodes)
    invitations: FakeTokens = field(default_factory=FakeTokens)
    administrator_sessions: FakeTokens = field(default_factory=FakeTokens)
    half_sessions: FakeTokens = field(default_factory=FakeTokens)
    reset_requests: FakeResetRequests = field(default_factory=FakeResetRequests)

    @property
    def forms(self) -> FakeForms:
        return FakeForms(self)

    @property
    def requests(self) -> FakeRequests:
        return FakeRequests(self)

    @property
    def links(self) -> FakeLinks:
        return FakeLinks(self)

    @property
    def sessions(self) -> FakeSessions:
        return FakeSessions(self)

    @property
    def providers(self) -> FakeProviders:
        return FakeProviders(self)

    @property
    def attempts(self) -> FakeIdpAttempts:
        return FakeIdpAttempts(self)

    @property
    def arrivals(self) -> FakeArrivals:
        return FakeArrivals(self)

    @property
    def assertions(self) -> FakeAssertions:
        return FakeAssertions(self)

    @property
    def facts(self) -> FakeFacts:
        return FakeFacts(self)


@dataclass
class FakeForms:
    store: Store

    def get(self, uri: str) -> Form | None:
        return self.store.form_rows.get(uri)

    def put(self, form: Form) -> bool:
        known = self.store.form_rows.get(form.uri)
        if known and known.version >= form.version:
            return False
        self.store.form_rows[form.uri] = form
        return True


@dataclass
class FakeRequests:
    store: Store

    def add(self, request: SignInRequest) -> None:
        self.store.request_rows[request.id] = (request, None)

    def claim(self, limit: int) -> list[SignInRequest]:
        return [request for request, decision in self.store.request_rows.values() if decision is None][:limit]

    def decided(self, decisions: Sequence[tuple[str, Decision]], now: datetime) -> None:
        for id, decision in decisions:
            self.store.request_rows[id] = (self.store.request_rows[id][0], decision)

    def prune(self, before: datetime) -> int:
        return _drop(self.store.request_rows, lambda row: row[0].requested_at < before)


@dataclass
class FakeLinks:
    store: Store

    def add(self, link: Link) -> None:
        self.store.link_rows[link.digest] = link

    def get(self, digest: str) -> Link | None:
        return self.store.link_rows.get(digest)

    def consume(self, digest: str, visit: str, now: datetime) -> bool:
        link = self.store.link_rows.get(digest)
        if link is None or link.used_at is not None or link.expires_at <= now:
            return False
        self.store.link_rows[digest] = replace(link, used_at=now, used_by=visit)
        return True

    def prune(self, before: datetime) -> int:
        return _drop(self.store.link_rows, lambda link: link.expires_at < before)


@dataclass
class FakeSessions:
    store: Store

    def add(self, session: Session) -> None:
        self.store.session_rows[session.digest] = session

    def get(self, digest: str) -> Session | None:
        return self.store.session_rows.get(digest)

    def of_link(self, link: str) -> Session | None:
        return next((each for each in self.store.session_rows.values() if each.link == link), None)

    def end(self, link: str) -> None:
        _drop(self.store.session_rows, lambda session: session.link == link)

    def prune(self, before: datetime) -> int:
        return _drop(self.store.session_rows, lambda session: session.expires_at < before)


@dataclass
class FakeProviders:
    store: Store

    def get(self, id: str) -> IdentityProvider | None:
        return self.store.provider_rows.get(id)

    def all(self) -> list[IdentityProvider]:
        return [each for each in self.store.provider_rows.values() if not each.withdrawn]

    def put(self, provider: IdentityProvider, now: datetime) -> bool:
        self.store.provider_rows[provider.id] = provider
        self.store.due.append(provider.id)
        return True

    def claim(self, now: datetime, again_at: datetime) -> IdentityProvider | None:
        return self.store.provider_rows[self.store.due.pop()] if self.store.due else None

    def read(self, provider: IdentityProvider, told: IdentityProviderChecked, next_check_at: datetime) -> bool:
        before = self.store.told.get(provider.id)
        self.store.provider_rows[provider.id] = provider
        self.store.told[provider.id] = told
        return before is None or before.model_copy(update={"checked_at": told.checked_at}) != told


@dataclass
class FakeIdpAttempts:
    store: Store

    def add(self, attempt: Attempt) -> None:
        self.store.attempt_rows[attempt.id] = attempt

    def get(self, id: str) -> Attempt | None:
        return self.store.attempt_rows.get(id)

    def answer(self, id: str, now: datetime) -> bool:
        attempt = self.store.attempt_rows[id]
        if attempt.answered_at is not None or attempt.expires_at <= now:
            return False
        self.store.attempt_rows[id] = replace(attempt, answered_at=now)
        return True

    def prune(self, before: datetime) -> int:
        return _drop(self.store.attempt_rows, lambda attempt: attempt.expires_at < before)


@dataclass
class FakeArrivals:
    store: Store

    def add(self, arrival: Arrival) -> None:
        self.store.arrival_rows[arrival.digest] = arrival

    def get(self, digest: str, now: datetime) -> Arrival | None:
        arrival = self.store.arrival_rows.get(digest)
        return arrival if arrival and arrival.expires_at > now else None

    def take(self, digest: str) -> bool:
        return self.store.arrival_rows.pop(digest, None) is not None

    def prune(self, before: datetime) -> int:
        return _drop(self.store.arrival_rows, lambda arrival: arrival.expires_at < before)


@dataclass
class FakeAssertions:
    store: Store

    def first_time(self, digest: str, until: datetime) -> bool:
        return self.store.assertion_rows.setdefault(digest, until) is until

    def prune(self, before: datetime) -> int:
        return _drop(self.store.assertion_rows, lambda until: until < before)


@dataclass
class FakeFacts:
    store: Store

    def record(self, fact: Message, *, destination: str, message_id: str, trace_id: str, now: datetime) -> None:
        self.store.outbox.append((destination, trace_id, fact))


class FakeTransactions:
    """Transactions that roll back by restoring a copy."""

    def __init__(self, *forms: Form) -> None:
        self.store = Store({form.uri: form for form in forms or (FORM,)})

    @contextmanager
    def write(self) -> Iterator[Store]:
        before = copy.deepcopy(self.store)
        try:
            yield self.store
        except BaseException:
            self.store = before
            raise

    @contextmanager
    def read(self) -> Iterator[Store]:
        yield copy.deepcopy(self.store)


@dataclass
class FakeAttempts:
    wait: int | None = None
    counted: list[tuple[str, ...]] = field(default_factory=list)

    def sign_in(self, client: str, email: str, form: str) -> int | None:
        self.counted.append((client, email, form))
        return self.wait

    def confirm(self, client: str) -> int | None:
        return self.wait

    def guessed(self, client: str) -> None:
        self.counted.append((client,))

    def secret(self, guess: Guess) -> int | None:
        self.counted.append(("try", guess.email))
        return self.wait

    def secret_wrong(self, guess: Guess) -> None:
        self.counted.append(("wrong", guess.client))

    def secret_right(self, guess: Guess) -> None:
        self.counted.append(("right", guess.email))

    def code(self, administrator: str) -> int | None:
        self.counted.append(("code", administrator))
        return self.wait

    def code_right(self, administrator: str) -> None:
        self.counted.append(("code right", administrator))

    def reset(self, client: str, email: str) -> int | None:
        self.counted.append((client, email))
        return self.wait

    def idp_begin(self, client: str) -> int | None:
        self.counted.append((client,))
        return self.wait

    def idp_answer(self, client: str) -> int | None:
        return self.wait

    def idp_refused(self, client: str) -> None:
        self.counted.append((client, "refused"))


@dataclass
class FakeDoorbell:
    rung: int = 0

    def ring(self) -> None:
        self.rung += 1


@dataclass
class FakeRandomness:
    given: int = 0

    def new_id(self) -> str:
        self.given += 1
        return f"{self.given:032x}"

    def new_token(self) -> str:
        self.given += 1
        return f"token-{self.given}"


@dataclass
class FakeSigner:
    signed: list[dict[str, Any]] = field(default_factory=list)

    def sign(self, claims: dict[str, Any]) -> str:
        self.signed.append(claims)
        return f"jwt-{len(self.signed)}"


def _drop(rows: dict[str, Any], over: Any) -> int:
    gone = [key for key, row in rows.items() if over(row)]
    for key in gone:
        del rows[key]
    return len(gone)
