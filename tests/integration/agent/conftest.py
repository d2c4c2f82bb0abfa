"""A server, a TPM and agents for the agent's own tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from tests.support.agent_server import AgentServer
from tests.support.swtpm import Swtpm, swtpm

__all__ = ["swtpm"]

PROGRAM = Path(sys.executable).with_name("keystead-agent")


class Agent:
    """The agent's command with a state directory and a TPM of its own."""

    def __init__(self, state_dir: Path, tcti: str) -> None:
        self.state_dir = state_dir
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_AGENT_")},
            "KEYSTEAD_AGENT_STATE_DIR": str(state_dir),
            "KEYSTEAD_AGENT_TCTI": tcti,
        }
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: str, said: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end, with `said` as its standard input."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env=self.environment | environment,
            input=said,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def start(self, *arguments: str, stderr: IO[str] | int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Starts the command and goes on. Killed after the test."""
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
        )
        self._started.append(process)
        return process

    def register(self, server: AgentServer) -> str:
        """Registers with `server`; the device's id."""
        done = self("register", server.origin, "--token", server.registration_token, "--json")
        assert done.returncode == 0, done.stderr
        device_id: str = json.loads(done.stdout)["device_id"]
        return device_id

    def certificates(self) -> list[dict[str, Any]]:
        """What `list --json` shows."""
        listed = self("list", "--json")
        assert listed.returncode == 0, listed.stderr
        found: list[dict[str, Any]] = json.loads(listed.stdout)
        return found

    def kill_all(self) -> None:
        """SIGKILL for what `start` started."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[Callable[[str], Agent]]:
    agents: list[Agent] = []

    def make(tcti: str) -> Agent:
        agents.append(Agent(tmp_path / "state", tcti))
        return agents[-1]

    yield make
    for agent in agents:
        agent.kill_all()


@pytest.fixture
def agent(make_agent: Callable[[str], Agent], swtpm: Swtpm) -> Agent:
    return make_agent(swtpm.tcti)


@pytest.fixture
def server() -> Iterator[AgentServer]:
    running = AgentServer()
    running.start()
    yield running
    running.stop()
