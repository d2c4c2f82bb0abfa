"""SIGKILL at any point, then the same command again: one key, one certificate, installed."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import AgentServer, Order
from tests.support.swtpm import Swtpm

from keystead_agent.errors import ExitCode

pytestmark = pytest.mark.tpm


def appears(parent: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Waits until a file is there, or the process has ended."""
    while process.poll() is None and not any(parent.glob(pattern)):
        pass


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def check_exactly_one(agent: Agent, order: Order, swtpm: Swtpm) -> None:
    assert order.state == "installed"
    assert len(order.keys) == 1
    assert len(order.certificates) == 1
    (listed,) = agent.certificates()
    assert listed["signing_test"] == "passed"
    assert list((agent.state_dir / "pending").iterdir()) == []
    assert swtpm.tool("tpm2_getcap", "handles-transient").strip() == ""


@pytest.mark.parametrize(
    ("parent", "pattern"),
    [
        ("claims", "*.json"),
        ("pending", ".tmp-*"),
        ("pending", "order-*"),
        ("jobs", "*.json"),
        ("certificates", ".tmp-*"),
        ("certificates", "order-*"),
        ("jobs", "*job-2.json"),
    ],
)
def test_killed_when_a_file_appears(agent: Agent, server: AgentServer, swtpm: Swtpm, parent: str, pattern: str) -> None:
    order, link = server.new_order()
    process = agent.start("enroll", "--yes", link)
    appears(agent.state_dir / parent, pattern, process)
    kill(process)
    again = agent("enroll", "--yes", link)
    assert again.returncode == ExitCode.DONE, again.stderr
    check_exactly_one(agent, order, swtpm)


def test_killed_again_and_again(agent: Agent, server: AgentServer, swtpm: Swtpm) -> None:
    order, link = server.new_order()
    process = agent.start("enroll", "--yes", link)
    appears(agent.state_dir, "work.lock", process)
    for pause in (0.0, 0.03, 0.06, 0.1, 0.15, 0.2):
        time.sleep(pause)
        kill(process)
        process = agent.start("enroll", "--yes", link)
        appears(agent.state_dir, "claims/*.json", process)
    assert process.wait(60) == ExitCode.DONE
    check_exactly_one(agent, order, swtpm)


@pytest.mark.parametrize("reports_before", [0, 1])
def test_killed_while_the_answer_of_the_server_is_lost(
    agent: Agent, server: AgentServer, swtpm: Swtpm, reports_before: int
) -> None:
    order, link = server.new_order()
    server.lose_answers_after = reports_before
    process = agent.start("enroll", "--yes", link)
    deadline = time.monotonic() + 30
    while len(server.reports) <= reports_before:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    kill(process)
    server.lose_answers_after = None
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    check_exactly_one(agent, order, swtpm)


def test_what_a_killed_enroll_left_is_finished_by_run(agent: Agent, server: AgentServer, swtpm: Swtpm) -> None:
    order, link = server.new_order()
    process = agent.start("enroll", "--yes", link)
    appears(agent.state_dir / "pending", "order-*", process)
    kill(process)
    done = agent("run")
    assert done.returncode == ExitCode.DONE, done.stderr
    check_exactly_one(agent, order, swtpm)


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.1, 0.2])
def test_run_killed_at_work(agent: Agent, server: AgentServer, swtpm: Swtpm, pause: float) -> None:
    assert agent("register", server.origin, "--token", server.registration_token).returncode == ExitCode.DONE
    order, _ = server.new_order(recipient="device-1")
    process = agent.start("run")
    server.wait_for_stream(1)
    time.sleep(pause)
    kill(process)
    again = agent.start("run")
    server.wait_for_stream(2)
    server.wait_for(order, "installed")
    again.send_signal(signal.SIGTERM)
    assert again.wait(30) == 0
    check_exactly_one(agent, order, swtpm)
