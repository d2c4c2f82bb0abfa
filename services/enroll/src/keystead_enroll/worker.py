"""The worker of enroll: issues certificates and relays facts."""

from __future__ import annotations

import time

from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.domain.errors import CaRefused
from keystead_kit.logs import get_logger
from keystead_kit.worker import run_worker

PRUNE_EVERY_SECONDS = 300.0


def run(enroll: Enroll) -> None:
    """Works until SIGTERM. Exits 2 with advice if the CA cannot be used."""
    try:
        ca = enroll.open_ca()
    except CaRefused as refusal:
        get_logger().error("the CA cannot be used", problem=refusal.detail, advice=refusal.advice)
        raise SystemExit(2) from refusal
    linter = PkilintLinter()
    linter.warm_up()
    last_pruned = 0.0

    def prune() -> int:
        nonlocal last_pruned
        if time.monotonic() - last_pruned >= PRUNE_EVERY_SECONDS or not last_pruned:
            last_pruned = time.monotonic()
            return enroll.transactions.prune(enroll.clock.now())
        return 0

    duties = {"issue": lambda: enroll.issue(ca, linter), "prune": prune}
    run_worker(enroll.settings, enroll.bus, enroll.messenger(), duties)
