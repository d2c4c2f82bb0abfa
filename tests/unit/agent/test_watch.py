"""The process of the service that waits for days. With the one on duty, whole: tests/integration/agent/test_duty.py."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from keystead_agent.backoff import Stopped
from keystead_agent.doorbell import Idle, stamp
from keystead_agent.errors import AgentError
from keystead_agent.local.connection import MOST_CONNECTIONS, LocalTrouble, Peer, framed
from keystead_agent.piped import ENDED
from keystead_agent.watch import Asked, Ready, Said, Unable, Watch, WorkerDied

PEER = Peer(account="S-1-5-21-1-1001", pid=1)
LIMIT = 10.0


class OnDuty:
    """A process that does what the test has it do."""

    def __init__(self, first: object) -> None:
        self.arrived: SimpleQueue[object] = SimpleQueue()
        self.arrived.put(first)
        self.got: SimpleQueue[Asked] = SimpleQueue()
        self.left = threading.Event()

    def send(self, message: Asked) -> None:
        self.got.put(message)

    def hang_up(self) -> None:
        self.arrived.put(ENDED)

    def close(self) -> None:
        self.left.set()

    def kill(self) -> None:
        self.close()


class Caller:
    """A user's process."""

    def __init__(self, body: bytes = b"request") -> None:
        self._request = framed(body)
        self.answers: SimpleQueue[bytes] = SimpleQueue()
        self.deaf = False
        self.left = threading.Event()

    def receive(self, size: int, seconds: float) -> bytes:
        piece, self._request = self._request[:size], self._request[size:]
        return piece

    def send(self, data: bytes, seconds: float) -> None:
        if self.deaf:
            raise LocalTrouble("gone")
        self.answers.put(data)

    def peer(self) -> Peer:
        return PEER

    def close(self) -> None:
        self.left.set()


class Door:
    """Where callers come in."""

    def __init__(self) -> None:
        self._callers: SimpleQueue[Caller | None] = SimpleQueue()

    def comes(self, caller: Caller) -> Caller:
        self._callers.put(caller)
        return caller

    def accept(self) -> Caller:
        caller = self._callers.get()
        if caller is None:
            raise Stopped
        return caller

    def close(self) -> None:
        self._callers.put(None)


class Service:
    """A watch at work, with a process on duty whose first word is each of `first` in turn, the last one for ever."""

    def __init__(self, *first: object) -> None:
        self._first = list(first) or [Ready()]
        self.duties: SimpleQueue[OnDuty] = SimpleQueue()
        self.told: SimpleQueue[str] = SimpleQueue()
        self.door = Door()
        self.crashed = False
        self.watch = Watch(self._start, self._tell, look=0.02, again=0.05)
        self._keeping = threading.Thread(target=self._keep, args=[self.watch.begin()], daemon=True)
        self._keeping.start()
        threading.Thread(target=self.watch.serve, args=[self.door], daemon=True).start()

    def _start(self) -> OnDuty:
        worker = OnDuty(self._first.pop(0) if len(self._first) > 1 else self._first[0])
        self.duties.put(worker)
        return worker

    def _tell(self, event: str, /, **fields: object) -> None:
        self.told.put(event)

    def _keep(self, worker: Any) -> None:
        try:
            self.watch.keep(worker)
        except WorkerDied:
            self.crashed = True

    def on_duty(self) -> OnDuty:
        return self.duties.get(timeout=LIMIT)

    def ends(self) -> bool:
        self._keeping.join(LIMIT)
        return not self._keeping.is_alive()


@pytest.fixture
def service() -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def make(*first: object) -> Service:
        made.append(Service(*first))
        return made[-1]

    yield make
    for one in made:
        one.door.close()
        one.watch.stop()
        assert one.ends()


Make = Callable[..., Service]


def test_what_waits_for_days_loads_no_large_library() -> None:
    look = "import sys, keystead_agent.cli, keystead_agent.windows.service; print(*sys.modules)"
    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.split()
    assert {"pydantic", "pydantic_core", "httpx", "cryptography", "jwt"}.isdisjoint(seen)


