"""Forget what is over."""

from __future__ import annotations

from datetime import timedelta

from keystead_auth.ports import Transactions
from keystead_kit.clock import Clock

KEPT = timedelta(days=1)


def prune(transactions: Transactions, clock: Clock) -> int:
    """Deletes requests made, and links, invitations, sessions and sign-ins through identity providers expired, more
    than `KEPT` ago; how many rows that was."""
    before = clock.now() - KEPT
    with transactions.write() as tx:
        ended = (
            tx.requests, tx.links, tx.sessions, tx.attempts, tx.arrivals, tx.assertions,
            tx.invitations, tx.administrator_sessions, tx.half_sessions, tx.reset_requests,
        )  # fmt: skip
        return sum(each.prune(before) for each in ended)
