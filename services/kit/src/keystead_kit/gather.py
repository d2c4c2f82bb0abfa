"""Questions that come at the same time are answered together: a thread and a transaction for all that wait, not for
each. Nobody waits for company: who comes first goes at once, and who comes meanwhile goes next, together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from prometheus_client import Histogram

from keystead_kit.threads import MOST_WAITING, PATIENCE_SECONDS, Overloaded, program_again

MOST = 32
LANES = 2
"""How many groups are answered at a time: while one waits for the database, the other computes."""
GROUPS = Histogram("keystead_gathered", "Requests answered together", ["kind"], buckets=(1, 2, 4, 8, 16, 32))

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(eq=False)
class _Waiting(Generic[Q, A]):
    question: Q
    answered: asyncio.Future[A]
    gives_up: asyncio.TimerHandle


class Gatherer(Generic[Q, A]):
    """`answer` is given questions, at most `MOST` at a time and in the order in which they came, and answers each, or
    says what is to be raised to whoever asked; it is called in one of `threads`. `kind` names them in metrics. Used on
    one event loop only."""

    def __init__(
        self,
        kind: str,
        answer: Callable[[Sequence[Q]], Sequence[A | Exception]],
        threads: CapacityLimiter,
        patience: float = PATIENCE_SECONDS,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._kind, self._answer, self._threads = kind, answer, threads
        self._patience, self._most_waiting = patience, most_waiting
        self._waiting: deque[_Waiting[Q, A]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """The answer. Raises what `answer` says, and Overloaded if it was nobody's turn within the patience, or will
        not be, because so many wait."""
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded(program_again())
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[A] = loop.create_future()
        gives_up = loop.call_later(self._patience, _give_up, answered)
        self._waiting.append(_Waiting(question, answered, gives_up))
        self._begin()
        return await answered

    def _begin(self) -> None:
        while self._waiting and len(self._tasks) < LANES:
            task = asyncio.get_running_loop().create_task(self._lane())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _lane(self) -> None:
        """Answers groups until nobody waits."""
        while self._waiting:
            async with self._threads:
                group = self._next_group()
                if not group:
                    return
                GROUPS.labels(self._kind).observe(len(group))
                try:
                    answers = await to_thread.run_sync(
                        self._answer, [each.question for each in group], limiter=CapacityLimiter(1)
                    )
                except Exception as error:
                    answers = [error] * len(group)
            for each, answer in zip(group, answers, strict=True):
                if each.answered.done():
                    continue  # whoever asked has gone
                if isinstance(answer, Exception):
                    each.answered.set_exception(answer)
                else:
                    each.answered.set_result(answer)

    def _next_group(self) -> list[_Waiting[Q, A]]:
        group: list[_Waiting[Q, A]] = []
        while self._waiting and len(group) < MOST:
            each = self._waiting.popleft()
            each.gives_up.cancel()
            if not each.answered.done():
                group.append(each)
        return group


def _give_up(answered: asyncio.Future[A]) -> None:
    if not answered.done():
        answered.set_exception(Overloaded(program_again()))
