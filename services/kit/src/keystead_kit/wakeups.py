"""Wake-ups for open streams: one Redis subscription a process, however many streams it holds.

A wake-up is a hint. It may be lost or doubled; streams also look by themselves at every keep-alive, and after a
reconnection to Redis all are woken once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis.asyncio as aredis
from prometheus_client import Gauge

from keystead_kit.bus import wake_channel
from keystead_kit.logs import get_logger

STREAMS = Gauge("keystead_stream_connections", "Open event streams", ["kind"])
_log = get_logger()


Heard = Callable[[str | None], None]
"""Is told what was woken, None for everything. Called on the event loop, and may not wait there."""


class Wakeups:
    """Lets coroutines wait for topics such as `order:<id>`, and listeners hear of all topics of a kind."""

    def __init__(self, service: str, redis_url: str) -> None:
        self._channel, self._url = wake_channel(service), redis_url
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners: dict[str, Heard] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stopping = False

    async def start(self) -> None:
        """Starts listening, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Stops listening and wakes everyone who waits: with `stopping` set, their streams end."""
        self.stopping = True
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.wake_all()

    def end_streams(self) -> None:
        """Ends every open stream soon; may be called from a signal handler."""
        self.stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.wake_all)

    @contextmanager
    def waiting(self, topic: str, kind: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `topic` is woken, for as long as the block lasts."""
        event = asyncio.Event()
        self._waiting[topic].add(event)
        STREAMS.labels(kind=kind).inc()
        try:
            yield event
        finally:
            STREAMS.labels(kind=kind).dec()
            self._waiting[topic].discard(event)
            if not self._waiting[topic]:
                del self._waiting[topic]

    def listen(self, kind: str, heard: Heard) -> None:
        """Calls `heard` with what follows `<kind>:` in each topic that is woken: for those who wait for so many that
        an event for each would cost too much."""
        self._listeners[kind] = heard

    def wake(self, topic: str) -> None:
        """Wakes the streams of this process that wait for `topic`."""
        for event in self._waiting.get(topic, ()):
            event.set()
        kind, _, which = topic.partition(":")
        if kind in self._listeners:
            self._listeners[kind](which)

    def wake_all(self) -> None:
        """Wakes every stream of this process."""
        for events in self._waiting.values():
            for event in events:
                event.set()
        for heard in self._listeners.values():
            heard(None)

    async def _listen(self) -> None:
        pause = 0.1
        while True:
            client = aredis.Redis.from_url(
                self._url,
                socket_connect_timeout=2,
                socket_keepalive=True,
                health_check_interval=10,
                decode_responses=True,
            )
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self._channel)
                    self.wake_all()
                    pause = 0.1
                    while True:
                        message = await pubsub.get_message(timeout=5.0)
                        if message is not None:
                            for topic in json.loads(message["data"]):
                                self.wake(topic)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                _log.warning("wake-ups away, streams look by themselves", error=str(error))
            finally:
                with contextlib.suppress(Exception):
                    await client.aclose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)
