"""Turns for threads."""

from __future__ import annotations

import asyncio
import threading

import pytest
from anyio import CapacityLimiter

from keystead_kit.threads import Lane, Overloaded, a_turn, in_thread


async def _ask_at_once(count: int, limiter: CapacityLimiter) -> list[str]:
    """`count` callers, all of whom stay until the last was refused."""
    refused = asyncio.Event()
    answers: list[str] = []

    async def ask() -> None:
        try:
            async with a_turn(limiter, patience=0.05):
                await refused.wait()
            answers.append("served")
        except Overloaded:
            answers.append("refused")
            if answers.count("refused") == count - int(limiter.total_tokens):
                refused.set()

    await asyncio.gather(*(ask() for _ in range(count)))
    return answers


def test_of_many_who_come_at_once_no_more_are_let_in_than_there_is_room_for() -> None:
    answers = asyncio.run(_ask_at_once(20, CapacityLimiter(3)))
    assert (answers.count("served"), answers.count("refused")) == (3, 17)


def test_a_turn_ends_with_its_block_whatever_happens_there() -> None:
    async def fail_then_ask() -> int:
        limiter = CapacityLimiter(1)
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0, limiter)
        return await in_thread(threading.get_ident, limiter)

    assert asyncio.run(fail_then_ask()) != threading.get_ident()


def test_who_comes_when_a_lane_is_full_is_sent_away_at_once_to_come_again_at_no_common_time() -> None:
    async def come(count: int) -> list[int]:
        lane, over = Lane(CapacityLimiter(1), most_waiting=2), asyncio.Event()
        sent_away: list[int] = []

        async def ask() -> None:
            try:
                async with lane.turn():
                    await over.wait()
            except Overloaded as overloaded:
                sent_away.append(overloaded.retry_after)
                if len(sent_away) == count - 3:
                    over.set()

        await asyncio.gather(*(ask() for _ in range(count)))
        return sent_away

    sent_away = asyncio.run(come(40))
    assert len(sent_away) == 37
    assert min(sent_away) >= 2
    assert len(set(sent_away)) > 3
