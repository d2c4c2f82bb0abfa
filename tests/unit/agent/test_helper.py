from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from keystead_agent.errors import KeyLost, TpmFailed
from keystead_agent.helper import Helper, answer_to
from keystead_agent.machine import Machine


class Behaviour:
    """Stands where the machine does: `assertion` is the one call that these tests make."""

    def __init__(self, act: Callable[[str], str]) -> None:
        self.assertion = act


Make = Callable[..., Helper]


@pytest.fixture
def make() -> Iterator[Make]:
    helpers: list[Helper] = []

    def helper(act: Callable[[str], str], **limits: Any) -> Helper:
        helpers.append(Helper(cast(Machine, Behaviour(act)), **limits))
        return helpers[-1]

    yield helper
    for one in helpers:
        one.close()


def pid(_: str) -> str:
    return str(os.getpid())


def test_work_is_done_in_one_other_process(make: Make) -> None:
    helper = make(pid)
    first, second = helper.assertion(""), helper.assertion("")
    assert first == second != str(os.getpid())


def test_a_process_without_work_ends_and_the_next_work_starts_another(make: Make) -> None:
    helper = make(pid, idle_limit=0.05)
    first = helper.assertion("")
    time.sleep(0.5)
    helper.tidy()
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)
    assert helper.assertion("") != first


def test_errors_arrive_with_their_advice(make: Make) -> None:
    def lose(_: str) -> str:
        raise KeyLost("Gone", "Enroll again.")

    with pytest.raises(KeyLost) as caught:
        make(lose).assertion("")
    assert (caught.value.detail, caught.value.advice) == ("Gone", "Enroll again.")


def test_work_that_hangs_is_given_up_and_its_process_ended(make: Make) -> None:
    def sleep(seconds: str) -> str:
        time.sleep(float(seconds))
        return "awake"

    helper = make(sleep, work_limit=0.2)
    with pytest.raises(TpmFailed, match="did not finish"):
        helper.assertion("60")
    assert helper.assertion("0") == "awake"


def test_what_crashes_a_process_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def crash(_: str) -> str:
        raise ZeroDivisionError("by nought")

    with pytest.raises(ZeroDivisionError):
        answer_to(cast(Machine, Behaviour(crash)), ("assertion", ("",)))
    assert "ZeroDivisionError: by nought" in caplog.text


def test_a_process_that_dies_is_replaced_once(make: Make) -> None:
    def die(_: str) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    with pytest.raises(TpmFailed, match="ended unexpectedly"):
        make(die).assertion("")


def test_a_process_killed_while_idle_is_not_noticed(make: Make) -> None:
    helper = make(pid)
    first = helper.assertion("")
    os.kill(int(first), signal.SIGKILL)
    time.sleep(0.1)
    assert helper.assertion("") != first


def test_the_order_to_stop_lets_work_finish(make: Make) -> None:
    def interrupted(_: str) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "finished"

    assert make(interrupted).assertion("") == "finished"
