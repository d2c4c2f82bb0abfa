"""Write down what became of a letter."""

from __future__ import annotations

from enum import StrEnum

from keystead_kit.clock import Clock
from keystead_notify.domain.errors import LetterRefused, Refusal
from keystead_notify.domain.letter import Letter, LetterState, RetryPolicy
from keystead_notify.ports import Transactions


class Outcome(StrEnum):
    """What became of a letter this time."""

    SENT = "sent"
    REFUSED = "refused"
    POSTPONED = "postponed"
    EXPIRED = "expired"


def record_outcome(
    transactions: Transactions, clock: Clock, policy: RetryPolicy, letter: Letter, failure: Refusal | None
) -> Outcome:
    """Ends the letter, or queues it again if `failure` may pass. No failure: it was sent."""
    with transactions.write() as letters:
        now = clock.now()
        if failure is None:
            letters.end(letter.message_id, LetterState.SENT, now, code=None, reason="")
            return Outcome.SENT
        if isinstance(failure, LetterRefused):
            letters.end(letter.message_id, LetterState.REFUSED, now, code=failure.code, reason=failure.detail)
            return Outcome.REFUSED
        letters.postpone(letter, policy.next_attempt(letter, now), failure.detail)
        return Outcome.POSTPONED
