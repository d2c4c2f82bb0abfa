"""Job streams of agents, driven as a web server drives them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest
from anyio import CapacityLimiter
from starlette.types import Message

from keystead_enroll.usecases.find_jobs import OpenJob
from keystead_enroll.web.agent_streams import AgentStreams
from keystead_enroll.web.presence import DevicePresence
from keystead_enroll.web.stream_places import StreamPlaces
from keystead_kit.lasting import LastingApp
from keystead_kit.problems import ProblemException
from keystead_kit.threads import Overloaded
from keystead_kit.wakeups import Wakeups

KEEP_ALIVE = 0.2


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 20))

    return run


class Database:
    """Who is to do what, and which looks there were."""

    def __init__(self) -> None:
        self.jobs: dict[str, list[int]] = {}
        self.looks: list[list[str]] = []
        self.away = False

    def find(self, recipients: Collection[str]) -> dict[str, Sequence[OpenJob]]:
        self.looks.append(list(recipients))
        if self.away:
            raise ConnectionError
        return {name: [OpenJob(n, f'"{n}"') for n in self.jobs[name]] for name in recipients if name in self.jobs}

    def looks_for(self, recipient: str) -> int:
        return sum(recipient in look for look in self.looks)


class _Quiet(DevicePresence):
    """Nobody wants to know."""

    def __init__(self) -> None:
        self.here: list[str] = []

    def began(self, recipient: str) -> None:
        self.here.append(recipient)

    def ended(self, recipient: str) -> None:
        self.here.remove(recipient)


class Service:
    """The streams of a process, and connections to them."""

    def __init__(self, **limits: float) -> None:
        self.database, self.wakeups, self.presence = Database(), Wakeups("test", "redis://127.0.0.1:1/0"), _Quiet()
        self.places = StreamPlaces(int(limits.get("most", 1000)))
        self.streams = AgentStreams(
            self.database.find,
            CapacityLimiter(2),
            self.wakeups,
            self.places,
            self.presence,
            keep_alive=limits.get("keep_alive", KEEP_ALIVE),
            life=600.0,
            most_opening=int(limits.get("most_opening", 100)),
        )

    def give(self, recipient: str, *sequences: int, wake: bool = True) -> None:
        self.database.jobs.setdefault(recipient, []).extend(sequences)
        if wake:
            self.wakeups.wake(f"recipient:{recipient}")

    async def connect(self, recipient: str, *, life: float = 600.0, reads: bool = True) -> Connection:
        """An open stream. Raises what refuses it."""
        self.database.jobs.setdefault(recipient, [])
        connection = Connection(reads=reads)
        await connection.open(self.streams.answer(recipient, time.time() + life))
        return connection


class Connection:
    """A connection as a web server has it: `send` waits while the client does not read."""

    def __init__(self, *, reads: bool) -> None:
        self.sent: list[Message] = []
        self.blocked = 0
        self._reads, self._gone = asyncio.Event(), asyncio.Event()
        if reads:
            self._reads.set()
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self, answer: Callable[..., Awaitable[None]]) -> None:
        app, scope = LastingApp(), {"type": "http", "method": "GET", "path": "/", "headers": []}

        async def whole(*_: Any) -> None:
            await answer(scope, self.receive, self.send)

        app.middleware_stack = whole
        self._task = asyncio.create_task(app(scope, self.receive, self.send))
        begun = asyncio.create_task(self._begun.wait())
        await asyncio.wait([self._task, begun], return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if self._task.done():
            self._task.result()

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if len(self.sent) >= 2:  # head and first events always fit
            self.blocked += 1
            await self._reads.wait()
            self.blocked -= 1
        self.sent.append(message)
        if len(self.sent) == 2:
            self._begun.set()
        if message["type"] == "http.response.body" and not message["more_body"]:
            self._gone.set()

    def reads(self) -> None:
        self._reads.set()

    async def leave(self) -> None:
        self._gone.set()
        await self.over()

    async def over(self) -> None:
        """Waits until the application has returned."""
        assert self._task is not None
        await asyncio.wait_for(asyncio.shield(self._task), 5)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    @property
    def whole(self) -> bool:
        """Whether the answer was ended as HTTP has it."""
        return not self.sent[-1].get("more_body", True)

    @property
    def jobs(self) -> list[int]:
        return [int(number) for number in re.findall(r'event: job\nid: (\d+)\ndata: "\1"\n\n', self.text)]


@asynccontextmanager
async def serving(**limits: float) -> AsyncIterator[Service]:
    service = Service(**limits)
    await service.streams.start()
    try:
        yield service
    finally:
        await service.streams.stop()


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.005)


@on_a_loop
async def test_a_stream_begins_with_the_open_jobs_and_goes_on_with_each_new_one_in_order() -> None:
    async with serving() as service:
        service.give("device:a", 3, 5)
        connection = await service.connect("device:a")
        assert connection.text.startswith(": open\n")
        service.give("device:a", 8)
        service.give("device:a", 9)
        await until(lambda: len(connection.jobs) == 4)
        assert connection.jobs == [3, 5, 8, 9]
        await connection.leave()


@on_a_loop
async def test_a_new_stream_is_told_again_what_is_still_to_do() -> None:
    async with serving() as service:
        service.give("device:a", 3, 5)
        await (await service.connect("device:a")).leave()
        service.database.jobs["device:a"].remove(3)
        connection = await service.connect("device:a")
        assert connection.jobs == [5]
        await connection.leave()


@on_a_loop
async def test_one_look_is_for_all_who_are_woken_together() -> None:
    async with serving(keep_alive=60) as service:
        names = [f"device:{number}" for number in range(100)]
        connections = await asyncio.gather(*(service.connect(name) for name in names))
        assert len(service.database.looks) < 20
        service.database.looks.clear()
        for number, name in enumerate(names):
            service.give(name, number)
        await until(lambda: all(connection.jobs for connection in connections))
        assert len(service.database.looks) < 5
        assert [connection.jobs for connection in connections] == [[number] for number in range(100)]


@on_a_loop
async def test_what_no_wake_up_told_is_found_at_the_next_keep_alive_by_one_look_for_many() -> None:
    async with serving() as service:
        names = [f"device:{number}" for number in range(50)]
        connections = [await service.connect(name) for name in names]
        for number, name in enumerate(names):
            service.give(name, number, wake=False)
        service.database.looks.clear()
        await until(lambda: all(connection.jobs for connection in connections))
        assert [connection.jobs for connection in connections] == [[number] for number in range(50)]
        assert len(service.database.looks) < 40


@on_a_loop
async def test_a_job_whose_wake_up_came_during_a_look_is_not_left_for_later() -> None:
    async with serving(keep_alive=60) as service:
        connection = await service.connect("device:a")
        for number in range(30):
            service.give("device:a", number)
            await asyncio.sleep(0.001)
        await until(lambda: len(connection.jobs) == 30)
        await connection.leave()


@on_a_loop
async def test_who_does_not_read_holds_up_nobody_and_is_told_no_more_until_then() -> None:
    async with serving() as service:
        slow, quick = await service.connect("device:slow", reads=False), await service.connect("device:quick")
        service.give("device:slow", 1)
        await until(lambda: slow.blocked == 1)
        for number in range(2, 30):
            service.give("device:slow", number)
            service.give("device:quick", number)
        await until(lambda: len(quick.jobs) == 28)
        await asyncio.sleep(3 * KEEP_ALIVE)
        assert slow.blocked == 1
        assert slow.jobs == []
        slow.reads()
        await until(lambda: len(slow.jobs) == 29)
        assert slow.jobs == list(range(1, 30))


@on_a_loop
async def test_a_quiet_stream_is_kept_alive() -> None:
    async with serving() as service:
        connection = await service.connect("device:a")
        await until(lambda: connection.text.count(": keep-alive\n\n") == 3)
        await connection.leave()


@on_a_loop
async def test_a_stream_ends_with_its_token_and_says_to_come_back_at_once() -> None:
    async with serving() as service:
        connection = await service.connect("device:a", life=1)
        await connection.over()
        assert connection.whole
        assert connection.text.endswith("retry: 0\n\n")
        assert (service.places.count, service.presence.here) == (0, [])


@on_a_loop
async def test_a_reader_that_reads_nothing_is_left_when_its_stream_is_to_end() -> None:
    async with serving() as service:
        connection = await service.connect("device:a", life=1, reads=False)
        service.give("device:a", 1)
        await connection.over()
        assert not connection.whole  # the server closes the connection
        assert service.places.count == 0


@on_a_loop
async def test_the_newest_stream_of_a_recipient_ends_the_one_before() -> None:
    async with serving(most=1) as service:
        older = await service.connect("device:a")
        newer = await service.connect("device:a")
        await older.over()
        assert older.whole
        service.give("device:a", 1)
        await until(lambda: newer.jobs == [1])
        assert older.jobs == []
        with pytest.raises(ProblemException) as refused:
            await service.connect("device:b")
        assert refused.value.status == 503
        await newer.leave()
        await (await service.connect("device:b")).leave()


@on_a_loop
async def test_of_two_streams_that_begin_together_the_newer_lasts() -> None:
    async with serving() as service:
        older, newer = await asyncio.gather(service.connect("device:a"), service.connect("device:a"))
        await older.over()
        service.give("device:a", 1)
        await until(lambda: newer.jobs == [1])


@on_a_loop
async def test_a_removed_devices_stream_ends_and_no_other_begins() -> None:
    async with serving(keep_alive=60) as service:
        connection = await service.connect("device:a")
        del service.database.jobs["device:a"]
        service.wakeups.wake("recipient:device:a")
        await connection.over()
        assert connection.whole
        with pytest.raises(ProblemException) as refused:
            await Connection(reads=True).open(service.streams.answer("device:a", time.time() + 60))
        assert refused.value.status == 401
        assert service.places.count == 0


@on_a_loop
async def test_while_the_database_is_away_no_stream_begins_and_those_that_are_open_stay() -> None:
    async with serving(keep_alive=60) as service:
        connection = await service.connect("device:a")
        service.database.away = True
        service.give("device:a", 1)
        await until(lambda: service.database.looks_for("device:a") == 2)
        with pytest.raises(ProblemException) as refused:
            await service.connect("device:b")
        assert refused.value.status == 503
        assert 2 <= int(refused.value.headers["retry-after"]) <= 10
        service.database.away = False
        await until(lambda: connection.jobs == [1])
        assert service.places.count == 1


@on_a_loop
async def test_no_more_begin_than_can_be_looked_for() -> None:
    async with serving(most_opening=0) as service:
        with pytest.raises(Overloaded):
            await service.connect("device:a")
        assert service.places.count == 0


@on_a_loop
async def test_the_more_are_connected_the_wider_they_spread_when_they_come_back() -> None:
    async with serving() as service:
        first = await service.connect("device:0")
        rest = [await service.connect(f"device:{number}") for number in range(1, 50)]
        assert first.text.startswith(": open\nretry: 1\n\n")
        assert rest[-1].text.startswith(": open\nretry: 62\n\n")


@on_a_loop
async def test_all_streams_end_when_the_process_is_told_to_stop() -> None:
    async with serving() as service:
        connections = [await service.connect(f"device:{number}") for number in range(20)]
        service.wakeups.stopping = True
        service.wakeups.wake_all()
        for connection in connections:
            await connection.over()
        assert all(connection.whole for connection in connections)
        assert (service.places.count, service.presence.here) == (0, [])


@on_a_loop
async def test_all_look_once_redis_is_back() -> None:
    async with serving(keep_alive=60) as service:
        connections = [await service.connect(f"device:{number}") for number in range(20)]
        for number in range(20):
            service.give(f"device:{number}", number, wake=False)
        service.wakeups.wake_all()
        await until(lambda: all(connection.jobs for connection in connections))
