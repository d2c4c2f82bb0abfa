"""Server-sent events (WHATWG HTML, 9.2) that wait for wake-ups and look by themselves at every keep-alive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import StreamingResponse

from keystead_kit.logs import get_logger
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


Look = Callable[[], Awaitable[list[SentEvent]]]


def event_stream(
    wakeups: Wakeups, topic: str, kind: str, look: Look, *, keep_alive: float, life: float
) -> StreamingResponse:
    """A stream that sends what `look` finds: at once, at each wake-up of `topic`, and every `keep_alive` seconds.

    No database transaction is open while it waits. After `life` seconds it ends and the client comes again.
    """

    async def events() -> AsyncIterator[str]:
        ends = time.monotonic() + life
        with wakeups.waiting(topic, kind) as woken:
            yield ": open\n\n"
            while True:
                woken.clear()
                try:
                    found = await look()
                except Exception:
                    _log.exception("stream could not look, it ends and the client comes again", kind=kind)
                    return
                for event in found:
                    yield event.encode()
                    if event.last:
                        return
                remaining = ends - time.monotonic()
                if remaining <= 0 or wakeups.stopping:
                    return
                try:
                    await asyncio.wait_for(woken.wait(), min(keep_alive, remaining))
                except TimeoutError:
                    yield ": keep-alive\n\n"

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )
