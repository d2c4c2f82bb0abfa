"""The service under a real service control manager: start, an answer over its pipe, stop."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keystead_agent import __version__
from keystead_agent.local.client import ServiceRefused, ask_status, hand_over
from keystead_agent.memory import give_back_memory
from keystead_agent.windows._advapi32 import SERVICE_RUNNING, SERVICE_STOPPED
from keystead_agent.windows._kernel32 import ALL_THAT_CAN_GO, kernel32
from keystead_agent.windows.control import running_service, service_status
from keystead_agent.windows.eventlog import EventLog, entry_of
from keystead_agent.windows.pipe import connect
from keystead_contracts.agent import EnrollLink

SCRIPT = """
import os, sys
sys.path[:0] = {path!r}
os.environ.update({environment!r})

def live(reports, controls):
    from keystead_agent.windows import service

    return service.live([sys.executable, __file__, "duty"], reports, controls, pipe={pipe!r})

def duty():
    from pathlib import Path
    from keystead_agent.cli_service import run_duty
    from keystead_agent.cli import now
    from keystead_agent.settings import load_settings

    run_duty(lambda: load_settings(default_file=Path({folder!r}, "agent.toml"), distributed={{}}), now)

if "duty" in sys.argv:
    duty()
from keystead_agent.windows.dispatch import dispatch
dispatch(live)
"""


def sc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sc.exe", *arguments], capture_output=True, text=True, timeout=60)


class Installed:
    def __init__(self, folder: Path) -> None:
        self.name = f"KeysteadTest{secrets.token_hex(4)}"
        self.pipe = rf"\\.\pipe\{self.name}"
        script = folder / "service.py"
        script.write_text(
            SCRIPT.format(
                path=sys.path,
                pipe=self.pipe,
                folder=str(folder),
                environment={
                    "KEYSTEAD_AGENT_STATE_DIR": str(folder / "state"),
                    "PYTHONPATH": os.pathsep.join(sys.path),  # for the process that has the keys
                },
            ),
            encoding="utf-8",
        )
        made = sc("create", self.name, "binPath=", f'"{sys.executable}" "{script}"', "start=", "demand")
        assert made.returncode == 0, made.stdout

    def state(self) -> int:
        status = service_status(self.name)
        assert status is not None
        return int(status.dwCurrentState)

    def until(self, state: int, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while self.state() != state:
            assert time.monotonic() < deadline, self.state()
            time.sleep(0.05)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Installed]:
    installed = Installed(tmp_path)
    yield installed
    sc("stop", installed.name)
    sc("delete", installed.name)


def test_the_manager_starts_it_its_users_speak_with_it_and_the_manager_stops_it(service: Installed) -> None:
    assert running_service(service.name) is None
    assert sc("start", service.name).returncode == 0
    service.until(SERVICE_RUNNING)
    pid = running_service(service.name)
    assert pid not in (None, os.getpid())

    connection = connect(service.pipe, service_pid=lambda: running_service(service.name))
    assert ask_status(connection).version == __version__
    connection.close()

    connection = connect(service.pipe, service_pid=lambda: running_service(service.name))
    link = EnrollLink(server="https://evil.example", claim="c" * 43, scope="machine")
    with pytest.raises(ServiceRefused, match="No administrator has chosen"):
        hand_over(connection, link, lambda event, /, **fields: None)
    connection.close()

    started = time.monotonic()
    assert sc("stop", service.name).returncode == 0
    service.until(SERVICE_STOPPED)
    assert time.monotonic() - started < 20


def test_a_service_that_is_not_installed_is_none() -> None:
    assert service_status(f"Keystead{secrets.token_hex(8)}") is None


def test_the_event_log_takes_an_entry() -> None:
    entry = entry_of("enrolled", {"order": "order-1"})
    assert entry is not None
    EventLog().write(entry)


def test_giving_memory_back_is_taken_by_the_system() -> None:
    process = kernel32.result("GetCurrentProcess")
    assert kernel32.result("SetProcessWorkingSetSize", process, ALL_THAT_CAN_GO, ALL_THAT_CAN_GO)
    give_back_memory()
