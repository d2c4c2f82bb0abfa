"""The composition root of `keystead-agent service`."""

from __future__ import annotations

import sys

from keystead_agent.backoff import Stop
from keystead_agent.journal import Clock
from keystead_agent.machine import Machine
from keystead_agent.settings import Settings


def run_service(settings: Settings, now: Clock, *, as_json: bool) -> None:
    """Serves this computer until told to stop (raises Stopped). On Windows by the service control manager, in a
    terminal by Ctrl-C."""
    if sys.platform == "win32":
        from keystead_agent.windows.service import run_under_windows

        run_under_windows(settings, now)
    else:
        from keystead_agent.helper import Helper
        from keystead_agent.local.unix import UnixListener
        from keystead_agent.output import say_who_works, teller
        from keystead_agent.service import Gate, serve

        stop = Stop()
        stop.on_signals()
        machine = Machine.of(settings, now)
        machine.recover(say_who_works)
        listener = UnixListener(settings.socket)
        with Helper(machine) as helper:
            serve(machine, Gate(helper), listener, stop=stop, tell=teller(as_json=as_json, log=True))
