"""The Windows service KeysteadAgent: its life around `service.serve`, as winsvc.h wants it told.

It runs as LocalSystem in its own process, started as `keystead-agent.exe service`. A stop lets the job that is being
done end, for STOP_PATIENCE seconds at most: whatever is cut off goes on at the next start, as after a power cut.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Protocol

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.errors import AgentError
from keystead_agent.helper import Helper
from keystead_agent.journal import Clock
from keystead_agent.local.server import Listener
from keystead_agent.machine import Machine
from keystead_agent.service import Gate, serve
from keystead_agent.settings import Settings
from keystead_agent.spawned import Spawned
from keystead_agent.windows import _advapi32 as a
from keystead_agent.windows.dispatch import Controls
from keystead_agent.windows.eventlog import EventLog, LogTeller, log_to_event_log
from keystead_agent.windows.pipe import PIPE, PipeListener
from keystead_agent.worker import Tell

STOP_HINT = 30_000
"""Milliseconds that the service control manager waits for before it gives up."""
STOP_PATIENCE = 15.0


class Reports(Protocol):
    """See `dispatch.Reports`."""

    def state(self, state: int, *, hint: int = 0, failed: bool = False) -> None:
        """See `dispatch.Reports`."""


class ServiceLife:
    """From start to stop. `prepare` makes the machine, who has its keys, and the listener."""

    def __init__(
        self,
        prepare: Callable[[], tuple[Machine, Helper, Listener]],
        controls: Controls,
        tell: Tell,
        *,
        patience: float = STOP_PATIENCE,
    ) -> None:
        self._prepare = prepare
        self._controls = controls
        self._tell = tell
        self._patience = patience
        self._stop = Stop()
        self._crashed = False

    def live(self, reports: Reports) -> bool:
        """Whether it stopped as it was told to, or said that it cannot start."""
        try:
            machine, helper, listener = self._prepare()
        except AgentError as error:
            self._tell("not_started", reason=error.detail, hint=error.advice)
            reports.state(a.SERVICE_STOPPED, failed=True)
            return True
        gate = Gate(helper)
        threading.Thread(target=self._serve, args=[machine, gate, listener], name="service", daemon=True).start()
        reports.state(a.SERVICE_RUNNING)
        self._tell("started")
        self._controls.told_to_stop.wait()
        if self._crashed:
            return False
        reports.state(a.SERVICE_STOP_PENDING, hint=STOP_HINT)
        self._stop.request()
        listener.close()
        if gate.shut(self._patience):
            helper.close()
        else:
            helper.kill()
        self._tell("stopped")
        reports.state(a.SERVICE_STOPPED)
        return True

    def _serve(self, machine: Machine, gate: Gate, listener: Listener) -> None:
        try:
            serve(machine, gate, listener, stop=self._stop, tell=self._tell)
        except Stopped:
            pass
        except BaseException:
            self._crashed = True
            self._tell("crashed", reason=traceback.format_exc())
        self._controls.told_to_stop.set()


def live(
    settings: Callable[[], Settings], now: Clock, reports: Reports, controls: Controls, *, pipe: str = PIPE
) -> bool:
    """The service's life on this computer; see `dispatch.dispatch`."""
    tell = LogTeller(EventLog())
    log_to_event_log()
    try:
        return ServiceLife(lambda: _prepared(settings, now, pipe), controls, tell).live(reports)
    except BaseException:
        tell("crashed", reason=traceback.format_exc())
        return False


def _prepared(settings: Callable[[], Settings], now: Clock, pipe: str) -> tuple[Machine, Helper, Listener]:
    machine = Machine.of(settings(), now, machine_keys=True)
    helper = Helper(machine, start=Spawned)
    helper.recover()
    return machine, helper, PipeListener(pipe)
