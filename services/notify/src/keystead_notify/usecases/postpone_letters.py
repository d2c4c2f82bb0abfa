"""Put off every letter that is due, while the mail server is away."""

from __future__ import annotations

from keystead_kit.clock import Clock
from keystead_notify.domain.letter import Letter, RetryPolicy
from keystead_notify.ports import Transactions

BATCH = 500


def postpone_letters(transactions: Transactions, clock: Clock, policy: RetryPolicy, reason: str) -> list[Letter]:
    """Postpones a batch of due letters, each by its own back-off; which."""
    with transactions.write() as letters:
        now = clock.now()
        claimed = letters.claim(now, now + policy.lease, BATCH)
        for letter in claimed:
            letters.postpone(letter, policy.next_attempt(letter, now), reason)
    return claimed
