"""End letters that would come too late."""

from __future__ import annotations

from keystead_kit.clock import Clock
from keystead_notify.domain.letter import Letter
from keystead_notify.ports import Transactions

BATCH = 500


def expire_letters(transactions: Transactions, clock: Clock) -> list[Letter]:
    """Ends a batch of letters past their deadline, such as a sign-in link that does not work any more; which."""
    with transactions.write() as letters:
        return letters.expire(clock.now(), BATCH)
