"""Appointments of many things, kept by one task: setting one costs no timer of the event loop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class TimerWheel(Generic[T]):
    """Things by the time at which they are due, in steps of `tick` seconds. Whoever has one asks it for `due` once a
    tick, and remembers the slot of each thing. Times are of a clock that never goes back."""

    def __init__(self, tick: float, now: float) -> None:
        self.tick = tick
        self._slots: dict[int, set[T]] = defaultdict(set)
        self._turned = int(now / tick)

    def put(self, thing: T, at: float) -> int:
        """Has `thing` come due at `at`, at most a tick later. Its slot, for `take`."""
        slot = max(int(at / self.tick), self._turned) + 1
        self._slots[slot].add(thing)
        return slot

    def take(self, thing: T, slot: int) -> None:
        """Forgets the appointment of `thing` in `slot`, if it has not come yet."""
        waiting = self._slots.get(slot)
        if waiting is not None:
            waiting.discard(thing)
            if not waiting:
                del self._slots[slot]

    def due(self, now: float) -> list[T]:
        """What has come due since the last time. It has no appointment any more."""
        turned = int(now / self.tick)
        found: list[T] = []
        for slot in range(self._turned + 1, turned + 1):
            found += self._slots.pop(slot, ())
        self._turned = max(turned, self._turned)
        return found
