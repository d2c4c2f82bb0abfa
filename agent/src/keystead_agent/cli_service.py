"""The composition root of `keystead-agent service`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keystead_agent.helper import Helper
    from keystead_agent.local.server import Listener
    from keystead_agent.machine import Machine
    from keystead_agent.settings import Settings
    from keystead_agent.windows.dispatch import Controls, Reports


def run_service(settings: Callable[[], Settings], now: Callable[[], datetime], *, as_json: bool) -> None:
    """Serves this computer until told to stop (raises Stopped): by Windows' service control manager, by SIGTERM, in a
    terminal by Ctrl-C."""
    if sys.platform == "win32" and _under_windows(settings, now):
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


def _under_windows(settings: Callable[[], Settings], now: Callable[[], datetime]) -> bool:
    """False if nobody but a terminal started this process. What takes time to import comes later."""
    from keystead_agent.windows.dispatch import dispatch

    def live(reports: Reports, controls: Controls) -> bool:
        from keystead_agent.windows import service

        return service.live(settings, now, reports, controls)

    return dispatch(live)
