"""When the worker looks after a duty that is not urgent."""

from __future__ import annotations

from keystead_enroll.worker import every


def test_a_duty_goes_on_while_it_finds_something_and_then_rests() -> None:
    found = [2, 1, 0, 7]
    duty = every(3600, lambda: found.pop(0))
    assert [duty() for _ in range(5)] == [2, 1, 0, 0, 0]
    assert found == [7]
