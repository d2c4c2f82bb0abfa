"""A letter's life: `queued → sending → sent | refused | expired`, and back from `sending` to `queued`.

A letter that is `sending` is leased: if nobody says what became of it before the lease ends, it is due again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from keystead_contracts.events import (
    ApprovalsWaiting,
    CertificateInstalled,
    CertificateIssued,
    CertificateRevoked,
    EnrollmentFailed,
    Fact,
    LoginRequested,
    OrderApproved,
    OrderRejected,
)
from keystead_contracts.people import AdministratorInvited, PersonInvited

LetterFact = (
    LoginRequested
    | CertificateInstalled
    | CertificateIssued
    | EnrollmentFailed
    | OrderApproved
    | OrderRejected
    | CertificateRevoked
    | ApprovalsWaiting
    | AdministratorInvited
    | PersonInvited
)
"""The facts that become letters."""


class LetterState(StrEnum):
    """Where a letter stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Letter:
    """One letter to one person. `fact` is what it tells, forgotten at its end; `message_id` is the fact's."""

    message_id: str
    kind: str
    recipient: str
    fact: dict[str, Any]
    trace_id: str
    queued_at: datetime
    deadline_at: datetime
    attempts: int = 0


@dataclass(frozen=True)
class RetryPolicy:
    """When a letter that was not taken is tried again, and until when."""

    first: timedelta = timedelta(seconds=2)
    longest: timedelta = timedelta(minutes=5)
    longest_for_login: timedelta = timedelta(seconds=30)
    give_up: timedelta = timedelta(hours=24)
    lease: timedelta = timedelta(minutes=2)

    def deadline(self, fact: LetterFact, now: datetime) -> datetime:
        """When sending stops making sense: a link's own end, else `give_up` from now."""
        return fact.expires_at if isinstance(fact, LoginRequested | AdministratorInvited) else now + self.give_up

    def next_attempt(self, letter: Letter, now: datetime) -> datetime:
        """When to try again after the letter's `attempts`-th failure (1 or more): doubling, never past the deadline."""
        longest = self.longest_for_login if letter.kind == "login_requested" else self.longest
        wait = min(self.first * (1 << min(max(letter.attempts, 1) - 1, 20)), longest)
        return min(now + wait, letter.deadline_at)


def letter_for(fact: Fact, *, message_id: str, trace_id: str, now: datetime, policy: RetryPolicy) -> Letter | None:
    """The letter that tells `fact`; None for a fact that nobody is written about."""
    if not isinstance(fact, LetterFact):
        return None
    return Letter(
        message_id=message_id,
        kind=fact.type,
        recipient=fact.email,
        fact=fact.model_dump(mode="json"),
        trace_id=trace_id,
        queued_at=now,
        deadline_at=policy.deadline(fact, now),
    )
