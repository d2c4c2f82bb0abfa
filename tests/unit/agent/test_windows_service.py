"""The Windows service's life and what it writes into the event log, without Windows."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, cast

import pytest

from keystead_agent.backoff import Stopped
from keystead_agent.errors import SettingsInvalid
from keystead_agent.local.connection import Listener
from keystead_agent.piped import ENDED
from keystead_agent.service import Gate
from keystead_agent.watch import Asked, Ready, Unable, Watch
from keystead_agent.windows import _advapi32 as a
from keystead_agent.windows.dispatch import Controls
from keystead_agent.windows.eventlog import LONGEST_TEXT, Entry, LogHandler, LogTeller, entry_of
from keystead_agent.windows.service import ServiceLife


class FakeReports:
    def __init__(self) -> None:
        self.states: list[tuple[int, bool]] = []

    def state(self, state: int, *, hint: int = 0, failed: bool = False) -> None:
        self.states.append((state, failed))


class Silent:
    """A listener to which nobody comes."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def accept(self) -> Any:
        self._closed.wait()
        raise Stopped

    def close(self) -> None:
        self._closed.set()


class Entries:
    def __init__(self) -> None:
        self.written: list[Entry] = []

    def write(self, entry: Entry) -> None:
        self.written.append(entry)

    def numbers(self) -> list[int]:
        return [entry.number for entry in self.written]


class OnDuty:
    """A process that says `first` when it is started, and ends when it is hung up on."""

    def __init__(self, first: object = Ready()) -> None:
        self.arrived: SimpleQueue[object] = SimpleQueue()
        self.arrived.put(first)

    def send(self, message: Asked) -> None:
        raise AssertionError("nobody asks")

    def hang_up(self) -> None:
        self.arrived.put(ENDED)

    def close(self) -> None:
        """It has ended."""

    def kill(self) -> None:
        self.arrived.put(ENDED)


Prepared = tuple[Watch, Listener]


def prepared(worker: OnDuty, entries: Entries) -> Prepared:
    return Watch(lambda: worker, LogTeller(entries)), Silent()


def lived(prepare: Callable[[], Prepared], entries: Entries, *numbers: int) -> tuple[FakeReports, bool]:
    """The reports of a whole life, with the controls `numbers` once it runs, and how it ended."""
    reports, controls = FakeReports(), Controls()
    ended: list[bool] = []
    life = ServiceLife(prepare, controls, LogTeller(entries))
    thread = threading.Thread(target=lambda: ended.append(life.live(reports)))
    thread.start()
    deadline = time.monotonic() + 10
    while reports.states[-1:] != [(a.SERVICE_RUNNING, False)] and thread.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for number in numbers:
        assert controls.control(number) == a.NO_ERROR
    thread.join(10)
    assert not thread.is_alive()
    return reports, ended[0]


@pytest.mark.parametrize("control", [a.SERVICE_CONTROL_STOP, a.SERVICE_CONTROL_SHUTDOWN])
def test_it_starts_runs_and_stops_when_told(control: int) -> None:
    entries = Entries()
    reports, well = lived(lambda: prepared(OnDuty(), entries), entries, control)
    assert well
    assert reports.states == [
        (a.SERVICE_RUNNING, False),
        (a.SERVICE_STOP_PENDING, False),
        (a.SERVICE_STOPPED, False),
    ]
    assert {1, 2} <= set(entries.numbers())


def test_what_keeps_it_from_starting_is_in_the_event_log_and_the_manager_knows() -> None:
    def fail() -> Prepared:
        raise SettingsInvalid("the settings cannot be used", "Do this.")

    entries = Entries()
    reports, well = lived(fail, entries)
    assert well
    assert reports.states == [(a.SERVICE_STOPPED, True)]
    assert "The settings cannot be used" in entries.written[0].text
    assert "Do this." in entries.written[0].text


