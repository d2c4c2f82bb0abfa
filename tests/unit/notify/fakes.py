"""notify's ports in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from keystead_contracts.base import AssuranceLevel, CertificateType
from keystead_contracts.events import CertificateInstalled, Envelope, LoginRequested
from keystead_notify.domain.errors import MailServerAway
from keystead_notify.domain.letter import Letter, LetterFact, LetterState

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRACE = "a" * 32


def login(email: str = "ada@example.org") -> LoginRequested:
    return LoginRequested(
        email=email,
        organization="Northwind",
        form_name="Staff",
        link="https://enroll.example.org/auth/confirm/TOKEN",
        requested_at=START,
        expires_at=START + timedelta(minutes=15),
    )


def installed(email: str = "ada@example.org", **changes: object) -> CertificateInstalled:
    fact = CertificateInstalled(
        email=email,
        organization="Northwind",
        form_name="Staff",
        order_id="1" * 32,
        certificate_type=CertificateType.CLIENT,
        subject="CN=Ada",
        issuer="CN=CA",
        serial="01",
        not_after=START + timedelta(days=365),
        machine="laptop",
        assurance=AssuranceLevel.ATTESTED,
        installed_at=START,
        portal_link="https://enroll.example.org/e/staff",
    )
    return fact.model_copy(update=changes)


def envelope(fact: LetterFact, message_id: str) -> Envelope:
    return Envelope(
        message_id=message_id, source="auth", destination="notify", recorded_at=START, trace_id=TRACE,
        fact=fact.model_dump(mode="json"),
    )  # fmt: skip


@dataclass
class FakeClock:
    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def pass_by(self, **amount: float) -> None:
        self.time += timedelta(**amount)


@dataclass
class Row:
    letter: Letter
    state: LetterState
    due_at: datetime | None
    code: int | None = None
    reason: str = ""


@dataclass
class FakeLetters:
    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, letter: Letter) -> None:
        assert letter.message_id not in self.rows
        self.rows[letter.message_id] = Row(letter, LetterState.QUEUED, letter.queued_at)

    def is_due(self, now: datetime) -> bool:
        return bool(self._due(now))

    def claim(self, now: datetime, lease_until: datetime, limit: int) -> list[Letter]:
        claimed = []
        for row in self._due(now)[:limit]:
            row.letter = replace(row.letter, attempts=row.letter.attempts + 1)
            row.state, row.due_at = LetterState.SENDING, lease_until
            claimed.append(row.letter)
        return claimed

    def postpone(self, letter: Letter, until: datetime, reason: str) -> None:
        row = self.rows[letter.message_id]
        if row.state is LetterState.SENDING and row.letter.attempts == letter.attempts:
            row.state, row.due_at, row.reason = LetterState.QUEUED, until, reason

    def end(self, message_id: str, state: LetterState, now: datetime, *, code: int | None, reason: str) -> None:
        row = self.rows[message_id]
        if row.due_at is not None:
            row.state, row.due_at, row.code, row.reason = state, None, code, reason

    def expire(self, now: datetime, limit: int) -> list[Letter]:
        over = [
            row for row in self.rows.values()
            if row.due_at is not None and row.due_at <= now and row.letter.deadline_at <= now
        ][:limit]  # fmt: skip
        for row in over:
            row.state, row.due_at = LetterState.EXPIRED, None
        return [row.letter for row in over]

    def waiting(self) -> tuple[int, datetime | None]:
        queued = [row.letter.queued_at for row in self.rows.values() if row.due_at is not None]
        return len(queued), min(queued, default=None)

    def prune(self, before: datetime) -> int:
        return 0

    def _due(self, now: datetime) -> list[Row]:
        due = [
            row for row in self.rows.values()
            if row.due_at is not None and row.due_at <= now and row.letter.deadline_at > now
        ]  # fmt: skip
        return sorted(due, key=lambda row: row.due_at or now)


@dataclass
class FakeTransactions:
    letters: FakeLetters = field(default_factory=FakeLetters)

    @contextmanager
    def write(self) -> Iterator[FakeLetters]:
        yield self.letters

    @contextmanager
    def read(self) -> Iterator[FakeLetters]:
        yield self.letters


@dataclass
class FakeMailer:
    """Takes letters; `answer` may raise for one, `away` refuses connections."""

    answer: Callable[[Letter], None] = lambda _letter: None
    away: bool = False
    connections: int = 0
    sent: list[str] = field(default_factory=list)

    @contextmanager
    def session(self) -> Iterator[FakeMailer]:
        self.connections += 1
        if self.away:
            raise MailServerAway("connection refused")
        yield self

    def send(self, letter: Letter) -> None:
        self.answer(letter)
        self.sent.append(letter.message_id)
