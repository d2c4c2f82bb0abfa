"""No key waits for a certificate that will not come."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import AgentServer
from tests.support.swtpm import Swtpm

from keystead_agent.errors import ExitCode
from keystead_agent.journal import RESUMABLE

pytestmark = pytest.mark.tpm


@pytest.fixture(params=["tpm", "software"])
def agent(request: pytest.FixtureRequest, make_agent: Callable[[str], Agent], swtpm: Swtpm) -> Agent:
    if request.param == "tpm":
        return make_agent(swtpm.tcti)
    made = make_agent("device:/nowhere/tpmrm0")
    made.environment["KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY"] = "true"
    return made


def keys(agent: Agent) -> list[str]:
    """Those that are or were for certificates, not the device's own."""
    found = (path.relative_to(agent.state_dir) for path in agent.state_dir.glob("*/*/key*"))
    return [str(path) for path in found if path.parts[0] != "device"]


def interrupted(agent: Agent, server: AgentServer, link: str) -> None:
    """The agent has made its key, and is gone before the server has its answer."""
    server.failing_reports = 1_000_000
    process = agent.start("enroll", "--yes", link)
    while not list(agent.state_dir.glob("jobs/*.json")):
        assert process.poll() is None
    agent.kill_all()
    server.failing_reports = 0
    assert len(keys(agent)) == 1


def grown_old(agent: Agent) -> None:
    """The claim was opened longer ago than a server can go on with it."""
    (path,) = agent.state_dir.glob("claims/*.json")
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | {"opened_at": (datetime.now(UTC) - RESUMABLE).isoformat()}))


def test_a_refused_request_leaves_no_key(agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order(allow_software_key=True)
    server.refused_jobs.add("job-1")
    assert agent("enroll", "--yes", link).returncode == ExitCode.FAILED
    assert keys(agent) == []


def test_a_request_that_is_refused_after_a_crash_leaves_no_key(agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order(allow_software_key=True)
    interrupted(agent, server, link)
    server.refused_jobs.add("job-1")
    assert agent("enroll", "--yes", link).returncode == ExitCode.FAILED
    assert keys(agent) == []


def test_a_claim_that_the_server_has_ended_leaves_no_key(agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order(allow_software_key=True)
    interrupted(agent, server, link)
    server.forget_tokens()
    server.claims.clear()
    assert agent("enroll", "--yes", link).returncode == ExitCode.FAILED
    assert keys(agent) == []


@pytest.mark.parametrize("journal", ["kept", "not yet written"])
def test_a_claim_that_is_too_old_leaves_no_key(agent: Agent, server: AgentServer, journal: str) -> None:
    _, link = server.new_order(allow_software_key=True)
    interrupted(agent, server, link)
    if journal == "not yet written":
        for path in agent.state_dir.glob("jobs/*.json"):
            path.unlink()
    grown_old(agent)
    server.stop()
    assert agent("run").returncode != ExitCode.DONE
    assert keys(agent) == []


def test_a_device_keeps_no_key_of_a_refused_request(agent: Agent, server: AgentServer) -> None:
    device = agent.register(server)
    server.new_order(recipient=device, allow_software_key=True)
    server.refused_jobs.add("job-1")
    agent.start("run")
    good, _ = server.new_order(recipient=device, allow_software_key=True)
    server.wait_for(good, "installed")
    assert [Path(key).parent for key in keys(agent)] == [Path("certificates", good.order_id)]


def test_a_claim_that_can_go_on_keeps_its_key(agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order(allow_software_key=True)
    interrupted(agent, server, link)
    before = keys(agent)
    agent("list")
    assert keys(agent) == before
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    assert len(order.keys) == 1
