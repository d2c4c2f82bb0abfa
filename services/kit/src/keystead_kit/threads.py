"""Threads for what blocks. Requests have most of a web process's threads, the looks of open streams a few of their own:
neither waits because the other does.

A thread holds at most one database connection, and the two together are `db.MOST_CONNECTIONS`: none waits for one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread

REQUEST_THREADS, LOOK_THREADS = 24, 6
PATIENCE_SECONDS = 3.0
"""How long a request waits for a thread before it is told to come again."""

T = TypeVar("T")


class Overloaded(Exception):
    """No thread became free in time."""


@asynccontextmanager
async def a_turn(limiter: CapacityLimiter, patience: float = PATIENCE_SECONDS) -> AsyncIterator[None]:
    """One of `limiter`'s places for as long as the block lasts, first come first served.

    Raises Overloaded if none became free within `patience` seconds.
    """
    with move_on_after(patience) as waiting:
        await limiter.acquire()
    if waiting.cancelled_caught:
        raise Overloaded
    try:
        yield
    finally:
        limiter.release()


async def in_thread(function: Callable[[], T], limiter: CapacityLimiter) -> T:
    """What `function` answers, called in a thread. Raises Overloaded if no place became free in time."""
    async with a_turn(limiter):
        return await to_thread.run_sync(function, limiter=CapacityLimiter(1))