def test_a_process_on_duty_that_cannot_work_keeps_it_from_starting() -> None:
    entries = Entries()
    worker = OnDuty(Unable("The settings cannot be used", "Do this."))
    reports, well = lived(lambda: prepared(worker, entries), entries)
    assert well
    assert reports.states == [(a.SERVICE_STOPPED, True)]
    assert "The settings cannot be used" in entries.written[0].text


def test_a_crash_is_not_reported_as_a_stop_so_that_windows_starts_it_again() -> None:
    entries, worker = Entries(), OnDuty()
    worker.arrived.put(ENDED)
    reports, well = lived(lambda: prepared(worker, entries), entries)
    assert not well
    assert a.SERVICE_STOPPED not in [state for state, _ in reports.states]


def test_a_control_that_it_does_not_know_is_refused() -> None:
    controls = Controls()
    assert controls.control(128) == a.ERROR_CALL_NOT_IMPLEMENTED
    assert controls.control(a.SERVICE_CONTROL_INTERROGATE) == a.NO_ERROR
    assert not controls.told_to_stop.is_set()


def test_a_job_that_is_being_done_ends_before_the_service_stops_and_none_begins_after() -> None:
    began, end = threading.Event(), threading.Event()

    class Slow:
        def assertion(self, origin: str) -> str:
            began.set()
            end.wait(10)
            return origin

    gate = Gate(cast(Any, Slow()))
    working = threading.Thread(target=gate.assertion, args=["x"], daemon=True)
    working.start()
    began.wait(10)
    assert not gate.shut(0.01)
    end.set()
    assert gate.shut(10)
    began.clear()
    threading.Thread(target=gate.assertion, args=["x"], daemon=True).start()
    assert not began.wait(0.05)


def test_the_event_log_says_what_an_administrator_looks_for() -> None:
    entry = entry_of("enrolled", {"order": "order-1", "user": "S-1-5-21-1"})
    assert entry is not None
    assert (entry.number, entry.kind) == (11, a.EVENTLOG_INFORMATION)
    assert entry.text == 'A certificate was installed.\r\norder: "order-1"\r\nuser: "S-1-5-21-1"'


def test_a_job_that_failed_is_a_warning() -> None:
    entry = entry_of("job_reported", {"outcome": "failed"})
    assert entry is not None
    assert entry.kind == a.EVENTLOG_WARNING


@pytest.mark.parametrize("event", ["connected", "unreachable", "something_new"])
def test_what_is_no_administrators_business_is_not_logged(event: str) -> None:
    assert entry_of(event, {}) is None


def test_what_a_server_says_cannot_forge_an_entry() -> None:
    entry = entry_of("failed", {"reason": 'x\r\nThe service was stopped.\0 %1 %%1817 "'})
    assert entry is not None
    lines = entry.text.split("\r\n")
    assert len(lines) == 2
    assert "%" not in entry.text and "\0" not in entry.text


def test_an_entry_is_no_longer_than_the_log_takes() -> None:
    entry = entry_of("failed", {"reason": "x" * 100_000})
    assert entry is not None
    assert len(entry.text) <= LONGEST_TEXT


def test_what_the_service_control_manager_waits_for_imports_nothing_slow() -> None:
    asked = "import sys, keystead_agent.windows.dispatch; print('pydantic' in sys.modules, 'httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_what_goes_wrong_beside_the_service_is_in_the_event_log_with_its_traceback() -> None:
    entries, log = Entries(), logging.Logger("keystead_agent.test")
    log.addHandler(LogHandler(entries))
    log.info("nothing")
    log.warning("system_store_not_tidied reason=%s", "locked")
    try:
        raise ZeroDivisionError("by nought")
    except ZeroDivisionError:
        log.exception("helper_crashed")
    warned, stumbled = entries.written
    assert (warned.number, warned.kind) == (24, a.EVENTLOG_WARNING)
    assert "system_store_not_tidied reason=locked" in warned.text
    assert (stumbled.number, stumbled.kind) == (33, a.EVENTLOG_ERROR)
    assert "helper_crashed" in stumbled.text and "ZeroDivisionError: by nought" in stumbled.text
