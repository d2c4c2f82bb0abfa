"""The process of the service that does the work, while there is some: see `watch`, whose other end this is."""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from typing import BinaryIO

from keystead_agent.backoff import Stop, Stopped
from keystead_agent.errors import AgentError
from keystead_agent.helper import Helper
from keystead_agent.local.connection import LocalTrouble, Peer, framed
from keystead_agent.machine import Machine
from keystead_agent.piped import arriving
from keystead_agent.quiet import Quiet
from keystead_agent.service import Gate, serve
from keystead_agent.telling import Tell
from keystead_agent.watch import Asked, Ready, Said, Unable

LULL = 10.0
"""Seconds without anything to do after which the watch is told; what belongs to one enrollment mostly comes closer
together."""
STOP_PATIENCE = 15.0
"""Seconds for what is being done when the watch hangs up."""


class Watcher:
    """The other end. Thread-safe."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._mutex = threading.Lock()

    def say(self, message: object) -> None:
        """Raises OSError if it has gone."""
        with self._mutex:
            pickle.dump(message, self._output)
            self._output.flush()


class PassedOn:
    """A user's process, whose connection the watch has."""

    def __init__(self, asked: Asked, watcher: Watcher, quiet: Quiet) -> None:
        self._asked = asked
        self._watcher = watcher
        self._open = ExitStack()
        self._open.enter_context(quiet.busy())
        self._request = io.BytesIO(framed(asked.body))

    def receive(self, size: int, seconds: float) -> bytes:
        """See `connection.Connection`."""
        return self._request.read(size)

    def send(self, data: bytes, seconds: float) -> None:
        """See `connection.Connection`. Whether it arrives is the watch's business."""
        try:
            self._watcher.say(Said(self._asked.number, data))
        except OSError as error:
            raise LocalTrouble("the service's other process has gone") from error

    def peer(self) -> Peer:
        """See `connection.Connection`."""
        return self._asked.peer

    def close(self) -> None:
        """See `connection.Connection`."""
        with self._open, suppress(OSError):
            self._watcher.say(Said(self._asked.number, b""))


class PassedOnListener:
    """Where users' processes come from: the watch."""

    def __init__(self, watcher: Watcher, quiet: Quiet) -> None:
        self._watcher = watcher
        self._quiet = quiet
        self._waiting: SimpleQueue[PassedOn | None] = SimpleQueue()

    def add(self, asked: Asked) -> None:
        """One more came."""
        self._waiting.put(PassedOn(asked, self._watcher, self._quiet))

    def accept(self) -> PassedOn:
        """See `connection.Listener`."""
        connection = self._waiting.get()
        if connection is None:
            raise Stopped
        return connection

    def close(self) -> None:
        """See `connection.Listener`."""
        self._waiting.put(None)


class Duty:
    """The work for `machine`, whose keys `helper` has, until the watch hangs up."""

    def __init__(self, machine: Machine, helper: Helper, watcher: Watcher, tell: Tell, *, lull: float) -> None:
        self._machine = machine
        self._helper = helper
        self._watcher = watcher
        self._tell = tell
        self._lull = lull
        self._stop = Stop()
        self._gate = Gate(helper)
        self._quiet = Quiet()
        self._listener = PassedOnListener(watcher, self._quiet)

    def work(self, messages: SimpleQueue[object]) -> None:
        """Until `messages` of the watch end."""
        for work in (self._serve, self._tell_of_lulls):
            threading.Thread(target=work, name="duty", daemon=True).start()
        while isinstance(asked := messages.get(), Asked):
            self._listener.add(asked)
        self._stop.request()
        self._listener.close()
        if self._gate.shut(STOP_PATIENCE):
            self._helper.close()
        else:
            self._helper.kill()

    def _serve(self) -> None:
        try:
            serve(self._machine, self._gate, self._listener, stop=self._stop, tell=self._tell, quiet=self._quiet)
        except Stopped:
            pass
        except BaseException:
            self._tell("crashed", reason=traceback.format_exc())
            os._exit(1)

    def _tell_of_lulls(self) -> None:
        with suppress(OSError):
            while True:
                time.sleep(self._lull / 10)
                if idle := self._quiet.lasting(self._lull):
                    self._watcher.say(idle)


def come_on_duty(make: Callable[[], tuple[Machine, Helper]], tell: Tell, *, lull: float = LULL) -> None:
    """The life of the process; `make` makes the machine and who has its keys. Never returns. The watch decides when
    to stop: signals that are meant for both are ignored, and the end of standard input is the end."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        watcher, messages = Watcher(sys.stdout.buffer), arriving(sys.stdin.buffer)
        try:
            machine, helper = make()
            helper.recover()
        except AgentError as error:
            watcher.say(Unable(error.detail, error.advice))
        else:
            watcher.say(Ready())
            Duty(machine, helper, watcher, tell, lull=lull).work(messages)
    except BaseException:
        tell("crashed", reason=traceback.format_exc())
        os._exit(1)
    os._exit(0)
