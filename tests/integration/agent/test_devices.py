"""`keystead-agent register` and `run`: a device, interrupted enrollments, several processes at once."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import AgentServer
from tests.support.servers import wait_until
from tests.support.swtpm import Swtpm

from keystead_agent.errors import ExitCode
from keystead_agent.files import held
from keystead_agent.journal import RESUMABLE, Journal
from keystead_contracts.agent import EnrollLink
from keystead_contracts.base import CertificateScope, CertificateType, KeyAlgorithm

pytestmark = pytest.mark.tpm


def test_a_device_without_its_tpm_answers_that_it_failed(agent: Agent, server: AgentServer, swtpm: Swtpm) -> None:
    device_id = agent.register(server)
    agent.start("run")
    server.wait_for_stream(1)
    swtpm.stop()
    order, _ = server.new_order(recipient=device_id)
    server.wait_for(order, "failed")
    assert order.failure is not None
    assert order.failure.code == "tpm_missing"


def test_registering_again_keeps_key_and_id(agent: Agent, server: AgentServer) -> None:
    assert agent.register(server) == agent.register(server)
    assert len(server.devices) == 1


def test_a_wrong_registration_token_is_refused_and_the_next_try_uses_the_same_key(
    agent: Agent, server: AgentServer
) -> None:
    done = agent("register", server.origin, "--token", "something wrong")
    assert done.returncode == ExitCode.FAILED
    assert "The registration token is wrong" in done.stderr
    key = (agent.state_dir / "device" / "pending" / "key.tss.pem").read_bytes()
    agent.register(server)
    assert (agent.state_dir / "device" / "identity" / "key.tss.pem").read_bytes() == key


def test_a_second_server_needs_an_explicit_replacement(agent: Agent, server: AgentServer) -> None:
    agent.register(server)
    other = AgentServer()
    other.start()
    try:
        done = agent("register", other.origin, "--token", other.registration_token)
        assert done.returncode == ExitCode.FAILED
        assert "--replace" in done.stderr
        again = agent("register", other.origin, "--token", other.registration_token, "--replace")
        assert again.returncode == ExitCode.DONE
    finally:
        other.stop()


def test_a_device_works_over_cuts_renewals_and_restarts_of_its_server(agent: Agent, server: AgentServer) -> None:
    device_id = agent.register(server)
    process = agent.start("run")
    order, _ = server.new_order(recipient=device_id)
    server.wait_for(order, "installed")
    server.drop_streams()
    order, _ = server.new_order(KeyAlgorithm.RSA_2048, recipient=device_id)
    server.wait_for(order, "installed")
    server.forget_tokens()
    server.drop_streams()
    order, _ = server.new_order(recipient=device_id)
    server.wait_for(order, "installed")
    server.stop()
    order, _ = server.new_order(recipient=device_id)
    time.sleep(1)
    server.start()
    server.wait_for(order, "installed")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert len(agent.certificates()) == 4


def test_a_device_waits_with_little_memory_and_stops_at_once(agent: Agent, server: AgentServer) -> None:
    device_id = agent.register(server)
    process = agent.start("run")
    order, _ = server.new_order(recipient=device_id)
    server.wait_for(order, "installed")
    time.sleep(0.5)
    status = Path(f"/proc/{process.pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    assert resident < 55
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert time.monotonic() - started < 5


def test_run_without_a_registration_says_what_to_do(agent: Agent) -> None:
    done = agent("run")
    assert done.returncode == ExitCode.FAILED
    assert "keystead-agent register" in done.stderr.splitlines()[1]


def test_a_second_run_on_the_same_state_says_so_and_ends(agent: Agent, server: AgentServer) -> None:
    agent.register(server)
    first = agent.start("run")
    server.wait_for_stream(1)
    done = agent("run")
    assert done.returncode == ExitCode.FAILED
    assert f"(pid {first.pid})" in done.stderr
    assert "KEYSTEAD_AGENT_STATE_DIR" in done.stderr
    assert server.streams_opened == 1


def test_a_job_waits_while_another_process_is_at_work(agent: Agent, server: AgentServer) -> None:
    device_id = agent.register(server)
    agent.start("run")
    server.wait_for_stream(1)
    with held(agent.state_dir / "work.lock", os.getpid(), patience=5) as other:
        assert other is None
        order, _ = server.new_order(recipient=device_id)
        time.sleep(4)
        assert (server.reports, order.state) == ({}, "offered")
        assert agent("list").returncode == ExitCode.DONE
        assert agent("doctor").returncode == ExitCode.DONE
    server.wait_for(order, "installed")


def test_a_command_that_has_to_wait_says_for_whom(agent: Agent, server: AgentServer, tmp_path: Path) -> None:
    agent.register(server)
    said = tmp_path / "said"
    with held(agent.state_dir / "work.lock", os.getpid(), patience=5), said.open("w") as stderr:
        waiting = agent.start("register", server.origin, "--token", server.registration_token, stderr=stderr)
        told = f"Another keystead-agent is at work (pid {os.getpid()})"
        wait_until(lambda: told in said.read_text(), "the command to say for whom it waits")
    assert waiting.wait(60) == ExitCode.DONE


def test_a_device_makes_no_certificate_that_is_to_be_a_persons_alone(agent: Agent, server: AgentServer) -> None:
    device_id = agent.register(server)
    agent.start("run")
    ssl = CertificateType.SSL
    order, _ = server.new_order(recipient=device_id, certificate_type=ssl, scope=CertificateScope.USER)
    server.wait_for(order, "failed")
    assert order.failure is not None and order.failure.code == "consent_refused"
    order, _ = server.new_order(recipient=device_id, certificate_type=ssl, scope=CertificateScope.MACHINE)
    server.wait_for(order, "installed")
    assert len(agent.certificates()) == 1


def test_a_link_for_the_computer_makes_no_persons_certificate_after_a_restart_either(
    agent: Agent, server: AgentServer
) -> None:
    journal = Journal(agent.state_dir, lambda: datetime.now(UTC))
    journal.recover()
    order, link = server.new_order()
    journal.open_claim(EnrollLink.parse(link).model_copy(update={"scope": "machine"}))
    assert agent("run").returncode == ExitCode.FAILED
    assert (order.state, agent.certificates()) == ("failed", [])


def test_a_dead_server_keeps_no_other_claim_waiting(agent: Agent, server: AgentServer) -> None:
    journal = Journal(agent.state_dir, lambda: datetime.now(UTC))
    journal.recover()
    order, link = server.new_order()
    journal.open_claim(EnrollLink(server="http://127.0.0.1:9", claim="c" * 32))
    journal.open_claim(EnrollLink.parse(link))
    process = agent.start("run")
    server.wait_for(order, "installed")
    wait_until(lambda: [c.server for c in journal.open_claims()] == ["http://127.0.0.1:9"], "the claim to be closed")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_server_that_is_away_is_given_up_when_it_has_no_more_use_for_the_claim(
    agent: Agent, server: AgentServer
) -> None:
    opened_at = datetime.now(UTC) - RESUMABLE + timedelta(seconds=4)
    Journal(agent.state_dir, lambda: opened_at).recover()
    journal = Journal(agent.state_dir, lambda: opened_at)
    journal.open_claim(EnrollLink(server="http://127.0.0.1:9", claim="c" * 32))
    done = agent("run")
    assert done.returncode == ExitCode.FAILED, done.stderr
    assert journal.open_claims() == []
