"""The composition root of `keystead-agent service`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from keystead_agent.backoff import Stop
from keystead_agent.journal import Clock
from keystead_agent.machine import Machine
from keystead_agent.output import say_who_works, teller
from keystead_agent.service import Gate, serve
from keystead_agent.settings import Settings


def run_service(settings: Callable[[], Settings], now: Clock, *, as_json: bool) -> None:
    """Serves this computer until told to stop (raises Stopped): by Windows' service control manager, by SIGTERM, in a
    terminal by Ctrl-C."""
    if sys.platform == "win32":
        from keystead_agent.windows.service import run_under_windows

        if run_under_windows(settings, now):
            return
    stop = Stop()
    stop.on_signals()
    machine = Machine.of(settings(), now)
    machine.recover(say_who_works)
    tell = teller(as_json=as_json, log=True)
    if sys.platform == "win32":
        from keystead_agent.windows.pipe import PipeListener
        from keystead_agent.windows.service import OwnHands

        serve(machine, Gate(OwnHands(machine)), PipeListener(), stop=stop, tell=tell)
    else:
        from keystead_agent.helper import Helper
        from keystead_agent.local.unix import UnixListener

        listener = UnixListener(machine.settings.socket)
        with Helper(machine) as helper:
            serve(machine, Gate(helper), listener, stop=stop, tell=tell)
