"""Those who ask at once are answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from anyio import CapacityLimiter

from keystead_kit.gather import MOST, Gatherer
from keystead_kit.threads import Overloaded


class _Door:
    """Answers with the square, refuses what is negative, and holds whoever comes while it is shut."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()

    def answer(self, questions: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(questions))
        self.open.wait(10)
        return [ValueError(str(each)) if each < 0 else each * each for each in questions]


def _gatherer(door: _Door, threads: int = 2, patience: float = 5.0) -> Gatherer[int, int]:
    return Gatherer("test", door.answer, CapacityLimiter(threads), patience)


def test_who_comes_alone_is_answered_alone() -> None:
    door = _Door()

    async def ask() -> int:
        return await _gatherer(door).ask(3)

    assert asyncio.run(ask()) == 9
    assert door.groups == [[3]]


def test_who_comes_while_others_are_answered_goes_next_together_in_their_order() -> None:
    door = _Door()
    door.open.clear()

    async def ask() -> list[int]:
        gatherer = _gatherer(door)
        asked = [asyncio.create_task(gatherer.ask(number)) for number in range(MOST + 8)]
        while len(door.groups) < 2:
            await asyncio.sleep(0.001)
        later = [asyncio.create_task(gatherer.ask(number)) for number in range(100, 105)]
        await asyncio.sleep(0.01)
        door.open.set()
        return await asyncio.gather(*asked, *later)

    assert asyncio.run(ask()) == [number**2 for number in [*range(MOST + 8), *range(100, 105)]]
    assert sorted(group[0] for group in door.groups) == [0, MOST, 100]
    assert max(map(len, door.groups)) <= MOST


def test_each_gets_their_own_refusal() -> None:
    door = _Door()

    async def ask() -> list[int | BaseException]:
        gatherer = _gatherer(door)
        return await asyncio.gather(*(gatherer.ask(number) for number in (2, -1, 4)), return_exceptions=True)

    two, refused, four = asyncio.run(ask())
    assert (two, str(refused), four) == (4, "-1", 16)


def test_an_answer_that_breaks_down_is_told_to_all_and_the_next_are_answered() -> None:
    def answer(questions: Sequence[int]) -> list[int]:
        if 0 in questions:
            raise ZeroDivisionError
        return list(questions)

    async def ask() -> list[int | BaseException]:
        gatherer: Gatherer[int, int] = Gatherer("test", answer, CapacityLimiter(1))
        broken = await asyncio.gather(gatherer.ask(0), gatherer.ask(1), return_exceptions=True)
        return [*broken, await gatherer.ask(2)]

    first, second, third = asyncio.run(ask())
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(second, ZeroDivisionError)
    assert third == 2


def test_who_waits_too_long_for_a_turn_is_told_to_come_again() -> None:
    door = _Door()
    door.open.clear()

    async def ask() -> None:
        gatherer = _gatherer(door, threads=1, patience=0.05)
        first = asyncio.create_task(gatherer.ask(1))
        await asyncio.sleep(0.02)
        try:
            with pytest.raises(Overloaded):
                await gatherer.ask(2)
        finally:
            door.open.set()
        assert await first == 1

    asyncio.run(ask())
    assert door.groups == [[1]]


def test_who_comes_when_too_many_wait_is_sent_away_at_once() -> None:
    door = _Door()
    door.open.clear()

    async def ask() -> list[int | BaseException]:
        gatherer = Gatherer("test", door.answer, CapacityLimiter(1), most_waiting=2)
        first = asyncio.create_task(gatherer.ask(1))
        while not door.groups:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(gatherer.ask(number)) for number in (2, 3, 4)]
        with pytest.raises(Overloaded) as sent_away:
            await others[2]
        assert sent_away.value.retry_after >= 2
        door.open.set()
        return await asyncio.gather(first, *others[:2])

    assert asyncio.run(ask()) == [1, 4, 9]
