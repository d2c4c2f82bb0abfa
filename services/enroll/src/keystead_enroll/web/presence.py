"""Which devices hold a job stream open in this process, told to the database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial

from anyio import CapacityLimiter, move_on_after, to_thread

from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.note_presence import note_presence
from keystead_kit.logs import get_logger
from keystead_kit.secrets import new_id

BEAT_SECONDS = 25.0
GATHER_SECONDS = 0.1
"""What begins and ends so close together is written at once: a thousand devices that return are a few writes."""
_LAST_WORD_SECONDS = 3.0
_log = get_logger()


class DevicePresence:
    """Writes when streams of devices begin and end, and every `beat` seconds that the others go on. Used on its event
    loop only. A write that fails is not repeated: the next beat says the same, and what nobody says grows stale."""

    def __init__(
        self, transactions: Transactions, clock: Clock, threads: CapacityLimiter, beat: float = BEAT_SECONDS
    ) -> None:
        self._transactions, self._clock, self._threads = transactions, clock, threads
        self._holder, self._beat_seconds = new_id(), beat
        self._open: Counter[str] = Counter()
        self._arrived: set[str] = set()
        self._left: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def holding(self, device_id: str) -> Iterator[None]:
        """The device has a stream here for as long as the block lasts."""
        self._open[device_id] += 1
        self._arrived.add(device_id)
        self._left.discard(device_id)
        self._changed.set()
        try:
            yield
        finally:
            self._open[device_id] -= 1
            if not self._open[device_id]:
                del self._open[device_id]
                self._arrived.discard(device_id)
                self._left.add(device_id)
                self._changed.set()

    async def start(self) -> None:
        """Begins to write, on the running loop."""
        self._task = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Says that every stream here has ended, unless the database takes too long."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._left.update(self._open)
        self._open.clear()
        self._arrived.clear()
        with move_on_after(_LAST_WORD_SECONDS):
            await self._write(staying=frozenset())

    async def _beat(self) -> None:
        next_beat = time.monotonic() + self._beat_seconds
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(0.0, next_beat - time.monotonic()))
            await asyncio.sleep(GATHER_SECONDS)
            self._changed.clear()
            if time.monotonic() < next_beat:
                await self._write(staying=frozenset())
            else:
                next_beat = time.monotonic() + self._beat_seconds
                await self._write(staying=self._open.keys() - self._arrived)

    async def _write(self, staying: Collection[str]) -> None:
        if not (self._arrived or self._left or staying):
            return
        arrived, left = frozenset(self._arrived), frozenset(self._left)
        self._arrived.clear()
        self._left.clear()
        note = partial(
            note_presence,
            self._transactions,
            self._clock,
            self._holder,
            arrived=arrived,
            staying=staying,
            left=left,
        )
        try:
            await to_thread.run_sync(note, limiter=self._threads, abandon_on_cancel=True)
        except Exception as error:
            _log.warning("presence of devices was not stored", error=str(error))
