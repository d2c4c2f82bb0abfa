"""The composition root of `keystead-agent service`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keystead_agent.helper import Helper
    from keystead_agent.local.connection import Listener
    from keystead_agent.machine import Machine
    from keystead_agent.settings import Settings
    from keystead_agent.telling import Tell
    from keystead_agent.windows.dispatch import Controls, Reports


def run_service(settings: Callable[[], Settings], now: Callable[[], datetime], *, as_json: bool) -> None:
    """Serves this computer until told to stop (raises Stopped): by Windows' service control manager, by SIGTERM, in a
    terminal by Ctrl-C."""
    if sys.platform == "win32" and _under_windows():
        return
    from keystead_agent.backoff import Stop
    from keystead_agent.machine import Machine
    from keystead_agent.output import say_who_works, teller
    from keystead_agent.service import Gate, serve

    stop = Stop()
    stop.on_signals()
    machine = Machine.of(settings(), now, machine_keys=True)
    machine.recover(say_who_works)
    with hands_of(machine) as hands:
        serve(machine, Gate(hands), _listener(machine), stop=stop, tell=teller(as_json=as_json, log=True))


def hands_of(machine: Machine) -> Helper:
    """Who has the keys of a process that runs for ever. To be closed."""
    from keystead_agent.helper import Helper

    if sys.platform == "win32":
        from keystead_agent.spawned import Spawned

        return Helper(machine, start=Spawned)
    return Helper(machine)


def _listener(machine: Machine) -> Listener:
    if sys.platform == "win32":
        from keystead_agent.windows.pipe import PipeListener

        return PipeListener()
    from keystead_agent.local.unix import UnixListener

    return UnixListener(machine.settings.socket)


def _under_windows() -> bool:
    """False if nobody but a terminal started this process. What takes time to import comes later."""
    from keystead_agent.windows.dispatch import dispatch

    def live(reports: Reports, controls: Controls) -> bool:
        from keystead_agent.piped import own_command
        from keystead_agent.windows import service

        return service.live(own_command("setup", "duty"), reports, controls)

    return dispatch(live)


def run_duty(settings: Callable[[], Settings], now: Callable[[], datetime]) -> None:
    """Works for the process of the service that started this one. Never returns."""
    from keystead_agent.duty import come_on_duty
    from keystead_agent.helper import Helper
    from keystead_agent.machine import Machine
    from keystead_agent.spawned import Spawned

    def make() -> tuple[Machine, Helper]:
        machine = Machine.of(settings(), now, machine_keys=True)
        return machine, Helper(machine, start=Spawned)

    come_on_duty(make, _duty_teller())


def _duty_teller() -> Tell:
    """The service has no terminal: what happens is for the event log."""
    if sys.platform == "win32":
        from keystead_agent.windows.eventlog import EventLog, LogTeller, log_to_event_log

        log_to_event_log()
        return LogTeller(EventLog())
    from keystead_agent.output import teller

    return teller(as_json=False, log=True)
