"""Take the next letter in hand."""

from __future__ import annotations

from keystead_kit.clock import Clock
from keystead_notify.domain.letter import Letter, RetryPolicy
from keystead_notify.ports import Transactions


def claim_letter(transactions: Transactions, clock: Clock, policy: RetryPolicy) -> Letter | None:
    """The letter that is longest due, leased to the caller for `policy.lease`; None if none is due."""
    with transactions.write() as letters:
        now = clock.now()
        claimed = letters.claim(now, now + policy.lease, 1)
    return claimed[0] if claimed else None
