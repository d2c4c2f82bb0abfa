"""Shows in metrics how far bulk jobs have come."""

from __future__ import annotations

from collections import Counter

from keystead_enroll.domain.bulk_jobs import RowStage
from keystead_enroll.metrics import show_bulk_rows
from keystead_enroll.ports import Clock, Transactions


def watch_jobs(transactions: Transactions, clock: Clock) -> None:
    """Counts the rows of all jobs that have not ended."""
    stages: Counter[RowStage] = Counter()
    with transactions.read() as tx:
        for figures in tx.bulk_figures(tx.open_bulk_jobs(), clock.now()).values():
            stages.update(figures.stages)
    show_bulk_rows(stages)
