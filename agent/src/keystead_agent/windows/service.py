"""The Windows service KeysteadAgent: its life around `watch.Watch`, as winsvc.h wants it told.

It runs as LocalSystem in its own process, started as `keystead-agent.exe service`. A stop lets the job that is being
done end, for STOP_PATIENCE seconds at most: whatever is cut off goes on at the next start, as after a power cut.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from keystead_agent.errors import AgentError
from keystead_agent.local.connection import Listener
from keystead_agent.piped import Piped
from keystead_agent.telling import Tell
from keystead_agent.watch import Watch, Worker, WorkerDied
from keystead_agent.windows import _advapi32 as a
from keystead_agent.windows.dispatch import Controls
from keystead_agent.windows.eventlog import EventLog, LogTeller, log_to_event_log
from keystead_agent.windows.pipe import PIPE, PipeListener

STOP_HINT = 30_000
"""Milliseconds that the service control manager waits for before it gives up."""
STOP_PATIENCE = 20.0
"""Seconds; the process on duty gives up sooner (`duty.STOP_PATIENCE`)."""


class Reports(Protocol):
    """See `dispatch.Reports`."""

    def state(self, state: int, *, hint: int = 0, failed: bool = False) -> None:
        """See `dispatch.Reports`."""


class ServiceLife:
    """From start to stop. `prepare` makes the watch and the listener."""

    def __init__(
        self,
        prepare: Callable[[], tuple[Watch, Listener]],
        controls: Controls,
        tell: Tell,
        *,
        patience: float = STOP_PATIENCE,
    ) -> None:
        self._prepare = prepare
        self._controls = controls
        self._tell = tell
        self._patience = patience
        self._crashed = False

    def live(self, reports: Reports) -> bool:
        """Whether it stopped as it was told to, or said that it cannot start."""
        try:
            watch, listener = self._prepare()
            worker = watch.begin()
        except AgentError as error:
            self._tell("not_started", reason=error.detail, hint=error.advice)
            reports.state(a.SERVICE_STOPPED, failed=True)
            return True
        keeping = threading.Thread(target=self._keep, args=[watch, worker], name="watch", daemon=True)
        keeping.start()
        threading.Thread(target=watch.serve, args=[listener], name="listener", daemon=True).start()
        reports.state(a.SERVICE_RUNNING)
        self._tell("started")
        self._controls.told_to_stop.wait()
        if self._crashed:
            return False
        reports.state(a.SERVICE_STOP_PENDING, hint=STOP_HINT)
        listener.close()
        watch.stop()
        keeping.join(self._patience)
        if keeping.is_alive():
            watch.kill()
        self._tell("stopped")
        reports.state(a.SERVICE_STOPPED)
        return True

    def _keep(self, watch: Watch, worker: Worker) -> None:
        try:
            watch.keep(worker)
        except WorkerDied:
            self._crashed = True  # it said why
        except BaseException:
            self._crashed = True
            self._tell("crashed", reason=traceback.format_exc())
        self._controls.told_to_stop.set()


def live(command: Sequence[str], reports: Reports, controls: Controls, *, pipe: str = PIPE) -> bool:
    """The service's life on this computer, with a process of `command` on duty; see `dispatch.dispatch`."""
    tell = LogTeller(EventLog())
    log_to_event_log()
    try:
        return ServiceLife(lambda: (Watch(lambda: Piped(command), tell), PipeListener(pipe)), controls, tell).live(
            reports
        )
    except BaseException:
        tell("crashed", reason=traceback.format_exc())
        return False
