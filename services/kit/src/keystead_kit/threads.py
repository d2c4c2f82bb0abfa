"""Threads for what blocks, in lanes: persons' requests, agents' requests, the looks of open streams, certificates for
programs, what relying parties ask. None waits because another does: a fleet that comes back leaves the pages as quick
as they were.

A thread holds at most one database connection, and all lanes together are `db.MOST_CONNECTIONS`: none waits for one.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread

REQUEST_THREADS, AGENT_THREADS, LOOK_THREADS, ISSUE_THREADS, STATUS_THREADS = 16, 8, 4, 2, 1
PATIENCE_SECONDS = 3.0
"""How long a request waits for a thread before it is told to come again."""
MOST_WAITING = 400
"""Programs that wait for a thread: a second's worth, or less."""
AGAIN_SECONDS = 5
_PROGRAM_AGAIN_SECONDS = (2, 10)

T = TypeVar("T")


class Overloaded(Exception):
    """No thread became free in time, or so many wait for one that it would not. `retry_after`: seconds until another
    try is worth it."""

    def __init__(self, retry_after: int = AGAIN_SECONDS) -> None:
        super().__init__()
        self.retry_after = retry_after


def program_again() -> int:
    """Seconds after which a program that could not be served comes again: a number for each, so that they do not come
    all at once."""
    return random.randint(*_PROGRAM_AGAIN_SECONDS)  # noqa: S311 spreads those who come again


@dataclass(frozen=True)
class Lane:
    """Threads for programs, and how many may wait for one of them. Whoever comes when that many wait is sent away at
    once: that costs little, and to hold the request for PATIENCE_SECONDS first would cost its memory too."""

    threads: CapacityLimiter
    most_waiting: int = MOST_WAITING

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Like `a_turn`, with room for `most_waiting`."""
        if self.threads.statistics().tasks_waiting >= self.most_waiting:
            raise Overloaded(program_again())
        async with a_turn(self.threads, again=program_again):
            yield


@asynccontextmanager
async def a_turn(
    limiter: CapacityLimiter, patience: float = PATIENCE_SECONDS, again: Callable[[], int] = lambda: AGAIN_SECONDS
) -> AsyncIterator[None]:
    """One of `limiter`'s places for as long as the block lasts, first come first served.

    Raises Overloaded if none became free within `patience` seconds.
    """
    with move_on_after(patience) as waiting:
        await limiter.acquire()
    if waiting.cancelled_caught:
        raise Overloaded(again())
    try:
        yield
    finally:
        limiter.release()


async def in_thread(function: Callable[[], T], limiter: CapacityLimiter) -> T:
    """What `function` answers, called in a thread. Raises Overloaded if no place became free in time."""
    async with a_turn(limiter):
        return await to_thread.run_sync(function, limiter=CapacityLimiter(1))
