"""Which devices hold a job stream open in this process, told to the database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Collection
from functools import partial
from itertools import islice, takewhile

from anyio import CapacityLimiter, move_on_after, to_thread

from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.note_presence import note_presence
from keystead_kit.logs import get_logger
from keystead_kit.secrets import new_id

BEAT_SECONDS = 25.0
GATHER_SECONDS = 0.1
"""What begins and ends so close together is written at once: a thousand devices that return are a few writes."""
MOST_AT_ONCE = 1000
"""Devices of one write: some milliseconds of the database, and of SQLite's one writer."""
_TOGETHER = 0.9
"""Of a beat: who was told of so long ago is told of again along with those whose beat has come."""
_LAST_WORD_SECONDS = 3.0
_log = get_logger()


class DevicePresence:
    """Writes when streams of devices begin and end, and every `beat` seconds that each goes on. Used on its event
    loop only. A write that fails is not repeated: the next beat says the same, and what nobody says grows stale."""

    def __init__(
        self, transactions: Transactions, clock: Clock, threads: CapacityLimiter, beat: float = BEAT_SECONDS
    ) -> None:
        self._transactions, self._clock, self._threads = transactions, clock, threads
        self._holder, self._beat_seconds = new_id(), beat
        self._open: Counter[str] = Counter()
        self._arrived: set[str] = set()
        self._left: set[str] = set()
        self._told: OrderedDict[str, float] = OrderedDict()
        """When the database was last told that a device's stream is open; the longest ago first."""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def began(self, recipient: str) -> None:
        """A stream of this recipient is open here. Only devices count."""
        device_id = _device(recipient)
        if device_id is not None:
            self._open[device_id] += 1
            self._arrived.add(device_id)
            self._left.discard(device_id)
            self._changed.set()

    def ended(self, recipient: str) -> None:
        """It is no longer."""
        device_id = _device(recipient)
        if device_id is not None and device_id in self._open:
            self._open[device_id] -= 1
            if not self._open[device_id]:
                self._forget(device_id)

    def _forget(self, device_id: str) -> None:
        del self._open[device_id]
        self._told.pop(device_id, None)
        self._arrived.discard(device_id)
        self._left.add(device_id)
        self._changed.set()

    async def start(self) -> None:
        """Begins to write, on the running loop."""
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """Says that every stream here has ended, unless the database takes too long."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for device_id in list(self._open):
            self._forget(device_id)
        with move_on_after(_LAST_WORD_SECONDS):
            while self._left:
                await self._write(())

    async def _go_on(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._until_next_beat())
            await asyncio.sleep(GATHER_SECONDS)
            self._changed.clear()
            await self._write(self._due(time.monotonic()))
            if self._arrived or self._left:
                self._changed.set()

    def _until_next_beat(self) -> float | None:
        longest_ago = next(iter(self._told.values()), None)
        return None if longest_ago is None else max(0.0, longest_ago + self._beat_seconds - time.monotonic())

    def _due(self, now: float) -> list[str]:
        """Whose beat has come, if it has for anybody."""
        if self._until_next_beat():
            return []
        before = now - _TOGETHER * self._beat_seconds
        due = (device_id for device_id, _ in takewhile(lambda told: told[1] <= before, self._told.items()))
        return list(islice((device_id for device_id in due if device_id not in self._arrived), MOST_AT_ONCE))

    async def _write(self, staying: Collection[str]) -> None:
        arrived = frozenset(islice(self._arrived, MOST_AT_ONCE))
        left = frozenset(islice(self._left, MOST_AT_ONCE))
        if not (arrived or left or staying):
            return
        self._arrived -= arrived
        self._left -= left
        now = time.monotonic()
        for device_id in (*staying, *arrived):
            self._told[device_id] = now
            self._told.move_to_end(device_id)
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


def _device(recipient: str) -> str | None:
    """The id of the device that the recipient is, if it is one."""
    kind, _, device_id = recipient.partition(":")
    return device_id if kind == "device" else None
