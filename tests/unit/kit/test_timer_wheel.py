"""Appointments of many things."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keystead_kit.timer_wheel import TimerWheel


def test_a_thing_comes_due_once_at_its_time_or_a_tick_later() -> None:
    wheel: TimerWheel[str] = TimerWheel(1.0, now=100.0)
    wheel.put("a", 103.5)
    assert wheel.due(103.4) == []
    assert wheel.due(105.0) == ["a"]
    assert wheel.due(200.0) == []


def test_what_was_taken_back_does_not_come_due() -> None:
    wheel: TimerWheel[str] = TimerWheel(1.0, now=0.0)
    slot = wheel.put("a", 2.0)
    wheel.put("b", 2.0)
    wheel.take("a", slot)
    wheel.take("a", slot)
    assert wheel.due(10.0) == ["b"]


def test_what_was_due_long_ago_comes_at_the_next_turn() -> None:
    wheel: TimerWheel[str] = TimerWheel(0.5, now=50.0)
    wheel.put("a", 1.0)
    assert wheel.due(50.5) == ["a"]


@given(st.lists(st.floats(0, 50), max_size=30), st.lists(st.floats(0, 60), max_size=20))
def test_nothing_comes_early_or_twice_and_all_comes(appointments: list[float], turns: list[float]) -> None:
    wheel: TimerWheel[int] = TimerWheel(0.7, now=0.0)
    for thing, at in enumerate(appointments):
        wheel.put(thing, at)
    came: list[int] = []
    for now in sorted(turns):
        due = wheel.due(now)
        assert all(appointments[thing] <= now for thing in due)
        came += due
    came += wheel.due(100.0)
    assert sorted(came) == list(range(len(appointments)))
