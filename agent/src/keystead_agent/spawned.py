"""The helper process where there is no fork(2): this program once more, as `keystead-agent setup helper`, spoken with
over its standard input and output."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from keystead_agent.helper import Died, answer_to, too_slow
from keystead_agent.journal import Clock
from keystead_agent.machine import Machine
from keystead_agent.piped import ENDED, Piped, arriving, own_command
from keystead_agent.settings import Settings


@dataclass(frozen=True)
class Beginning:
    """What the process is told first: of which machine it has the keys, and when to end for want of work."""

    settings: Settings
    pid: int
    machine_keys: bool
    idle_limit: float


class Spawned:
    """A process of `command`; see `helper.Process`."""

    def __init__(self, machine: Machine, idle_limit: float, command: Sequence[str] = ()) -> None:
        self._process = Piped(command or own_command("setup", "helper"))
        with suppress(OSError):  # it has ended; the first call says so
            self._process.send(Beginning(machine.settings, machine.pid, machine.machine_keys, idle_limit))

    def alive(self) -> bool:
        """See `helper.Process`."""
        return self._process.alive()

    def call(self, request: object, limit: float) -> object:
        """See `helper.Process`."""
        try:
            self._process.send(request)
            answer = self._process.arrived.get(timeout=limit)
        except OSError as error:
            raise Died from error
        except Empty:
            raise too_slow(limit) from None
        if answer is ENDED:
            raise Died
        return answer

    def close(self) -> None:
        """See `helper.Process`."""
        self._process.close()

    def kill(self) -> None:
        """See `helper.Process`."""
        self._process.kill()


def help_parent(now: Clock, make: Callable[[Beginning, Clock], Machine] | None = None) -> None:
    """The life of the process. Never returns. The parent decides when to stop: signals that are meant for both are
    ignored, and the end of standard input is the end."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        requests = arriving(sys.stdin.buffer)
        beginning = requests.get()
        if isinstance(beginning, Beginning):
            _log_for(beginning)
            _serve((make or _machine)(beginning, now), requests, beginning.idle_limit)
    finally:
        os._exit(0)


def _log_for(beginning: Beginning) -> None:
    """The service has no terminal: what goes wrong in its helper is for the event log."""
    if sys.platform == "win32" and beginning.machine_keys:
        from keystead_agent.windows.eventlog import log_to_event_log

        log_to_event_log()


def _machine(beginning: Beginning, now: Clock) -> Machine:
    machine = Machine.of(beginning.settings, now, machine_keys=beginning.machine_keys)
    return replace(machine, pid=beginning.pid)


def _serve(machine: Machine, requests: SimpleQueue[object], idle_limit: float) -> None:
    with suppress(Empty, OSError):
        while (request := requests.get(timeout=idle_limit)) is not ENDED:
            pickle.dump(answer_to(machine, request), sys.stdout.buffer)
            sys.stdout.buffer.flush()
