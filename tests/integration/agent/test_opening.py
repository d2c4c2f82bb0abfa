"""What a click does: `open` on a terminal, and the service that makes the computer's certificates."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.agent.conftest import PROGRAM, Agent
from tests.support.agent_server import AgentServer
from tests.support.swtpm import Swtpm

from keystead_agent.errors import ExitCode
from keystead_contracts.base import CertificateScope, CertificateType

pytestmark = pytest.mark.tpm


class Opened:
    """`keystead-agent open` at a terminal of its own."""

    def __init__(self, agent: Agent, *arguments: str, **environment: str) -> None:
        ours, theirs = pty.openpty()
        self._terminal = ours
        self.process = subprocess.Popen(
            [PROGRAM, "open", *arguments],
            env=agent.environment | environment,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        os.close(theirs)
        self._said: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while piece := self.process.stdout.read(1):
            self._said.append(piece)

    @property
    def said(self) -> str:
        return "".join(self._said)

    def until(self, text: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.said:
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def answers(self, text: str) -> int:
        self.until("[y/N]")
        os.write(self._terminal, f"{text}\n".encode())
        return self.ends()

    def ends(self) -> int:
        code = self.process.wait(60)
        self._reading.join(10)
        os.close(self._terminal)
        return code


@pytest.fixture
def opened(agent: Agent) -> Iterator[Callable[..., Opened]]:
    started: list[Opened] = []

    def start(*arguments: str, **environment: str) -> Opened:
        started.append(Opened(agent, *arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


Open = Callable[..., Opened]


def test_a_person_who_says_yes_gets_the_certificate(opened: Open, agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order()
    opening = opened(link)
    assert opening.answers("y") == ExitCode.DONE, opening.said
    assert order.state == "installed"
    assert f"{server.origin} wants to enroll a certificate on this computer." in opening.said
    assert "for you" in opening.said
    assert len(agent.certificates()) == 1


@pytest.mark.parametrize("answer", ["n", ""])
def test_a_person_who_says_no_or_nothing_gives_nothing(
    opened: Open, agent: Agent, server: AgentServer, answer: str
) -> None:
    order, link = server.new_order()
    assert opened(link).answers(answer) == ExitCode.REFUSED
    assert (order.state, server.tokens_given, agent.certificates()) == ("offered", 0, [])


def test_a_listed_servers_link_is_asked_about_all_the_same(opened: Open, server: AgentServer) -> None:
    _, link = server.new_order()
    opening = opened(link, KEYSTEAD_AGENT_SERVERS=server.origin)
    assert opening.answers("n") == ExitCode.REFUSED
    assert "No administrator" not in opening.said


def test_a_server_that_is_not_listed_is_refused_without_a_question(opened: Open, server: AgentServer) -> None:
    _, link = server.new_order()
    opening = opened(link, KEYSTEAD_AGENT_SERVERS="https://enroll.example.org")
    assert opening.ends() == ExitCode.REFUSED
    assert "[y/N]" not in opening.said
    assert server.tokens_given == 0


def test_where_nobody_can_answer_nothing_is_done(agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order()
    done = agent("open", link, said="y\n")
    assert done.returncode == ExitCode.REFUSED
    assert "nobody is there to agree" in done.stderr
    assert server.tokens_given == 0


@pytest.mark.parametrize("extra", [("--yes",), ("-",), ("--help",), ("enroll",)])
def test_options_and_further_arguments_are_refused(agent: Agent, server: AgentServer, extra: tuple[str, ...]) -> None:
    _, link = server.new_order()
    for arguments in ((link, *extra), (*extra, link), extra):
        done = agent("open", *arguments)
        assert done.returncode == ExitCode.USAGE
        assert "not one keystead:// link" in done.stderr or extra == ("enroll",)
    assert server.tokens_given == 0


def test_two_clicks_at_once_are_one_question_and_one_certificate(
    opened: Open, agent: Agent, server: AgentServer
) -> None:
    order, link = server.new_order()
    first = opened(link)
    first.until("[y/N]")
    second = opened(link)
    assert second.ends() == ExitCode.FAILED
    assert "Another link is being asked about" in second.said
    assert first.answers("y") == ExitCode.DONE
    assert (order.state, len(order.keys), len(agent.certificates())) == ("installed", 1, 1)


def test_a_click_on_a_link_that_is_worked_on_says_so(opened: Open, server: AgentServer) -> None:
    _, link = server.new_order()
    server.failing_reports = 1000
    first = opened(link)
    first.until("[y/N]")
    os.write(first._terminal, b"y\n")
    first.until("trying again")
    second = opened(link)
    assert second.ends() == ExitCode.FAILED
    assert "This link is being worked on already" in second.said


def test_a_link_of_somebody_who_used_it_before_is_harmless(opened: Open, agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order()
    claim = next(iter(server.claims))
    server.claims[claim] = (server.claims[claim][0], "f" * 64)
    opening = opened(link)
    assert opening.answers("y") == ExitCode.FAILED
    assert "used already" in opening.said
    assert agent.certificates() == []


COMPUTERS = pytest.mark.parametrize(
    ("kind", "scope"),
    [(CertificateType.DEVICE, None), (CertificateType.SSL, CertificateScope.MACHINE)],
    ids=["device", "SSL, as the profile says"],
)
PERSONS = pytest.mark.parametrize(
    ("kind", "scope"),
    [(CertificateType.CLIENT, None), (CertificateType.SSL, CertificateScope.USER)],
    ids=["client", "SSL, as the profile says"],
)


@COMPUTERS
def test_a_person_is_not_given_the_computers_certificate(
    opened: Open, agent: Agent, server: AgentServer, kind: CertificateType, scope: CertificateScope | None
) -> None:
    order, link = server.new_order(certificate_type=kind, scope=scope)
    opening = opened(link.replace("&scope=machine", ""))
    assert opening.answers("y") == ExitCode.FAILED
    assert order.state == "failed"
    assert agent.certificates() == []


# The service


class Service:
    """`keystead-agent service` with a state directory, a policy and a socket of its own."""

    def __init__(self, folder: Path, swtpm: Swtpm, **environment: str) -> None:
        self.agent = Agent(folder / "machine", swtpm.tcti)
        self.socket = folder / "agent.sock"
        self.log = folder / "service.log"
        self.agent.environment |= environment | {"KEYSTEAD_AGENT_SOCKET": str(self.socket)}

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen([PROGRAM, "service"], env=self.agent.environment, stderr=log)
        deadline = time.monotonic() + 30
        while "not_registered" not in self.log.read_text() and "connected" not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def service(tmp_path: Path, swtpm: Swtpm, server: AgentServer) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(**environment: str) -> Service:
        started.append(Service(tmp_path, swtpm, **environment))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@COMPUTERS
def test_the_service_makes_the_computers_certificate_for_who_may_ask(
    opened: Open,
    service: Callable[..., Service],
    agent: Agent,
    server: AgentServer,
    kind: CertificateType,
    scope: CertificateScope | None,
) -> None:
    running = service(KEYSTEAD_AGENT_SERVERS=server.origin)
    order, link = server.new_order(certificate_type=kind, scope=scope)
    opening = opened(link, KEYSTEAD_AGENT_SOCKET=str(running.socket))
    assert opening.answers("y") == ExitCode.DONE, opening.said
    assert "for the whole computer" in opening.said
    assert "Making a key in the TPM" in opening.said
    assert order.state == "installed"
    assert (len(running.agent.certificates()), agent.certificates()) == (1, [])
    assert 'link_accepted user="uid 0"' in running.log.read_text()
    assert server.claims and link.split("claim=")[1].split("&")[0] not in running.log.read_text()
    assert running.stop() == 0


def test_the_service_refuses_what_no_administrator_chose(
    opened: Open, service: Callable[..., Service], server: AgentServer
) -> None:
    running = service()
    order, link = server.new_order(certificate_type=CertificateType.DEVICE)
    opening = opened(link, KEYSTEAD_AGENT_SOCKET=str(running.socket))
    assert opening.answers("y") == ExitCode.REFUSED
    assert "No administrator has chosen" in opening.said
    assert (order.state, server.tokens_given) == ("offered", 0)
    assert "local_request_refused" in running.log.read_text()


@PERSONS
def test_the_service_makes_no_persons_certificate_whatever_the_link_says(
    opened: Open,
    service: Callable[..., Service],
    server: AgentServer,
    kind: CertificateType,
    scope: CertificateScope | None,
) -> None:
    running = service(KEYSTEAD_AGENT_SERVERS=server.origin)
    order, link = server.new_order(certificate_type=kind, scope=scope)
    opening = opened(f"{link}&scope=machine", KEYSTEAD_AGENT_SOCKET=str(running.socket))
    assert opening.answers("y") == ExitCode.FAILED
    assert order.failure is not None and "a person's certificate" in order.failure.detail
    assert running.agent.certificates() == []


def test_without_a_service_the_computers_link_says_what_to_do(
    opened: Open, agent: Agent, server: AgentServer, tmp_path: Path
) -> None:
    _, link = server.new_order(certificate_type=CertificateType.DEVICE)
    opening = opened(link, KEYSTEAD_AGENT_SOCKET=str(tmp_path / "nobody.sock"))
    assert opening.answers("y") == ExitCode.FAILED
    assert "systemctl start keystead-agent" in opening.said
    assert server.tokens_given == 0


def test_a_service_works_for_a_computer_that_is_registered_later(
    service: Callable[..., Service], server: AgentServer
) -> None:
    running = service()
    device = running.agent.register(server)
    server.wait_for_stream(1)
    order, _ = server.new_order(recipient=device, certificate_type=CertificateType.DEVICE)
    server.wait_for(order, "installed")
    assert running.stop() == 0
