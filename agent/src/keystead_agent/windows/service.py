"""The Windows service KeysteadAgent: the states that the service control manager is told, around `service.serve`.

It runs as LocalSystem in its own process, started as `keystead-agent.exe service`. A stop lets the job that is being
done end, for STOP_PATIENCE seconds at most: whatever is cut off goes on at the next start, as after a power cut.
"""

from __future__ import annotations

import ctypes
import os
import threading
import traceback
from collections.abc import Callable
from typing import Protocol

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.errors import AgentError
from keystead_agent.journal import Clock, JobEntry
from keystead_agent.local.server import Listener
from keystead_agent.machine import Machine
from keystead_agent.memory import give_back_memory
from keystead_agent.service import Gate, serve
from keystead_agent.settings import Settings
from keystead_agent.windows import _advapi32 as a
from keystead_agent.windows._advapi32 import advapi32
from keystead_agent.windows._dll import Win32Error
from keystead_agent.windows.control import NAME
from keystead_agent.windows.eventlog import EventLog, LogTeller
from keystead_agent.windows.pipe import PipeListener
from keystead_agent.worker import Tell
from keystead_contracts.agent import DeviceJob, MachineInfo

START_HINT, STOP_HINT = 60_000, 30_000
"""Milliseconds that the service control manager waits for before it gives up."""
STOP_PATIENCE = 15.0
EXIT_FAILED = 1


class Reports(Protocol):
    """Tells the service control manager how it stands; see SetServiceStatus."""

    def state(self, state: int, *, hint: int = 0, failed: bool = False) -> None:
        """The service is in `state` now; `hint` milliseconds until the next."""


class OwnHands:
    """The machine's keys, used in this process: CNG keeps them in another one already."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def info(self) -> MachineInfo:
        """See `Machine.info`."""
        return self._machine.info()

    def perform(self, server: str, recipient: str, job: DeviceJob) -> JobEntry:
        """See `Machine.perform`."""
        return self._machine.perform(server, recipient, job)

    def assertion(self, origin: str) -> str:
        """See `Machine.assertion`."""
        return self._machine.assertion(origin)

    def tidy(self) -> None:
        """See `run.Hands`."""
        give_back_memory()


class ServiceProcess:
    """The service's life, in the words of winsvc.h. `prepare` makes the machine and the listener when it starts."""

    def __init__(
        self, prepare: Callable[[], tuple[Machine, Listener]], tell: Tell, *, patience: float = STOP_PATIENCE
    ) -> None:
        self._prepare = prepare
        self._tell = tell
        self._patience = patience
        self._stop = Stop()
        self._ended = threading.Event()
        self.crashed = False

    def control(self, number: int) -> int:
        """Answers a control of the service control manager (HandlerEx)."""
        if number in (a.SERVICE_CONTROL_STOP, a.SERVICE_CONTROL_SHUTDOWN):
            self._ended.set()
            return a.NO_ERROR
        return a.NO_ERROR if number == a.SERVICE_CONTROL_INTERROGATE else a.ERROR_CALL_NOT_IMPLEMENTED

    def live(self, reports: Reports) -> None:
        """From start to stop."""
        reports.state(a.SERVICE_START_PENDING, hint=START_HINT)
        try:
            machine, listener = self._prepare()
        except AgentError as error:
            self._tell("not_started", reason=error.detail, hint=error.advice)
            reports.state(a.SERVICE_STOPPED, failed=True)
            return
        gate = Gate(OwnHands(machine))
        threading.Thread(target=self._serve, args=[machine, gate, listener], name="service", daemon=True).start()
        reports.state(a.SERVICE_RUNNING)
        self._tell("started")
        self._ended.wait()
        if self.crashed:
            return
        reports.state(a.SERVICE_STOP_PENDING, hint=STOP_HINT)
        self._stop.request()
        listener.close()
        gate.shut(self._patience)
        self._tell("stopped")
        reports.state(a.SERVICE_STOPPED)

    def _serve(self, machine: Machine, gate: Gate, listener: Listener) -> None:
        try:
            serve(machine, gate, listener, stop=self._stop, tell=self._tell)
        except Stopped:
            pass
        except BaseException:
            self.crashed = True
            self._tell("crashed", reason=traceback.format_exc())
        self._ended.set()


def run_under_windows(settings: Callable[[], Settings], now: Clock) -> bool:
    """Lives as the service, until it is stopped. False at once if the service control manager has not started this
    process. A process that crashed ends without saying that it stopped, so that Windows starts it again."""
    process = ServiceProcess(lambda: _prepared(settings, now), LogTeller(EventLog()))
    handler = a.HandlerEx(lambda number, _kind, _data, _context: process.control(number))

    def main(_count: int, _arguments: object) -> None:
        try:
            process.live(_ScmReports(advapi32.must("RegisterServiceCtrlHandlerExW", NAME, handler, None)))
        except BaseException:
            process.crashed = True
            LogTeller(EventLog())("crashed", reason=traceback.format_exc())
        if process.crashed:
            os._exit(EXIT_FAILED)

    service_main = a.ServiceMain(main)
    table = (a.ServiceTableEntry * 2)(a.ServiceTableEntry(NAME, service_main))
    try:
        advapi32.must("StartServiceCtrlDispatcherW", table)
    except Win32Error as error:
        if error.code == a.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT:
            return False
        raise
    os._exit(0)  # threads that wait for a server are not waited for


def _prepared(settings: Callable[[], Settings], now: Clock) -> tuple[Machine, Listener]:
    machine = Machine.of(settings(), now)
    machine.recover(lambda _pid: None)
    return machine, PipeListener()


class _ScmReports:
    """SetServiceStatus, with rising check points while something is pending."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._checkpoint = 0

    def state(self, state: int, *, hint: int = 0, failed: bool = False) -> None:
        """See `Reports`."""
        pending = state in (a.SERVICE_START_PENDING, a.SERVICE_STOP_PENDING)
        self._checkpoint = self._checkpoint + 1 if pending else 0
        running = state == a.SERVICE_RUNNING
        status = a.ServiceStatus(
            dwServiceType=a.SERVICE_WIN32_OWN_PROCESS,
            dwCurrentState=state,
            dwControlsAccepted=a.SERVICE_ACCEPT_STOP | a.SERVICE_ACCEPT_SHUTDOWN if running else 0,
            dwWin32ExitCode=a.ERROR_SERVICE_SPECIFIC_ERROR if failed else a.NO_ERROR,
            dwServiceSpecificExitCode=EXIT_FAILED if failed else 0,
            dwCheckPoint=self._checkpoint,
            dwWaitHint=hint,
        )
        advapi32.must("SetServiceStatus", self._handle, ctypes.byref(status))
