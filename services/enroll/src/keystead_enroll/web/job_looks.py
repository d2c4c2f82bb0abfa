"""Looks for the jobs of many recipients at once: one query, however many streams were woken, opened or came due."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

from anyio import CapacityLimiter, to_thread

from keystead_enroll.metrics import JOB_LOOKS
from keystead_enroll.usecases.find_jobs import OpenJob
from keystead_kit.logs import get_logger

MOST_AT_ONCE = 500
"""Recipients of one look: a few milliseconds of the database, so that whoever comes next does not wait for long."""
PAUSE_SECONDS = 1.0
"""After a look that failed."""
_log = get_logger()

Found = Mapping[str, Sequence[OpenJob]]
Find = Callable[[Collection[str]], Found]
"""Finds the open jobs of recipients; whoever is not in the answer is gone. Called in a thread."""


Tell = Callable[[int, Collection[str], Found | None], None]
"""Takes what a look found: its number, whom it was for, None if it failed."""


class JobLooks:
    """One look after the other, for whoever was wanted meanwhile: who is alone is looked for at once, and the more
    there are the more have one query. Used on its event loop only."""

    def __init__(self, find: Find, threads: CapacityLimiter, tell: Tell) -> None:
        self._find, self._threads, self._tell = find, threads, tell
        self._wanted: dict[str, None] = {}  # in the order in which they came
        self._begun = 0
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def want(self, recipient: str) -> int:
        """Has the recipient's jobs looked for. The number of the first look that begins after this: what an earlier one
        finds, which is under way, may be older than the reason to look."""
        self._wanted[recipient] = None
        self._some.set()
        return self._begun + 1

    async def start(self) -> None:
        """Begins to look, on the running loop."""
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """Ends it."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _go_on(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(0)  # whoever is woken by the same message
            recipients = list(islice(self._wanted, MOST_AT_ONCE))
            for recipient in recipients:
                del self._wanted[recipient]
            if not self._wanted:
                self._some.clear()
            self._begun += 1
            found: Found | None = None
            try:
                with JOB_LOOKS.time():
                    found = await to_thread.run_sync(
                        self._find, recipients, limiter=self._threads, abandon_on_cancel=True
                    )
            except Exception:
                _log.exception("could not look for jobs, streams look again", recipients=len(recipients))
            self._tell(self._begun, recipients, found)
            if found is None:
                await asyncio.sleep(PAUSE_SECONDS)
