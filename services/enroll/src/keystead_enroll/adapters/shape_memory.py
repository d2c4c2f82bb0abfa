"""Remembers shapes in the process: another process, and this one after a restart, lints the first of each again."""

from __future__ import annotations

import threading
from collections import OrderedDict

from keystead_enroll.domain.shapes import Shape


class ProcessShapeMemory:
    """The `most` shapes used last. May be shared by threads."""

    def __init__(self, most: int = 10_000) -> None:
        self._most, self._lock = most, threading.Lock()
        self._shapes: OrderedDict[Shape, None] = OrderedDict()

    def knows(self, shape: Shape) -> bool:
        """Whether the shape is remembered."""
        with self._lock:
            known = shape in self._shapes
            if known:
                self._shapes.move_to_end(shape)
            return known

    def remember(self, shape: Shape) -> None:
        """From now on the shape is known; the one that was not used for longest may be forgotten for it."""
        with self._lock:
            self._shapes[shape] = None
            if len(self._shapes) > self._most:
                self._shapes.popitem(last=False)

    def forget(self, shape: Shape) -> None:
        """The next certificate of this shape is linted in full."""
        with self._lock:
            self._shapes.pop(shape, None)
