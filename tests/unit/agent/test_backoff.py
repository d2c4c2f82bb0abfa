from __future__ import annotations

import threading

import pytest

from keystead_agent.backoff import (
    FIRST_WAIT,
    LONGEST_WAIT,
    SHORT_OUTAGE_ATTEMPTS,
    SHORT_OUTAGE_WAIT,
    Backoff,
    Stop,
    Stopped,
)


def longest(low: float, high: float) -> float:
    return high


def test_waits_double_up_to_a_limit_and_start_again_after_success() -> None:
    backoff = Backoff(longest)
    waits = [backoff.next() for _ in range(SHORT_OUTAGE_ATTEMPTS)]
    assert waits[:3] == [FIRST_WAIT, FIRST_WAIT * 2, FIRST_WAIT * 4]
    assert set(waits[5:]) == {SHORT_OUTAGE_WAIT}
    assert backoff.next() == LONGEST_WAIT
    backoff.reset()
    assert backoff.next() == FIRST_WAIT


def test_the_server_says_how_far_its_agents_spread_when_they_come_back() -> None:
    backoff = Backoff(longest)
    backoff.spread(10.0)
    assert [backoff.next() for _ in range(6)] == [10.0, 10.0, 10.0, 10.0, 10.0, SHORT_OUTAGE_WAIT]
    backoff.reset()
    assert backoff.next() == 10.0
    backoff.spread(0.0)
    backoff.reset()
    assert backoff.next() == FIRST_WAIT


def test_little_is_added_to_what_a_server_asks_for_that_is_there() -> None:
    backoff = Backoff(longest)
    backoff.spread(10.0)
    for _ in range(SHORT_OUTAGE_ATTEMPTS):
        backoff.next()
    assert backoff.next(at_least=3.0) == 4.5


def test_no_server_keeps_its_agents_away_by_that() -> None:
    backoff = Backoff(longest)
    backoff.spread(1e9)
    assert backoff.next() == SHORT_OUTAGE_WAIT


def test_a_wait_is_any_part_of_its_limit_and_never_less_than_the_server_asked_for() -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert Backoff(draw).next(at_least=7.0) == 7.0
    assert drawn == [(0.0, FIRST_WAIT)]


def test_sleeping_ends_when_told_to_stop() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.request).start()
    with pytest.raises(Stopped):
        stop.sleep(30)


def test_no_wait_begins_after_the_order_to_stop() -> None:
    stop = Stop()
    stop.request()
    with pytest.raises(Stopped), stop.waiting():
        pytest.fail("it waited")
