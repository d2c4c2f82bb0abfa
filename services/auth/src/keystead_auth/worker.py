"""auth's worker: takes in forms, decides sign-in requests, forgets what is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from keystead_auth.adapters import tables
from keystead_auth.bootstrap import WorkerParts
from keystead_auth.metrics import SIGN_IN_DECISIONS
from keystead_auth.usecases.decide_requests import decide_requests
from keystead_auth.usecases.prune import prune
from keystead_kit.worker import Duty, run_worker

PRUNE_EVERY = timedelta(minutes=30)


def duties(parts: WorkerParts) -> Mapping[str, Duty]:
    """What the worker does at each bell and heartbeat."""
    origin = parts.settings.public_origin
    pruned_at: datetime | None = None

    def decide() -> int:
        decisions = decide_requests(
            parts.transactions,
            parts.randomness,
            parts.clock,
            link_for=lambda token: f"{origin}/auth/confirm/{token}",
            lifetime=parts.settings.link_lifetime,
        )
        for decision in decisions:
            SIGN_IN_DECISIONS.labels(outcome=decision.value).inc()
        return len(decisions)

    def forget() -> int:
        nonlocal pruned_at
        now = parts.clock.now()
        if pruned_at is not None and now - pruned_at < PRUNE_EVERY:
            return 0
        with parts.database.write() as session:
            tables.inbox.prune(session, now)
        pruned = prune(parts.transactions, parts.clock)
        pruned_at = now
        return pruned

    return {"decide": decide, "forget": forget}


def run(parts: WorkerParts) -> None:
    """Works until SIGTERM."""
    run_worker(parts.settings, parts.bus, parts.messenger, duties(parts))
