"""The job streams of agents: server-sent events (WHATWG HTML, 9.2), ten thousand to a process.

An open stream is one object and one task that waits for its connection to end; timers, looks and wake-ups are the
process's own. Whatever there is to say is written by a task that lives as long as the writing: a reader that is slow
holds up nobody but itself, and is told no more until it has read that.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Collection, Sequence
from functools import partial

from anyio import CapacityLimiter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keystead_contracts.agent import JOB_EVENT
from keystead_contracts.words import Words
from keystead_enroll.usecases.find_jobs import OpenJob
from keystead_enroll.web.job_looks import Find, Found, JobLooks
from keystead_enroll.web.presence import DevicePresence
from keystead_enroll.web.problems import unauthenticated
from keystead_enroll.web.stream_places import StreamPlaces
from keystead_kit.lasting import goes_on
from keystead_kit.problems import unavailable
from keystead_kit.threads import PATIENCE_SECONDS, Overloaded, program_again
from keystead_kit.timer_wheel import TimerWheel
from keystead_kit.wakeups import STREAMS, Wakeups

KIND = "agent"
JITTER = 0.2
MOST_OPENING = 1000
"""Streams whose first look is under way; who comes then is told to come again."""
RETURNS_PER_SECOND = 800
"""At which the agents are to come back when they lose this process: a process takes some more (`make bench`)."""
LONGEST_TICK = 0.25
"""Seconds between two rounds of keep-alives and looks: of ten thousand streams each is some 170 then, which hold up a
job that comes meanwhile by a few milliseconds."""
_KEEP_ALIVE = b": keep-alive\n\n"
_SOON = b"retry: 0\n\n"
_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class _Stream:
    """One agent's stream. Small: there are ten thousand."""

    __slots__ = (
        "ends", "first", "held", "look", "open", "over", "recipient",
        "send", "sent", "slot", "text", "wanted", "writer",
    )  # fmt: skip

    def __init__(self, recipient: str, ends: float) -> None:
        self.recipient, self.ends = recipient, ends
        self.first: asyncio.Future[Sequence[OpenJob] | None] | None = None
        """What the first look finds; None if the recipient is gone."""
        self.look = 0
        """The number of that look."""
        self.send: Send | None = None
        self.held: asyncio.Task[object] | None = None
        """Waits for the connection to end."""
        self.writer: asyncio.Task[None] | None = None
        self.text = b""
        """What is written next."""
        self.sent: frozenset[int] | None = None
        """The sequences of the jobs that it was told of and that were open at the last look."""
        self.wanted = False
        """Something may be new that was not looked for, because the writer had not finished."""
        self.slot = 0
        self.open, self.over = True, False
        """over: it is to end."""


class _LookFailed(Exception):
    """The first look of a stream."""


