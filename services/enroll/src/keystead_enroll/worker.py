"""The worker of enroll: issues certificates, signs revocation lists, works off bulk jobs, ends deserted orders, tells
what waits for approval, relays facts."""

from __future__ import annotations

import time

from keystead_enroll.adapters.builtin_ca import BuiltinCa
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.domain.errors import CaRefused
from keystead_kit.logs import get_logger
from keystead_kit.worker import Duty, run_worker

PRUNE_EVERY_SECONDS = 300.0
DESERTED_EVERY_SECONDS = 60.0
APPROVALS_EVERY_SECONDS = 10.0
FINISH_EVERY_SECONDS, WATCH_EVERY_SECONDS, LATE_EVERY_SECONDS = 2.0, 15.0, 300.0
RESPONDER_EVERY_SECONDS = 60.0
LISTS_EVERY_SECONDS = 5.0
"""Revocations of this long come onto the lists together."""


def run(enroll: Enroll) -> None:
    """Works until SIGTERM. Exits 2 with advice if the CA cannot be used."""
    try:
        ca = enroll.open_ca()
    except CaRefused as refusal:
        get_logger().error("the CA cannot be used", problem=refusal.detail, advice=refusal.advice)
        raise SystemExit(2) from refusal
    enroll.linter.warm_up()
    bulk = enroll.bulk
    duties = {
        **_status_duties(enroll, ca),
        "issue": lambda: enroll.issue(ca, enroll.linter),
        "bulk_order": bulk.order,
        "bulk_read": bulk.read,
        "bulk_end": bulk.end,
        "bulk_finish": every(FINISH_EVERY_SECONDS, bulk.finish),
        "bulk_late": every(LATE_EVERY_SECONDS, bulk.late),
        "bulk_watch": every(WATCH_EVERY_SECONDS, bulk.watch),
        "end_deserted": every(DESERTED_EVERY_SECONDS, enroll.end_deserted),
        "tell_approvers": every(APPROVALS_EVERY_SECONDS, enroll.tell_approvers),
        "prune": every(PRUNE_EVERY_SECONDS, lambda: enroll.transactions.prune(enroll.clock.now())),
    }
    run_worker(enroll.settings, enroll.bus, enroll.messenger(), duties)


def _status_duties(enroll: Enroll, ca: BuiltinCa) -> dict[str, Duty]:
    if not ca.signs_lists:
        get_logger().warning("the CA may not sign revocation lists, so there are none and certificates name none")
        return {}
    return {  # before certificates name them
        "renew_responder": every(RESPONDER_EVERY_SECONDS, lambda: enroll.renew_responder(ca, enroll.linter)),
        "publish_lists": every(LISTS_EVERY_SECONDS, lambda: enroll.publish_lists(ca)),
    }


def every(seconds: float, duty: Duty) -> Duty:
    """`duty`, looked after at once and then every `seconds`; as long as it finds something to do, without a pause."""
    due_at = 0.0

    def when_due() -> int:
        nonlocal due_at
        if time.monotonic() < due_at:
            return 0
        done = duty()
        if not done:
            due_at = time.monotonic() + seconds
        return done

    return when_due
