"""Renewing: the certificate that was renewed goes, with its key, when the new one is proved to work, and not before."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import AgentServer, Order
from tests.support.servers import wait_until
from tests.support.swtpm import Swtpm

from keystead_agent.errors import ExitCode

pytestmark = pytest.mark.tpm


@pytest.fixture(params=["tpm", "software"])
def agent(request: pytest.FixtureRequest, make_agent: Callable[[str], Agent], swtpm: Swtpm) -> Agent:
    if request.param == "tpm":
        return make_agent(swtpm.tcti)
    made = make_agent("device:/nowhere/tpmrm0")
    made.environment["KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY"] = "true"
    return made


def enrolled(agent: Agent, server: AgentServer) -> Order:
    """An order whose certificate is in place."""
    order, link = server.new_order(allow_software_key=True)
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    return order


def orders(agent: Agent) -> list[str]:
    """Those whose certificates are in place, with keys that sign."""
    listed = agent.certificates()
    assert {each["signing_test"] for each in listed} <= {"passed"}
    return sorted(each["order_id"] for each in listed)


def left_of(agent: Agent, order: Order) -> list[Path]:
    """What there is of an order, the journal apart."""
    return [
        *agent.state_dir.glob(f"certificates/*{order.order_id}"),
        *agent.state_dir.glob(f"pending/*{order.order_id}"),
    ]


def test_a_renewed_certificate_goes_with_its_key_and_the_person_is_told(agent: Agent, server: AgentServer) -> None:
    old = enrolled(agent, server)
    new, link = server.new_order(allow_software_key=True, renews=old)
    done = agent("enroll", "--yes", link)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert "The certificate that it replaces is gone from this computer, with its key." in done.stderr
    assert orders(agent) == [new.order_id]
    assert left_of(agent, old) == []


def test_others_stay(agent: Agent, server: AgentServer) -> None:
    first, second = enrolled(agent, server), enrolled(agent, server)
    new, link = server.new_order(allow_software_key=True, renews=first)
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    assert orders(agent) == [second.order_id, new.order_id]


def test_policy_keeps_it(agent: Agent, server: AgentServer) -> None:
    agent.environment["KEYSTEAD_AGENT_REMOVE_SUPERSEDED"] = "false"
    old = enrolled(agent, server)
    new, link = server.new_order(allow_software_key=True, renews=old)
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    assert orders(agent) == [old.order_id, new.order_id]


def test_another_servers_certificate_stays_whatever_a_server_names(agent: Agent, server: AgentServer) -> None:
    theirs = enrolled(agent, server)
    other = AgentServer()
    other.start()
    try:
        other.orders["order-0"] = Order("order-0", "nobody")  # order ids of two servers are different
        new, link = other.new_order(allow_software_key=True, renews=theirs)
        assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    finally:
        other.stop()
    assert orders(agent) == [theirs.order_id, new.order_id]


def test_it_stays_if_the_renewal_is_withdrawn_at_the_last_moment(agent: Agent, server: AgentServer) -> None:
    old = enrolled(agent, server)
    server.ends_before_installation = True
    _, link = server.new_order(allow_software_key=True, renews=old)
    assert agent("enroll", "--yes", link).returncode == ExitCode.FAILED
    assert orders(agent) == [old.order_id]


def test_it_stays_while_the_server_has_not_taken_the_proof(agent: Agent, server: AgentServer) -> None:
    old = enrolled(agent, server)
    new, link = server.new_order(allow_software_key=True, renews=old)
    server.lose_answers_after = len(server.reports) + 1
    process = agent.start("enroll", "--yes", link)
    wait_until(lambda: new.state == "installed", "the installation")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert orders(agent) == [old.order_id, new.order_id]
    server.lose_answers_after = None
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    assert orders(agent) == [new.order_id]


@pytest.mark.parametrize("pause", [0.0, 0.01, 0.03, 0.1])
def test_killed_when_the_proof_is_taken_it_goes_by_the_next_start(
    agent: Agent, server: AgentServer, pause: float
) -> None:
    old = enrolled(agent, server)
    new, link = server.new_order(allow_software_key=True, renews=old)
    process = agent.start("enroll", "--yes", link)
    while new.state != "installed":
        assert process.poll() is None
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    assert orders(agent) == [new.order_id]
    assert left_of(agent, old) == []


def test_a_device_renews_and_what_it_renewed_goes(agent: Agent, server: AgentServer) -> None:
    device = agent.register(server)
    agent.start("run")
    old, _ = server.new_order(recipient=device, allow_software_key=True)
    server.wait_for(old, "installed")
    new, _ = server.new_order(recipient=device, allow_software_key=True, renews=old)
    server.wait_for(new, "installed")
    wait_until(lambda: left_of(agent, old) == [], "the removal")
    assert orders(agent) == [new.order_id]