def test_a_callers_request_is_passed_on_with_who_asks_and_the_answers_come_back(service: Make) -> None:
    one = service()
    caller, worker = one.door.comes(Caller(b"status")), one.on_duty()
    asked = worker.got.get(timeout=LIMIT)
    assert (asked.peer, asked.body) == (PEER, b"status")
    for frame in (b"first", b"last", b""):
        worker.arrived.put(Said(asked.number, frame))
    assert [caller.answers.get(timeout=LIMIT) for _ in range(2)] == [b"first", b"last"]
    assert caller.left.wait(LIMIT)


def test_who_has_nothing_to_do_is_let_go_and_a_caller_brings_the_next(service: Make) -> None:
    one = service()
    first = one.on_duty()
    first.arrived.put(Idle())
    assert first.left.wait(LIMIT)
    one.door.comes(Caller())
    assert one.on_duty().got.get(timeout=LIMIT).body == b"request"


def test_who_still_owes_an_answer_is_not_let_go(service: Make) -> None:
    one = service()
    caller, worker = one.door.comes(Caller()), one.on_duty()
    asked = worker.got.get(timeout=LIMIT)
    worker.arrived.put(Idle())
    worker.arrived.put(Said(asked.number, b"answer"))
    assert caller.answers.get(timeout=LIMIT) == b"answer"
    assert not worker.left.is_set()
    worker.arrived.put(Said(asked.number, b""))
    worker.arrived.put(Idle())
    assert worker.left.wait(LIMIT)


def test_work_for_a_caller_who_has_gone_goes_on(service: Make) -> None:
    one = service()
    caller = Caller()
    caller.deaf = True
    one.door.comes(caller)
    worker = one.on_duty()
    asked = worker.got.get(timeout=LIMIT)
    worker.arrived.put(Said(asked.number, b"first"))
    assert caller.left.wait(LIMIT)
    worker.arrived.put(Idle())
    worker.arrived.put(Said(asked.number, b"last"))
    worker.arrived.put(Said(asked.number, b""))
    assert not worker.left.is_set()
    worker.arrived.put(Idle())
    assert worker.left.wait(LIMIT)


def test_a_file_that_is_waited_for_brings_the_next(service: Make, tmp_path: Path) -> None:
    one = service()
    file = tmp_path / "device.json"
    one.on_duty().arrived.put(Idle(files={file: stamp(file)}))
    with pytest.raises(Empty):
        one.duties.get(timeout=0.2)
    file.touch()
    one.on_duty()


def test_a_process_that_dies_on_duty_is_no_end_in_order(service: Make) -> None:
    one = service()
    one.on_duty().arrived.put(ENDED)
    assert one.ends()
    assert one.crashed


def test_who_cannot_work_at_first_keeps_the_service_from_starting() -> None:
    with pytest.raises(AgentError, match="No state") as caught:
        Service(Unable("No state", "Make one."))
    assert caught.value.advice == "Make one."


def test_who_cannot_work_later_is_told_of_and_tried_again(service: Make) -> None:
    one = service(Ready(), Unable("No state", "Make one."), Ready())
    first = one.on_duty()
    first.arrived.put(Idle())
    assert first.left.wait(LIMIT)
    caller = one.door.comes(Caller())
    one.on_duty()
    assert caller.left.wait(LIMIT)
    assert one.told.get(timeout=LIMIT) == "failed"
    one.door.comes(Caller())
    assert one.on_duty().got.get(timeout=LIMIT).body == b"request"


def test_the_order_to_stop_waits_for_who_is_on_duty_and_ends_a_wait(service: Make) -> None:
    working, waiting = service(), service()
    worker, idle = working.on_duty(), waiting.on_duty()
    idle.arrived.put(Idle())
    assert idle.left.wait(LIMIT)
    for one in (working, waiting):
        one.watch.stop()
        assert one.ends()
        assert not one.crashed
    assert worker.left.is_set()


def test_who_comes_when_there_is_no_room_is_turned_away(service: Make) -> None:
    one = service()
    callers = [one.door.comes(Caller()) for _ in range(MOST_CONNECTIONS)]
    worker = one.on_duty()
    for _ in callers:
        worker.got.get(timeout=LIMIT)
    assert one.door.comes(Caller()).left.wait(LIMIT)
    assert not any(caller.left.is_set() for caller in callers)
