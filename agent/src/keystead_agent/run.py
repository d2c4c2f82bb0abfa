"""Running for ever: the registered device's stream, and the claims that an interrupted `enroll` left open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.device import DeviceStore, Registered
from keystead_agent.enroll import ClaimHeld, EnrollmentFailed, resume
from keystead_agent.errors import AgentError, NotRegistered
from keystead_agent.journal import DEVICE, ClaimEntry, JobEntry
from keystead_agent.keystore.attesting import SharedIdentity
from keystead_agent.local.rules import Scoped
from keystead_agent.machine import Machine
from keystead_agent.memory import give_back_memory
from keystead_agent.quiet import Quiet
from keystead_agent.telling import Tell
from keystead_agent.worker import Tokens, Worker
from keystead_contracts.agent import DeviceJob, MachineInfo, TokenRequest
from keystead_contracts.attestation import AttestationKey, CredentialChallenge
from keystead_contracts.base import CertificateScope


class Hands(Protocol):
    """Who has the keys of a process that runs for ever: `helper.Helper`."""

    def info(self) -> MachineInfo:
        """See `Machine.info`."""

    def attestation(self) -> AttestationKey | None:
        """See `Machine.attestation`."""

    def shared_identity(self) -> SharedIdentity | None:
        """See `Machine.shared_identity`."""

    def open_challenge(self, credential: bytes, secret: bytes) -> bytes:
        """See `Machine.open_challenge`."""

    def perform(
        self, server: str, recipient: str, job: DeviceJob, challenge: CredentialChallenge | None = None
    ) -> JobEntry:
        """See `Machine.perform`."""

    def retire(self) -> list[str]:
        """See `Machine.retire`."""

    def assertion(self, origin: str) -> str:
        """See `Machine.assertion`."""

    def register(self, server: str, token: str) -> Registered:
        """See `Machine.register`."""

    def tidy(self) -> None:
        """Frees what is not in use."""


def run(machine: Machine, helper: Hands, *, stop: Stop, tell: Tell, quiet: Quiet | None = None) -> None:
    """Works until told to stop (raises Stopped), or until the server refuses the device for good. Without a device
    identity it finishes the open claims; raises NotRegistered if there are none. Raises AgentBusy if another process
    runs already. `quiet` learns when there is nothing to do."""
    with machine.running():
        _run(machine, helper, stop, tell, quiet or Quiet())


def _run(machine: Machine, helper: Hands, stop: Stop, tell: Tell, quiet: Quiet) -> None:
    claims = machine.journal.open_claims()
    try:
        identity, _ = DeviceStore(machine.settings.state_dir).registered()
    except NotRegistered:
        if not claims:
            raise
        threads = [_Finishing(machine, helper, claim, stop, tell, quiet) for claim in claims]
        for thread in threads:
            with stop.waiting():
                thread.join()
        if not all(thread.finished for thread in threads):
            raise EnrollmentFailed("an interrupted enrollment could not be finished", "Enroll again.") from None
        return
    for claim in claims:
        _Finishing(machine, helper, claim, stop, tell, quiet)
    with machine.connect(identity.server) as client:
        tokens = Tokens(lambda: client.device_token(TokenRequest(assertion=helper.assertion(client.origin))))
        worker = Worker(
            machine.journal,
            Scoped(helper, machine=True, by_type=False).perform,
            client,
            tokens,
            recipient=DEVICE,
            stop=stop,
            tell=_tidying(tell, helper),
            discard_key=machine.discard_key,
            retire=helper.retire,
            quiet=quiet,
        )
        worker.finish_reports()
        for _ in worker.follow():
            give_back_memory()


def _tidying(tell: Tell, helper: Hands) -> Tell:
    """`tell`, tidying up when a new stream begins."""

    def tell_and_tidy(event: str, /, **fields: object) -> None:
        tell(event, **fields)
        if event == "connected":
            helper.tidy()
            give_back_memory()

    return tell_and_tidy


def _finish_claim(machine: Machine, helper: Hands, claim: ClaimEntry, stop: Stop, tell: Tell) -> bool:
    """Whether the claim's order is installed, or another process sees to it."""
    keeper = Scoped(helper, machine=True) if claim.scope is CertificateScope.MACHINE else helper
    try:
        done = resume(machine, keeper, claim, stop=stop, tell=tell, patience=None)
    except ClaimHeld:
        return True
    except AgentError as error:
        tell("enrollment_failed", server=claim.server, reason=error.detail, hint=error.advice)
        return False
    tell("enrolled", order=done.order_id, location=done.location)
    return True


class _Finishing(threading.Thread):
    """Sees to one claim beside everything else: a server that is away keeps nobody waiting but its own claim."""

    def __init__(
        self, machine: Machine, helper: Hands, claim: ClaimEntry, stop: Stop, tell: Tell, quiet: Quiet
    ) -> None:
        super().__init__(name="claim", daemon=True)
        self.finished = False
        self._quiet = quiet
        self._work: Callable[[], bool] = lambda: _finish_claim(machine, helper, claim, stop, tell)
        self.start()

    def run(self) -> None:
        with suppress(Stopped), self._quiet.busy():
            self.finished = self._work()