class AgentStreams:
    """The open job streams of this process, the newest of each recipient. Used on its event loop only."""

    def __init__(
        self,
        find: Find,
        threads: CapacityLimiter,
        wakeups: Wakeups,
        places: StreamPlaces,
        presence: DevicePresence,
        *,
        keep_alive: float,
        life: float,
        most_opening: int = MOST_OPENING,
    ) -> None:
        self._wakeups, self._places, self._presence = wakeups, places, presence
        self._keep_alive, self._life = keep_alive, life
        self._looks = JobLooks(find, threads, self._found)
        self._streams: dict[str, _Stream] = {}
        self._opening, self._most_opening = 0, most_opening
        self._wheel: TimerWheel[_Stream] = TimerWheel(min(LONGEST_TICK, keep_alive / 16), time.monotonic())
        self._round: asyncio.Task[None] | None = None
        wakeups.listen("recipient", self._woken)

    async def start(self) -> None:
        """Begins to look and to keep time, on the running loop."""
        await self._looks.start()
        self._round = asyncio.create_task(self._go_round())

    async def stop(self) -> None:
        """Ends that. The streams end by `Wakeups.end_streams`."""
        if self._round:
            self._round.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._round
        await self._looks.stop()

    def answer(self, recipient: str, expires: float) -> Response:
        """A stream of the recipient's jobs: those that are open, at once, and each as it comes. It ends when the token
        with which it was asked for `expires` (seconds since the epoch), after its own life, when the recipient is
        removed, and when it opens a newer one. No database transaction is open while it lasts.

        What cannot begin is a ProblemException: 401 for a device that was removed, 503 if there is no place, if more
        begin than can be looked for, or if the first look fails.
        """
        return _Answer(self, recipient, expires)

    # Beginning and end

    async def begin(self, recipient: str, expires: float) -> tuple[_Stream, bytes]:
        """A stream, registered, and what it begins with. See `answer`."""
        if self._opening >= self._most_opening:
            raise Overloaded(program_again())
        older = self._streams.get(recipient)
        self._places.take(instead=older is not None)
        life = self._life * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 jitter
        stream = _Stream(recipient, time.monotonic() + min(life, max(1.0, expires - time.time())))
        self._streams[recipient] = stream
        STREAMS.labels(kind=KIND).inc()
        if older is not None:
            self._end(older)
        self._opening += 1
        try:
            jobs = await self._first_look(stream)
        except BaseException:
            self.close(stream)
            raise
        finally:
            self._opening -= 1
        window = self._places.count * 1000 // RETURNS_PER_SECOND
        return stream, f": open\nretry: {window}\n\n".encode() + self._news(stream, jobs)

    async def _first_look(self, stream: _Stream) -> Sequence[OpenJob]:
        stream.first = asyncio.get_running_loop().create_future()
        stream.look = self._looks.want(stream.recipient)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                jobs = await stream.first
        except (TimeoutError, _LookFailed) as error:
            raise unavailable(Words("The server cannot look for news now."), program_again()) from error
        finally:
            stream.first = None
        if jobs is None:
            raise unauthenticated("This device is not registered any more.", "Register it again.")
        return jobs

    async def hold(self, stream: _Stream, receive: Receive, send: Send) -> None:
        """Lasts as long as the stream, whose head is sent."""
        stream.send, stream.held = send, asyncio.current_task()
        now = time.monotonic()
        kept_alive = now + random.uniform(0, self._keep_alive)  # noqa: S311 not all at once
        stream.slot = self._wheel.put(stream, min(kept_alive, stream.ends))
        self._presence.began(stream.recipient)
        try:
            if stream.over or self._wakeups.stopping:
                self._end(stream)
            self._look_again(stream)
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if not stream.over:
                raise
        finally:
            self._presence.ended(stream.recipient)
            self.close(stream)

    def close(self, stream: _Stream) -> None:
        """Forgets the stream."""
        if stream.open:
            stream.open = False
            self._wheel.take(stream, stream.slot)
            self._places.leave()
            STREAMS.labels(kind=KIND).dec()
            if self._streams.get(stream.recipient) is stream:
                del self._streams[stream.recipient]

    def _end(self, stream: _Stream, last: bytes = b"") -> None:
        """Has the stream end once `last` is written."""
        if stream.first is not None and not stream.first.done():
            stream.first.set_result(())  # it begins, and ends
        if not stream.over:
            stream.over, stream.ends = True, time.monotonic()
        self._write(stream, last)

    # News

    def _woken(self, recipient: str | None) -> None:
        if recipient is None:
            for stream in list(self._streams.values()):
                if self._wakeups.stopping:
                    self._end(stream)
                else:
                    self._looks.want(stream.recipient)
        elif recipient in self._streams:
            self._looks.want(recipient)

    def _found(self, number: int, recipients: Collection[str], found: Found | None) -> None:
        for recipient in recipients:
            stream = self._streams.get(recipient)
            if stream is None:
                continue
            if stream.first is not None and not stream.first.done():
                if found is None:
                    stream.first.set_exception(_LookFailed())
                elif number >= stream.look:
                    stream.first.set_result(found.get(recipient))
            elif found is None:
                self._looks.want(recipient)
            elif recipient not in found:
                self._end(stream)
            elif stream.send is None or stream.writer is not None:
                stream.wanted = True
            else:
                self._write(stream, self._news(stream, found[recipient]))

    def _news(self, stream: _Stream, jobs: Sequence[OpenJob]) -> bytes:
        """The events of the jobs that the stream was not told of."""
        told, stream.sent = stream.sent or frozenset(), frozenset(job.sequence for job in jobs) or None
        return "".join(
            f"event: {JOB_EVENT}\nid: {job.sequence}\ndata: {job.wire}\n\n" for job in jobs if job.sequence not in told
        ).encode()

    def _look_again(self, stream: _Stream) -> None:
        if stream.wanted:
            stream.wanted = False
            self._looks.want(stream.recipient)

    # Writing

    def _write(self, stream: _Stream, text: bytes) -> None:
        stream.text += text
        if stream.send is not None and stream.writer is None and (stream.text or stream.over):
            stream.writer = asyncio.create_task(self._writing(stream, stream.send))

    async def _writing(self, stream: _Stream, send: Send) -> None:
        try:
            while (over := stream.over) or stream.text:
                text, stream.text = stream.text, b""
                await send({"type": "http.response.body", "body": text, "more_body": not over})
                if over:
                    return
        finally:
            stream.writer = None
        self._look_again(stream)

    # Time

    async def _go_round(self) -> None:
        while True:
            await asyncio.sleep(self._wheel.tick)
            now = time.monotonic()
            for stream in self._wheel.due(now):
                self._keep(stream, now)

    def _keep(self, stream: _Stream, now: float) -> None:
        """Keeps a stream alive, looks whether it missed a wake-up; ends it when its time has come."""
        if stream.over:
            if now - stream.ends >= self._keep_alive:
                self._drop(stream)
                return
        elif now >= stream.ends:
            self._end(stream, _SOON)
        elif stream.writer is None:
            self._write(stream, _KEEP_ALIVE)
            self._looks.want(stream.recipient)
        else:
            stream.wanted = True
        next_time = now + self._keep_alive
        stream.slot = self._wheel.put(stream, next_time if stream.over else min(next_time, stream.ends))

    @staticmethod
    def _drop(stream: _Stream) -> None:
        """Leaves a stream that was to end and whose reader reads nothing; the server closes the connection."""
        for task in (stream.writer, stream.held):
            if task is not None:
                task.cancel()


class _Answer(Response):
    """Begins a stream, and leaves it to `AgentStreams.hold`."""

    def __init__(self, streams: AgentStreams, recipient: str, expires: float) -> None:
        super().__init__()
        self._streams, self._recipient, self._expires = streams, recipient, expires

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream, text = await self._streams.begin(self._recipient, self._expires)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEAD)})
            await send({"type": "http.response.body", "body": text, "more_body": True})
        except BaseException:
            self._streams.close(stream)
            raise
        goes_on(scope, partial(self._streams.hold, stream))
