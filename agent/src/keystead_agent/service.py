"""Working for the computer for ever: the registered device's stream, and what users' processes ask for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.device import DeviceStore, Registered
from keystead_agent.doorbell import Idle, stamp
from keystead_agent.errors import AgentError, NotRegistered, StoreUnwritable
from keystead_agent.installation import follow_order
from keystead_agent.journal import JobEntry
from keystead_agent.keystore.attesting import SharedIdentity
from keystead_agent.local.connection import Listener
from keystead_agent.local.server import LocalServer
from keystead_agent.machine import Machine
from keystead_agent.quiet import Quiet
from keystead_agent.run import Hands, run
from keystead_agent.telling import Tell
from keystead_contracts.agent import DeviceJob, MachineInfo
from keystead_contracts.attestation import AttestationKey, CredentialChallenge

REGISTRATION_PAUSE = 5.0
"""Seconds between two looks whether the computer was registered meanwhile."""
FAILURE_PAUSE = 60.0
"""Seconds until a device that the server refused, or a state directory that cannot be used, is tried again."""


class Gate:
    """Hands that can be told to finish: what is being done ends, nothing more begins."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._mutex = threading.Lock()

    def info(self) -> MachineInfo:
        """See `Machine.info`."""
        with self._mutex:
            return self._hands.info()

    def attestation(self) -> AttestationKey | None:
        """See `Machine.attestation`."""
        with self._mutex:
            return self._hands.attestation()

    def shared_identity(self) -> SharedIdentity | None:
        """See `Machine.shared_identity`."""
        with self._mutex:
            return self._hands.shared_identity()

    def open_challenge(self, credential: bytes, secret: bytes) -> bytes:
        """See `Machine.open_challenge`."""
        with self._mutex:
            return self._hands.open_challenge(credential, secret)

    def perform(
        self, server: str, recipient: str, job: DeviceJob, challenge: CredentialChallenge | None = None
    ) -> JobEntry:
        """See `Machine.perform`."""
        with self._mutex:
            return self._hands.perform(server, recipient, job, challenge)

    def retire(self) -> list[str]:
        """See `Machine.retire`."""
        with self._mutex:
            return self._hands.retire()

    def assertion(self, origin: str) -> str:
        """See `Machine.assertion`."""
        with self._mutex:
            return self._hands.assertion(origin)

    def register(self, server: str, token: str) -> Registered:
        """See `Machine.register`."""
        with self._mutex:
            return self._hands.register(server, token)

    def tidy(self) -> None:
        """See `Helper.tidy`."""
        self._hands.tidy()

    def shut(self, patience: float) -> bool:
        """Waits up to `patience` seconds for what is being done; from then on nothing begins. Whether it ended."""
        return self._mutex.acquire(timeout=patience)


def serve(
    machine: Machine, hands: Hands, listener: Listener, *, stop: Stop, tell: Tell, quiet: Quiet | None = None
) -> None:
    """Works until told to stop (raises Stopped); a computer that is not registered yet is looked at again and again.
    Raises AgentBusy if another process runs already. `quiet` learns when there is nothing to do."""
    quiet = quiet or Quiet()
    with _answering(machine, hands, listener, stop, tell):
        told = False
        while True:
            pause = REGISTRATION_PAUSE
            ordered = follow_order(machine.settings.state_dir, hands, tell)
            try:
                run(machine, hands, stop=stop, tell=tell, quiet=quiet)
            except NotRegistered:
                if not told:
                    tell("not_registered")
                told = True
            except AgentError as error:
                tell("failed", reason=error.detail, hint=error.advice)
                pause = FAILURE_PAUSE
            file = DeviceStore(machine.settings.state_dir).current_file
            idle = Idle(files={file: stamp(file)})
            before = _identity(machine)
            with quiet.lull(idle) if before is None and not ordered else nullcontext():
                _wait_for_registration(machine, stop, FAILURE_PAUSE if ordered else pause, ordered, before)


def _wait_for_registration(machine: Machine, stop: Stop, pause: float, ordered: bool, before: str | None) -> None:
    waited = 0.0
    while True:
        stop.sleep(REGISTRATION_PAUSE)
        waited += REGISTRATION_PAUSE
        now = _identity(machine)
        if now != before or ((ordered or now is not None) and waited >= pause):
            return


def _identity(machine: Machine) -> str | None:
    with suppress(StoreUnwritable):
        current = DeviceStore(machine.settings.state_dir).current()
        return current[0].device_id if current else None
    return None


@contextmanager
def _answering(machine: Machine, hands: Hands, listener: Listener, stop: Stop, tell: Tell) -> Iterator[None]:
    """Answers local requests in another thread."""
    server = LocalServer(machine, hands, stop=stop, tell=tell)
    thread = threading.Thread(target=server.serve, args=[listener], name="listener", daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.close()
        with suppress(Stopped):
            thread.join(1.0)
