"""Note which devices hold a job stream open."""

from __future__ import annotations

from collections.abc import Collection

from keystead_enroll.ports import Clock, Transactions


def note_presence(
    transactions: Transactions,
    clock: Clock,
    holder: str,
    *,
    arrived: Collection[str],
    staying: Collection[str],
    left: Collection[str],
) -> None:
    """What the web process `holder` says of its streams: the devices (ids) whose stream just began there, those whose
    stream goes on, and those whose last one ended. A newer stream elsewhere stands against all but the first."""
    now = clock.now()
    with transactions.write() as tx:
        if left:
            tx.device_streams_ended(left, holder)
        if staying:
            tx.device_streams_go_on(staying, holder, now)
        if arrived:
            tx.device_streams_began(arrived, holder, now)
