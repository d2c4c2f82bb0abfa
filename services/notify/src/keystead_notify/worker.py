"""notify's worker: takes facts in, sends letters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from keystead_kit.worker import Duty, run_worker
from keystead_notify.adapters import tables
from keystead_notify.bootstrap import WorkerParts
from keystead_notify.domain.letter import Letter
from keystead_notify.metrics import LETTERS, LETTERS_OLDEST, LETTERS_WAITING
from keystead_notify.usecases.deliver_letters import deliver_letters
from keystead_notify.usecases.record_outcome import Outcome

PRUNE_EVERY = timedelta(minutes=30)
KEPT = timedelta(days=30)


def duties(parts: WorkerParts) -> Mapping[str, Duty]:
    """What the worker does at each bell and heartbeat."""
    pruned_at: datetime | None = None

    def deliver() -> int:
        done = deliver_letters(parts.transactions, parts.mailer, parts.clock, parts.policy, _count)
        with parts.transactions.read() as letters:
            waiting, oldest = letters.waiting()
        LETTERS_WAITING.set(waiting)
        LETTERS_OLDEST.set((parts.clock.now() - oldest).total_seconds() if oldest else 0)
        return done

    def forget() -> int:
        nonlocal pruned_at
        now = parts.clock.now()
        if pruned_at is not None and now - pruned_at < PRUNE_EVERY:
            return 0
        pruned_at = now
        with parts.database.write() as session:
            tables.inbox.prune(session, now)
        with parts.transactions.write() as letters:
            return letters.prune(now - KEPT)

    return {"deliver": deliver, "forget": forget}


def _count(letter: Letter, outcome: Outcome) -> None:
    LETTERS.labels(kind=letter.kind, outcome=outcome.value).inc()


def run(parts: WorkerParts) -> None:
    """Works until SIGTERM."""
    run_worker(parts.settings, parts.bus, parts.messenger, duties(parts))
