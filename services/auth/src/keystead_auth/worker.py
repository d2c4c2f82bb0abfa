"""auth's worker: takes in forms and identity providers, reads these, decides sign-in requests, forgets what is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from keystead_auth.adapters import tables
from keystead_auth.bootstrap import WorkerParts, password_link
from keystead_auth.metrics import PROVIDER_CHECKS, SIGN_IN_DECISIONS
from keystead_auth.usecases.check_provider import check_provider
from keystead_auth.usecases.decide_requests import decide_requests
from keystead_auth.usecases.prune import prune
from keystead_auth.usecases.request_reset import decide_resets
from keystead_kit.logs import get_logger
from keystead_kit.trace import current_trace_id
from keystead_kit.worker import Duty, run_worker

PRUNE_EVERY = timedelta(minutes=30)
_log = get_logger()


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

    def decide_forgotten() -> int:
        return decide_resets(
            parts.transactions, parts.randomness, parts.clock, link_for=password_link(parts.settings.public_origin)
        )

    def look_at_providers() -> int:
        checked = check_provider(
            parts.transactions,
            parts.sources,
            parts.randomness,
            parts.clock,
            secure=parts.settings.secure,
            unsupported=parts.unsupported,
            trace_id=current_trace_id(),
        )
        if checked is None:
            return 0
        PROVIDER_CHECKS.labels(state=checked.state.value).inc()
        log = _log.warning if checked.detail else _log.info
        log("identity provider read", provider=checked.identity_provider_id, state=checked.state, why=checked.detail)
        return 1

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

    return {"decide": decide, "resets": decide_forgotten, "providers": look_at_providers, "forget": forget}


def run(parts: WorkerParts) -> None:
    """Works until SIGTERM."""
    run_worker(parts.settings, parts.bus, parts.messenger, duties(parts))
