"""Whether a process has anything to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keystead_agent.doorbell import Idle


class Quiet:
    """Knows since when there has been nothing to do but wait, and for what. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._idle: Idle | None = None
        self._busy = 0
        self._since = 0.0

    @contextmanager
    def lull(self, idle: Idle) -> Iterator[None]:
        """Around the wait of what the process is there for: until `idle` ends there is nothing to do."""
        with self._mutex:
            self._idle, self._since = idle, self._clock()
        try:
            yield
        finally:
            with self._mutex:
                self._idle = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Around work beside it."""
        with self._mutex:
            self._busy += 1
        try:
            yield
        finally:
            with self._mutex:
                self._busy -= 1
                self._since = self._clock()

    def lasting(self, seconds: float) -> Idle | None:
        """What is waited for, if nothing else has been done for `seconds`."""
        with self._mutex:
            lasts = not self._busy and self._clock() - self._since >= seconds
            return self._idle if lasts else None
