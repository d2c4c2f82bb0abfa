"""Waiting: between attempts, and for the order to stop."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

FIRST_WAIT = 0.5
SHORT_OUTAGE_WAIT, SHORT_OUTAGE_ATTEMPTS = 15.0, 40
"""No wait is longer for the first five minutes: a server that is only restarted has all its agents back soon."""
LONGEST_WAIT = 60.0
NOTICE_SECONDS = 2.0
"""Whoever waits longer than this is told what for."""


class Backoff:
    """Exponential back-off with full jitter: each wait is a random part of a limit that doubles from FIRST_WAIT up to
    SHORT_OUTAGE_WAIT, and in a long outage to LONGEST_WAIT. `draw` gives a number between two limits."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._draw = draw
        self._attempts = 0
        self._window = 0.0

    def reset(self) -> None:
        """The last attempt worked."""
        self._attempts = 0

    def spread(self, seconds: float) -> None:
        """The server's own word on how long its agents should take to come back, all together: no limit is less. It
        knows how many they are."""
        self._window = min(max(seconds, 0.0), SHORT_OUTAGE_WAIT)

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait before the next attempt; `at_least` is what the server asked for (Retry-After), to which
        half of it is added at most: the server is there, and knows when it has time."""
        longest = SHORT_OUTAGE_WAIT if self._attempts < SHORT_OUTAGE_ATTEMPTS else LONGEST_WAIT
        limit = min(FIRST_WAIT * 2 ** min(self._attempts, 10), longest)
        self._attempts += 1
        limit = min(limit, at_least / 2) if at_least else max(limit, self._window)
        return at_least + self._draw(0.0, limit)


@contextmanager
def noticing(say: Callable[[], object]) -> Iterator[None]:
    """Calls `say`, in another thread, if what is inside takes longer than NOTICE_SECONDS."""
    timer = threading.Timer(NOTICE_SECONDS, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Stopped(BaseException):
    """The process was told to stop while it waited."""


class Stop:
    """The order to stop. `requested` may be set by a signal; whoever waits ends at once with Stopped, whoever works
    finishes the step that it is at."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._waiting = False

    @property
    def requested(self) -> bool:
        """Whether the process was told to stop."""
        return self._requested.is_set()

    def request(self) -> None:
        """Tells the process to stop; whoever sleeps ends at once."""
        self._requested.set()

    def on_signals(self) -> None:
        """Stops on SIGTERM and SIGINT. For the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._requested.set()
        if self._waiting:
            raise Stopped

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around a blocking wait: in the main thread a signal inside raises Stopped."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._waiting = True
        try:
            if self.requested:
                raise Stopped
            yield
        finally:
            self._waiting = False

    def sleep(self, seconds: float) -> None:
        """Waits. Raises Stopped as soon as the process is told to stop."""
        if self._requested.wait(seconds):
            raise Stopped
