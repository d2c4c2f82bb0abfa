"""Threads for what blocks. Requests have most of a web process's threads, the looks of open streams a few of their own:
neither waits because the other does.

A thread holds at most one database connection, and the two together are `db.MOST_CONNECTIONS`: none waits for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, move_on_after, to_thread

REQUEST_THREADS, LOOK_THREADS = 24, 6
PATIENCE_SECONDS = 3.0
"""How long a request waits for a thread before it is told to come again."""

T = TypeVar("T")


class Overloaded(Exception):
    """No thread became free in time."""


def limit_request_threads() -> None:
    """Gives the running loop's default pool its size. Raises RuntimeError without a running loop."""
    to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS


async def free_thread(patience: float = PATIENCE_SECONDS) -> None:
    """Waits, first come first served, until a thread for requests is free.

    Raises Overloaded after `patience` seconds. The thread is not kept: what is run next may wait once more, shortly.
    """
    limiter = to_thread.current_default_thread_limiter()
    with move_on_after(patience):
        await limiter.acquire()
        limiter.release()
        return
    raise Overloaded


async def in_thread(
    function: Callable[[], T], limiter: CapacityLimiter | None = None, patience: float = PATIENCE_SECONDS
) -> T:
    """What `function` answers, called in a thread: one for requests, or of `limiter`.

    Raises Overloaded if none became free within `patience` seconds.
    """
    limiter = limiter or to_thread.current_default_thread_limiter()
    place = object()
    with move_on_after(patience) as waiting:
        await limiter.acquire_on_behalf_of(place)
    if waiting.cancelled_caught:
        raise Overloaded
    try:
        return await to_thread.run_sync(function, limiter=CapacityLimiter(1))
    finally:
        limiter.release_on_behalf_of(place)
