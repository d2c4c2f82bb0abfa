"""The helper process without fork(2), on this machine: what Windows adds is in tests/windows/test_service.py."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.samples import NOW

from keystead_agent.errors import KeyLost, TpmFailed
from keystead_agent.helper import Helper
from keystead_agent.machine import Machine
from keystead_agent.settings import Settings
from keystead_agent.spawned import Spawned

CHILD = """
import os, signal, time
from keystead_agent.errors import KeyLost
from keystead_agent.spawned import help_parent

class Behaviour:
    def assertion(self, what):
        match what.split():
            case ["pid"]:
                return str(os.getpid())
            case ["sleep", seconds]:
                time.sleep(float(seconds))
            case ["lose"]:
                raise KeyLost("Gone", "Enroll again.")
            case ["die"]:
                os._exit(3)
            case ["crash"]:
                raise ZeroDivisionError("by nought")
            case ["interrupt"]:
                os.kill(os.getpid(), signal.SIGTERM)
        return "done"

help_parent(lambda: None, lambda beginning, now: Behaviour())
"""
Make = Callable[..., Helper]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine.of(Settings(state_dir=tmp_path / "state", allow_software_key=True), lambda: NOW)


@pytest.fixture
def make(machine: Machine) -> Iterator[Make]:
    helpers: list[Helper] = []

    def helper(**limits: Any) -> Helper:
        command = [sys.executable, "-c", CHILD]
        helpers.append(Helper(machine, start=lambda machine, idle: Spawned(machine, idle, command), **limits))
        return helpers[-1]

    yield helper
    for one in helpers:
        one.close()


def test_the_program_itself_does_the_work_in_another_process(machine: Machine) -> None:
    with Helper(machine, start=Spawned) as helper:
        helper.recover()
        assert helper.info() == machine.info()
    assert (machine.settings.state_dir / "certificates").is_dir()


def test_work_is_done_in_one_other_process(make: Make) -> None:
    helper = make()
    first, second = helper.assertion("pid"), helper.assertion("pid")
    assert first == second != str(os.getpid())


def test_a_process_without_work_ends_and_the_next_work_starts_another(make: Make) -> None:
    helper = make(idle_limit=0.05)
    first = helper.assertion("pid")
    deadline = time.monotonic() + 10
    while Path("/proc", first).exists():
        assert time.monotonic() < deadline
        helper.tidy()
        time.sleep(0.02)
    assert helper.assertion("pid") != first


def test_errors_arrive_with_their_advice(make: Make) -> None:
    with pytest.raises(KeyLost) as caught:
        make().assertion("lose")
    assert (caught.value.detail, caught.value.advice) == ("Gone", "Enroll again.")


def test_work_that_hangs_is_given_up_and_its_process_ended(make: Make) -> None:
    helper = make(work_limit=5.0)
    hanging = helper.assertion("pid")
    with pytest.raises(TpmFailed, match="did not finish"):
        helper.assertion("sleep 60")
    assert not Path("/proc", hanging).exists()
    assert helper.assertion("sleep 0") == "done"


def test_a_process_that_is_not_waited_for_any_longer_is_ended(make: Make) -> None:
    helper = make()
    working = helper.assertion("pid")
    helper.kill()
    assert not Path("/proc", working).exists()


def test_what_crashes_a_process_is_in_the_log(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TpmFailed):
        make().assertion("crash")
    assert "ZeroDivisionError: by nought" in capfd.readouterr().err


def test_a_process_that_dies_is_replaced_once(make: Make) -> None:
    with pytest.raises(TpmFailed, match="ended unexpectedly"):
        make().assertion("die")


def test_the_order_to_stop_lets_work_finish(make: Make) -> None:
    assert make().assertion("interrupt") == "done"
