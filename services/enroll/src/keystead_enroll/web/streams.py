"""The streams of live pages: server-sent events (WHATWG HTML, 9.2) that wait for wake-ups and look by themselves at
every keep-alive. Agents, of which there are many more, have `agent_streams`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.web.stream_places import Owner, StreamPlaces
from keystead_kit.logs import get_logger
from keystead_kit.problems import ProblemException, unavailable
from keystead_kit.threads import Overloaded, in_thread, program_again
from keystead_kit.wakeups import Wakeups

_log = get_logger()


@dataclass(frozen=True)
class SentEvent:
    """One event. `last` ends the stream after it."""

    name: str
    data: object
    id: str | None = None
    last: bool = False

    def encode(self) -> str:
        """The event's lines; JSON holds no line break, so one `data:` line is enough."""
        text = self.data if isinstance(self.data, str) else json.dumps(self.data, separators=(",", ":"))
        identity = f"id: {self.id}\n" if self.id else ""
        return f"event: {self.name}\n{identity}data: {text}\n\n"


Look = Callable[[], list[SentEvent]]
"""Finds what is new in the database. Called in a thread of the looks."""


@dataclass(frozen=True)
class Stream:
    """What a stream is about: woken by `topic`, it ends after `life` seconds and the client comes again. `kind` names
    it in metrics."""

    topic: str
    kind: str
    owner: Owner
    look: Look
    life: float


class Streams:
    """The open streams of this process. Their looks have threads of their own: `looks`."""

    def __init__(self, wakeups: Wakeups, places: StreamPlaces, looks: CapacityLimiter, *, keep_alive: float) -> None:
        self._wakeups, self._places, self._keep_alive = wakeups, places, keep_alive
        self.looks = looks

    async def open(self, stream: Stream) -> StreamingResponse:
        """The stream's response: what `look` finds at once, at each wake-up, and every `keep_alive` seconds.

        No database transaction is open while it waits. It begins after the first look. Raises what that look refuses,
        ProblemException 503 if it fails or no thread is free for it, and what `StreamPlaces.taken` raises.
        """
        events = self._events(stream)
        try:
            first = await anext(events)
        except (Refusal, ProblemException):
            raise
        except Exception as error:
            if not isinstance(error, Overloaded):
                _log.exception("stream could not begin", kind=stream.kind)
            raise unavailable(Words("The server cannot look for news now."), program_again()) from error
        return _EventResponse(first, events)

    async def _events(self, stream: Stream) -> AsyncGenerator[str, None]:
        ends = time.monotonic() + stream.life
        with self._places.taken(stream.owner), self._wakeups.waiting(stream.topic, stream.kind) as woken:
            found = await in_thread(stream.look, self.looks)
            yield f": open\n\n{_encoded(found)}"
            while not any(event.last for event in found):
                remaining = ends - time.monotonic()
                if remaining <= 0:
                    return
                try:
                    await asyncio.wait_for(woken.wait(), min(self._keep_alive, remaining))
                except TimeoutError:
                    yield ": keep-alive\n\n"
                if self._wakeups.stopping:
                    return
                woken.clear()
                try:
                    found = await to_thread.run_sync(stream.look, limiter=self.looks)
                except Exception:
                    _log.exception("stream could not look, it ends and the client comes again", kind=stream.kind)
                    return
                if found:
                    yield _encoded(found)


class _EventResponse(StreamingResponse):
    """Sends `first` and what follows it; closes the stream however the connection ends."""

    def __init__(self, first: str, events: AsyncGenerator[str, None]) -> None:
        self._events = events

        async def whole() -> AsyncIterator[str]:
            yield first
            async for text in events:
                yield text

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(whole(), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


def _encoded(found: list[SentEvent]) -> str:
    return "".join(event.encode() for event in found)
