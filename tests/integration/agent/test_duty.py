"""The two processes of the Windows service, here over Linux' socket and a TPM: one waits, one works and goes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import AgentServer
from tests.support.servers import wait_until

from keystead_agent import __version__
from keystead_agent.local.client import ask_status
from keystead_agent.local.unix import UnixListener, connect
from keystead_agent.piped import Piped
from keystead_agent.watch import Watch, WorkerDied

pytestmark = pytest.mark.tpm

DUTY = """
from keystead_agent.cli import computers_settings, now
from keystead_agent.duty import come_on_duty
from keystead_agent.helper import Helper
from keystead_agent.machine import Machine
from keystead_agent.output import teller
from keystead_agent.spawned import Spawned

def make():
    machine = Machine.of(computers_settings(), now, machine_keys=True)
    return machine, Helper(machine, start=Spawned)

come_on_duty(make, teller(as_json=False, log=True), lull=0.3)
"""


class Service:
    """The watch, in this process, and whoever is on duty."""

    def __init__(self, agent: Agent, socket: Path) -> None:
        self._socket = socket
        variables = [f"{name}={value}" for name, value in agent.environment.items()]
        self._command = ["env", "-i", *variables, sys.executable, "-c", DUTY]
        self._duties: list[Piped] = []
        self.crashed = False
        self._listener = UnixListener(socket)
        self._watch = Watch(self._start, lambda event, /, **fields: None, look=0.1, again=0.2)
        self._keeping = threading.Thread(target=self._keep, args=[self._watch.begin()], daemon=True)
        self._keeping.start()
        threading.Thread(target=self._watch.serve, args=[self._listener], daemon=True).start()

    def _start(self) -> Piped:
        self._duties.append(Piped(self._command))
        return self._duties[-1]

    def _keep(self, worker: Piped) -> None:
        try:
            self._watch.keep(worker)
        except WorkerDied:
            self.crashed = True

    @property
    def begun(self) -> int:
        """How many have been on duty."""
        return len(self._duties)

    @property
    def on_duty(self) -> bool:
        return self._duties[-1].alive()

    def until_nobody_is_on_duty(self) -> None:
        wait_until(lambda: not self.on_duty, "the one on duty to be let go")

    def kill(self) -> None:
        self._duties[-1].kill()
        self._keeping.join(10)

    def asked_how_it_is(self) -> str:
        connection = connect(self._socket, owner=os.getuid())
        try:
            return ask_status(connection).version
        finally:
            connection.close()

    def stop(self) -> None:
        self._listener.close()
        self._watch.stop()
        self._keeping.join(30)
        assert not self._keeping.is_alive()
        assert not self.on_duty


Start = Callable[[], Service]


@pytest.fixture
def start(agent: Agent, tmp_path: Path) -> Iterator[Start]:
    made: list[Service] = []

    def make() -> Service:
        made.append(Service(agent, tmp_path / "agent.sock"))
        return made[-1]

    yield make
    made[-1].stop()


def test_jobs_that_come_while_nobody_is_on_duty_are_done_and_who_did_them_is_let_go(
    agent: Agent, server: AgentServer, start: Start
) -> None:
    device_id = agent.register(server)
    service = start()
    for _ in range(2):
        service.until_nobody_is_on_duty()
        begun = service.begun
        order, _ = server.new_order(recipient=device_id)
        server.wait_for(order, "installed")
        assert service.begun > begun
    assert (len(agent.certificates()), service.crashed) == (2, False)


def test_a_server_that_was_away_is_heard_again(agent: Agent, server: AgentServer, start: Start) -> None:
    device_id = agent.register(server)
    service = start()
    service.until_nobody_is_on_duty()
    server.stop()
    order, _ = server.new_order(recipient=device_id)
    server.start()
    server.wait_for(order, "installed")


def test_who_is_killed_on_duty_leaves_the_job_to_the_next(agent: Agent, server: AgentServer, start: Start) -> None:
    device_id = agent.register(server)
    server.failing_reports = 1000
    order, _ = server.new_order(recipient=device_id)
    service = start()
    wait_until(lambda: any((agent.state_dir / "jobs").glob("*.json")), "an answer in the journal")
    service.kill()
    assert service.crashed
    server.failing_reports = 0
    again = start()
    server.wait_for(order, "installed")
    assert (len(order.keys), len(agent.certificates()), again.crashed) == (1, 1, False)


def test_a_computer_that_is_registered_while_nobody_is_on_duty_works_at_once(
    agent: Agent, server: AgentServer, start: Start
) -> None:
    service = start()
    service.until_nobody_is_on_duty()
    assert service.begun == 1
    device_id = agent.register(server)
    order, _ = server.new_order(recipient=device_id)
    server.wait_for(order, "installed")


def test_users_are_answered_by_who_is_called_on_duty(agent: Agent, start: Start) -> None:
    service = start()
    service.until_nobody_is_on_duty()
    assert service.asked_how_it_is() == __version__
    assert service.begun == 2
    service.until_nobody_is_on_duty()


def test_the_order_to_stop_does_not_reach_past_the_watch(agent: Agent, server: AgentServer, start: Start) -> None:
    agent.register(server)
    service = start()
    for worker in service._duties:
        os.kill(worker.pid, signal.SIGTERM)
    assert service.asked_how_it_is() == __version__
