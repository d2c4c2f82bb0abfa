"""The process of the service that waits for days, with as little in memory as waiting needs: the way in for users'
processes, and one ear at the server.

All else is done by another process (`duty`), which is started when there is something to do, says when there no longer
is, and is let go. This one knows nothing of jobs, so nothing is lost with what it heard: whoever comes on duty opens
the stream again, and gets everything again. Imports no pydantic.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from typing import Protocol

from keystead_agent.backoff import Stopped
from keystead_agent.doorbell import Idle, StreamRequest, await_ring, stamp
from keystead_agent.errors import AgentError
from keystead_agent.local.connection import (
    ANSWER_LIMIT,
    MOST_CONNECTIONS,
    REQUEST_LIMIT,
    Connection,
    Listener,
    LocalTrouble,
    Peer,
    received,
)
from keystead_agent.memory import give_back_memory
from keystead_agent.telling import Tell

LOOK_PAUSE = 5.0
"""Seconds between two looks at files that are waited for."""
FAILURE_PAUSE = 60.0
"""Seconds until a process that could not work is started again."""


@dataclass(frozen=True)
class Asked:
    """To the process on duty: what `peer` asks, as it came."""

    number: int
    peer: Peer
    body: bytes


@dataclass(frozen=True)
class Said:
    """From the process on duty: a frame for whoever asked `number`; an empty one is the end of the connection."""

    number: int
    frame: bytes


@dataclass(frozen=True)
class Ready:
    """From the process on duty, first: it works."""


@dataclass(frozen=True)
class Unable:
    """From the process on duty, first and last: it cannot work, and why."""

    detail: str
    advice: str


class Worker(Protocol):
    """The process on duty: `piped.Piped`. It sends Ready or Unable, then Said, and Idle whenever it has had nothing to
    do for some time. It ends when it is hung up on, after what it is doing."""

    arrived: SimpleQueue[object]

    def send(self, message: Asked) -> None:
        """See `piped.Piped`."""

    def hang_up(self) -> None:
        """See `piped.Piped`."""

    def close(self) -> None:
        """See `piped.Piped`."""

    def kill(self) -> None:
        """See `piped.Piped`."""


class WorkerDied(Exception):
    """The process on duty ended without having been let go. It logged why."""


class Watch:
    """Has a process of `start` on duty whenever there is something to do."""

    def __init__(
        self, start: Callable[[], Worker], tell: Tell, *, look: float = LOOK_PAUSE, again: float = FAILURE_PAUSE
    ) -> None:
        self._start = start
        self._tell = tell
        self._look = look
        self._again = again
        self._mutex = threading.Lock()
        self._worker: Worker | None = None
        self._open: dict[int, tuple[Asked, SimpleQueue[bytes]]] = {}
        self._numbers = count(1)
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._rung = threading.Event()
        self._stopping = False

    def begin(self) -> Worker:
        """Puts a process on duty. Raises AgentError if it cannot work, WorkerDied."""
        worker = self._start()
        match worker.arrived.get():
            case Ready():
                with self._mutex:
                    self._worker = worker
                    for asked, _ in self._open.values():
                        self._pass_on(worker, asked)
                    if self._stopping:
                        worker.hang_up()
                return worker
            case Unable(detail, advice):
                worker.close()
                raise AgentError(detail, advice)
            case _:
                worker.kill()
                raise WorkerDied

    def keep(self, worker: Worker | None) -> None:
        """With `worker` of `begin` on duty: until told to stop, and who is on duty has ended. Raises WorkerDied."""
        while worker is not None and (idle := self._attend(worker)) is not None:
            self._doze(idle)
            worker = self._next()

    def stop(self) -> None:
        """Has `keep` end, when the process on duty has finished what it is doing."""
        with self._mutex:
            self._stopping = True
            self._rung.set()
            if self._worker is not None:
                self._worker.hang_up()

    def kill(self) -> None:
        """Ends the process on duty, whatever it does."""
        worker = self._worker
        if worker is not None:
            worker.kill()

    def serve(self, listener: Listener) -> None:
        """Passes on what users' processes ask, until the listener is closed. Who comes when there is no room is turned
        away."""
        with suppress(Stopped):
            while True:
                connection = listener.accept()
                if self._room.acquire(blocking=False):
                    threading.Thread(target=self._with_room, args=[connection], name="local", daemon=True).start()
                else:
                    connection.close()

    def _attend(self, worker: Worker) -> Idle | None:
        """What the process on duty waited for when it was let go; None when it ended because of a stop."""
        while True:
            match worker.arrived.get():
                case Said(number, frame):
                    self._answer(number, frame)
                case Idle() as idle:
                    if self._let_go():
                        worker.close()
                        return idle
                case _ if self._stopping:
                    worker.close()
                    return None
                case _:
                    worker.kill()
                    raise WorkerDied

    def _let_go(self) -> bool:
        """Whether the process on duty may end: nobody waits for an answer. From then on `begin` starts another."""
        with self._mutex:
            if self._open or self._stopping:
                return False
            self._worker, self._rung = None, threading.Event()
            return True

    def _doze(self, idle: Idle) -> None:
        rung = self._rung
        if idle.request is not None:
            heard = (idle.request, idle.heard, rung)
            threading.Thread(target=_listen, args=heard, name="doorbell", daemon=True).start()
        give_back_memory()
        while not rung.wait(self._look if idle.files else None):
            if any(stamp(file) != before for file, before in idle.files.items()):
                return

    def _next(self) -> Worker | None:
        """Who is on duty now: nobody if told to stop."""
        while True:
            with self._mutex:
                if self._stopping:
                    return None
                self._rung = threading.Event()
            try:
                return self.begin()
            except AgentError as error:
                self._tell("failed", reason=error.detail, hint=error.advice)
                for number in list(self._open):
                    self._answer(number, b"")
                self._rung.wait(self._again)

    def _with_room(self, connection: Connection) -> None:
        try:
            body = received(connection.receive, time.monotonic() + REQUEST_LIMIT)
            answers = self._ask(body, connection.peer())
            while frame := answers.get():
                connection.send(frame, ANSWER_LIMIT)
        except LocalTrouble as error:
            self._tell("local_request_dropped", reason=error.detail)
        finally:
            connection.close()
            self._room.release()

    def _ask(self, body: bytes, peer: Peer) -> SimpleQueue[bytes]:
        """Where the answers will be. What was asked is worked on to its end whether or not they are waited for."""
        answers: SimpleQueue[bytes] = SimpleQueue()
        with self._mutex:
            asked = Asked(next(self._numbers), peer, body)
            self._open[asked.number] = asked, answers
            if self._worker is None:
                self._rung.set()
            else:
                self._pass_on(self._worker, asked)
        return answers

    @staticmethod
    def _pass_on(worker: Worker, asked: Asked) -> None:
        with suppress(OSError):  # it has ended, which `keep` sees
            worker.send(asked)

    def _answer(self, number: int, frame: bytes) -> None:
        with self._mutex:
            _, answers = self._open[number]
            if not frame:
                del self._open[number]
        answers.put(frame)


def _listen(request: StreamRequest, heard: frozenset[str], rung: threading.Event) -> None:
    try:
        await_ring(request, heard, rung)
    finally:
        rung.set()  # whatever went wrong: whoever comes on duty says so
