"""Running for ever: the registered device's stream, and the claims that an interrupted `enroll` left open."""

from __future__ import annotations

import threading
from contextlib import suppress

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.device import DeviceStore
from keystead_agent.enroll import ClaimHeld, EnrollmentFailed, resume
from keystead_agent.errors import AgentError, NotRegistered
from keystead_agent.helper import Helper
from keystead_agent.journal import DEVICE, ClaimEntry
from keystead_agent.machine import Machine
from keystead_agent.memory import give_back_memory
from keystead_agent.worker import Tell, Tokens, Worker
from keystead_contracts.agent import TokenRequest


def run(machine: Machine, helper: Helper, *, stop: Stop, tell: Tell) -> None:
    """Works until told to stop (raises Stopped), or until the server refuses the device for good. Without a device
    identity it finishes the open claims; raises NotRegistered if there are none."""
    claims = machine.journal.open_claims()
    try:
        identity, _ = DeviceStore(machine.settings.state_dir).registered()
    except NotRegistered:
        if not claims:
            raise
        finished = [_finish_claim(machine, helper, claim, stop, tell) for claim in claims]
        if not all(finished):
            raise EnrollmentFailed("an interrupted enrollment could not be finished", "Enroll again.") from None
        return
    for claim in claims:
        threading.Thread(target=_finish_beside, args=(machine, helper, claim, stop, tell), daemon=True).start()
    with machine.connect(identity.server) as client:
        tokens = Tokens(lambda: client.device_token(TokenRequest(assertion=helper.assertion(client.origin))))
        worker = Worker(
            machine.journal, helper.perform, client, tokens, recipient=DEVICE, stop=stop, tell=_tidying(tell, helper)
        )
        worker.finish_reports()
        for _ in worker.follow():
            give_back_memory()


def _tidying(tell: Tell, helper: Helper) -> Tell:
    """`tell`, tidying up when a new stream begins."""

    def tell_and_tidy(event: str, /, **fields: object) -> None:
        tell(event, **fields)
        if event == "connected":
            helper.tidy()
            give_back_memory()

    return tell_and_tidy


def _finish_claim(machine: Machine, helper: Helper, claim: ClaimEntry, stop: Stop, tell: Tell) -> bool:
    """Whether the claim's order is installed, or another process sees to it."""
    try:
        done = resume(machine, helper, claim, stop=stop, tell=tell, patience=None)
    except ClaimHeld:
        return True
    except AgentError as error:
        tell("enrollment_failed", server=claim.server, reason=error.detail, hint=error.advice)
        return False
    tell("enrolled", order=done.order_id, location=done.location)
    return True


def _finish_beside(machine: Machine, helper: Helper, claim: ClaimEntry, stop: Stop, tell: Tell) -> None:
    with suppress(Stopped):
        _finish_claim(machine, helper, claim, stop, tell)
