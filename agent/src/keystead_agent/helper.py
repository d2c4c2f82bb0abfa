"""A process beside `run` that has the keys: started when there is work, gone when there is none. Here it is a fork(2)
of this one; where there is none, see `spawned`.

What waits for days then holds neither the TPM's software nor `cryptography` in memory, a TPM that hangs can be ended
with its process, and a crash in a driver's library takes only one job's attempt with it.
"""

from __future__ import annotations

import logging
import os
import pickle
import select
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

from keystead_agent.device import Registered
from keystead_agent.errors import AgentError, TpmFailed
from keystead_agent.journal import JobEntry
from keystead_agent.keystore.attesting import SharedIdentity
from keystead_agent.machine import Machine
from keystead_contracts.agent import DeviceJob, MachineInfo
from keystead_contracts.attestation import AttestationKey, CredentialChallenge

IDLE_LIMIT = 30.0
"""Seconds without work after which the process ends."""
WORK_LIMIT = 900.0
"""Seconds after which a piece of work is given up; the slowest TPMs take minutes for the largest keys."""
_log = logging.getLogger(__name__)


class Died(Exception):
    """The process ended without an answer."""


class Process(Protocol):
    """The parent's end of one helper process."""

    def alive(self) -> bool:
        """Whether it waits for work; one that went idle and ended is cleaned up."""

    def call(self, request: object, limit: float) -> object:
        """The answer to `request`. Raises Died, and TpmFailed if there is none within `limit` seconds."""

    def close(self) -> None:
        """Ends it when it has finished."""

    def kill(self) -> None:
        """Ends it now."""


class Helper:
    """Does for `machine` what needs its keys, in another process. One piece of work at a time; thread-safe. `start`
    makes the process for a machine, to end after some seconds without work."""

    def __init__(
        self,
        machine: Machine,
        *,
        start: Callable[[Machine, float], Process] | None = None,
        idle_limit: float = IDLE_LIMIT,
        work_limit: float = WORK_LIMIT,
    ) -> None:
        self._machine = machine
        self._start = start or Forked
        self._idle_limit = idle_limit
        self._work_limit = work_limit
        self._mutex = threading.Lock()
        self._process: Process | None = None

    def info(self) -> MachineInfo:
        """See `Machine.info`."""
        return cast(MachineInfo, self._call("info"))

    def attestation(self) -> AttestationKey | None:
        """See `Machine.attestation`."""
        return cast("AttestationKey | None", self._call("attestation"))

    def shared_identity(self) -> SharedIdentity | None:
        """See `Machine.shared_identity`."""
        return cast("SharedIdentity | None", self._call("shared_identity"))

    def open_challenge(self, credential: bytes, secret: bytes) -> bytes:
        """See `Machine.open_challenge`."""
        return cast(bytes, self._call("open_challenge", credential, secret))

    def perform(
        self, server: str, recipient: str, job: DeviceJob, challenge: CredentialChallenge | None = None
    ) -> JobEntry:
        """See `Machine.perform`. Raises TpmFailed if the process hangs or dies over it twice."""
        return cast(JobEntry, self._call("perform", server, recipient, job, challenge))

    def retire(self) -> list[str]:
        """See `Machine.retire`."""
        return cast(list[str], self._call("retire"))

    def assertion(self, origin: str) -> str:
        """See `Machine.assertion`."""
        return cast(str, self._call("assertion", origin))

    def register(self, server: str, token: str) -> Registered:
        """See `Machine.register`."""
        return cast(Registered, self._call("register", server, token))

    def recover(self) -> None:
        """See `Machine.recover`."""
        self._call("recover")

    def tidy(self) -> None:
        """Cleans up after a process that went idle and ended."""
        with self._mutex:
            if self._process is not None and not self._process.alive():
                self._process = None

    def close(self) -> None:
        """Lets the process finish what it does, and end."""
        with self._mutex:
            if self._process is not None:
                self._process.close()
                self._process = None

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        process = self._process
        if process is not None:
            process.kill()

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, *arguments: object) -> object:
        with self._mutex:
            for _ in range(2):
                with suppress(Died):
                    return self._attempt(method, arguments)
            raise TpmFailed(
                "the process that uses the TPM ended unexpectedly",
                "Try again; if it stays so, update the TPM's firmware. The system's journal may say more.",
            )

    def _attempt(self, method: str, arguments: tuple[object, ...]) -> object:
        if self._process is None or not self._process.alive():
            self._process = self._start(self._machine, self._idle_limit)
        try:
            answer = self._process.call((method, arguments), self._work_limit)
        except (Died, TpmFailed):
            self._process.kill()
            self._process = None
            raise
        if isinstance(answer, AgentError):
            raise answer
        return answer


def too_slow(limit: float) -> TpmFailed:
    """Nothing came within `limit` seconds."""
    return TpmFailed(
        f"the TPM did not finish within {limit:.0f} seconds",
        "Restart the computer; if it stays so, update the TPM's firmware.",
    )


def answer_to(machine: Machine, request: Any) -> object:
    """What a helper process answers. What it does not know ends the process, and is in the log."""
    method, arguments = request
    try:
        return getattr(machine, method)(*arguments)
    except AgentError as error:
        return error
    except Exception:
        _log.exception("helper_crashed")
        raise


class Forked:
    """A fork of this process; see `Process`."""

    def __init__(self, machine: Machine, idle_limit: float) -> None:
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            _become_helper(machine, theirs, idle_limit)
        theirs.close()
        self._socket = ours
        self._stream = ours.makefile("rwb")

    def alive(self) -> bool:
        """See `Process`."""
        readable, _, _ = select.select([self._socket], [], [], 0)
        if not readable:
            return True
        self.kill()
        return False

    def call(self, request: object, limit: float) -> object:
        """See `Process`."""
        try:
            pickle.dump(request, self._stream)
            self._stream.flush()
            readable, _, _ = select.select([self._socket], [], [], limit)
            if not readable:
                raise too_slow(limit)
            return pickle.load(self._stream)  # noqa: S301 from our own child over a private socket
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise Died from error

    def close(self) -> None:
        """See `Process`."""
        self._hang_up()
        os.waitpid(self._pid, 0)

    def kill(self) -> None:
        """See `Process`."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self.close()

    def _hang_up(self) -> None:
        with suppress(OSError):
            self._stream.close()
        self._socket.close()


def _become_helper(machine: Machine, link: socket.socket, idle_limit: float) -> None:
    """Never returns. The parent decides when to stop: signals that are meant for both are ignored, and the parent's
    connections are closed here so that they end when the parent closes them."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        _close_all_but(link.fileno())
        _serve(machine, link, idle_limit)
    finally:
        os._exit(0)


def _close_all_but(kept: int) -> None:
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor != kept:
            with suppress(OSError):
                os.close(descriptor)


def _serve(machine: Machine, link: socket.socket, idle_limit: float) -> None:
    stream = link.makefile("rwb")
    while True:
        readable, _, _ = select.select([link], [], [], idle_limit)
        if not readable:
            return
        try:
            request = pickle.load(stream)  # noqa: S301 from our own parent over a private socket
        except EOFError:
            return
        pickle.dump(answer_to(machine, request), stream)
        stream.flush()
