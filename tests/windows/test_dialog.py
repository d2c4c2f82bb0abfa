"""The windows that ask and tell, shown by Windows itself and answered by a program in place of a person."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from keystead_agent.enroll import Enrolled
from keystead_agent.errors import ExitCode
from keystead_agent.opening import Question
from keystead_agent.telling import Tell
from keystead_agent.windows import _comctl32 as c
from keystead_agent.windows._dll import DWORD, HANDLE, POINTER, Dll
from keystead_agent.windows.dialog import TITLE, WindowDesk, has_desktop

QUESTION = Question(server="https://enroll.example.org", for_machine=False, listed=True)
DONE = Enrolled("https://enroll.example.org", "order-1", r"C:\somewhere", "TPM", "installed")
WM_CLOSE = 0x10
WM_KEYDOWN, WM_KEYUP, VK_RETURN = 0x100, 0x101, 0x0D
WM_COMMAND = 0x111

user32 = Dll(
    "user32.dll",
    {
        "FindWindowW": (HANDLE, (ctypes.c_wchar_p, ctypes.c_wchar_p)),
        "PostMessageW": (ctypes.c_int32, (HANDLE, ctypes.c_uint, ctypes.c_size_t, ctypes.c_ssize_t)),
        "GetWindowThreadProcessId": (DWORD, (HANDLE, POINTER)),
    },
)
Person = Callable[[Callable[[int], object]], None]


@pytest.fixture
def person() -> Iterator[Person]:
    """Does something with the next window that comes, until it has gone."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def start(act: Callable[[int], object]) -> None:
        def look() -> None:
            seen = False
            while not done.is_set():
                window = user32.result("FindWindowW", None, TITLE)
                if seen and not window:
                    return
                seen = bool(window)
                if window:
                    act(window)  # again, if the window was not ready to hear it
                time.sleep(0.3)

        threads.append(threading.Thread(target=look, daemon=True))
        threads[-1].start()

    yield start
    done.set()
    for thread in threads:
        thread.join(30)


def press(button: int) -> Callable[[int], object]:
    return lambda window: user32.result("PostMessageW", window, WM_COMMAND, button, 0) and None


def test_there_is_a_desktop() -> None:
    assert has_desktop() in (True, False)


@pytest.mark.parametrize(("button", "agrees"), [(c.IDYES, True), (c.IDNO, False)])
def test_a_person_answers(person: Person, button: int, agrees: bool) -> None:
    person(press(button))
    assert WindowDesk().agrees(QUESTION) is agrees


@pytest.mark.parametrize(
    "link",
    ['keystead://enroll?server=x" --yes "claim=y', "--help", 'keystead://enroll" enroll --yes "keystead://enroll'],
)
def test_a_link_with_quotes_is_refused_as_windows_takes_its_command_line_apart(person: Person, link: str) -> None:
    person(press(c.IDOK))
    program = "from keystead_agent.cli import main; main()"
    command = f'"{sys.executable}" -c "{program}" open "{link}"'  # the registered command, %1 replaced
    assert subprocess.run(command, timeout=120).returncode == ExitCode.USAGE


def test_work_shows_its_window_and_ends(person: Person) -> None:
    def work(tell: Tell) -> Enrolled:
        tell("job_started", kind="install")
        time.sleep(0.5)
        return DONE

    assert WindowDesk().watch(work) == DONE
