"""The service control manager's side of a service's process. It waits for a new process for some seconds only, on a
busy computer less than the agent's own modules take: this file imports none of them."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable

from keystead_agent.windows import _advapi32 as a
from keystead_agent.windows._advapi32 import advapi32
from keystead_agent.windows._dll import Win32Error
from keystead_agent.windows.control import NAME

START_HINT = 180_000
"""Milliseconds that the service control manager waits for before it gives up: three processes start one after the
other."""
EXIT_FAILED = 1


class Controls:
    """What the service control manager has asked for. `told_to_stop` may be set by others too."""

    def __init__(self) -> None:
        self.told_to_stop = threading.Event()

    def control(self, number: int) -> int:
        """Answers a control (HandlerEx)."""
        if number in (a.SERVICE_CONTROL_STOP, a.SERVICE_CONTROL_SHUTDOWN):
            self.told_to_stop.set()
            return a.NO_ERROR
        return a.NO_ERROR if number == a.SERVICE_CONTROL_INTERROGATE else a.ERROR_CALL_NOT_IMPLEMENTED


class Reports:
    """Tells the service control manager how the service stands: SetServiceStatus, with rising check points while
    something is pending."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._checkpoint = 0

    def state(self, state: int, *, hint: int = 0, failed: bool = False) -> None:
        """The service is in `state` now; `hint` milliseconds until the next. Raises Win32Error."""
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


def dispatch(live: Callable[[Reports, Controls], bool]) -> bool:
    """Lives as the service, then ends the process. False at once if the service control manager has not started this
    process. `live` answers whether the service stopped as it was told to; if not, the process ends without having
    said that it stopped, so that Windows starts it again."""
    controls = Controls()
    handler = a.HandlerEx(lambda number, _kind, _data, _context: controls.control(number))

    def main(_count: int, _arguments: object) -> None:
        well = False
        try:
            reports = Reports(advapi32.must("RegisterServiceCtrlHandlerExW", NAME, handler, None))
            reports.state(a.SERVICE_START_PENDING, hint=START_HINT)
            well = live(reports, controls)
        finally:
            if not well:
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
