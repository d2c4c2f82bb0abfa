"""What only looks or explains: `list`, `doctor`, `--help`, settings that are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import AgentServer
from tests.support.swtpm import Swtpm
from tests.support.swtpm_maker import _first_tpm, made_tpm, swtpm_maker

from keystead_agent.errors import ExitCode
from keystead_agent.settings import Settings

__all__ = ["_first_tpm", "made_tpm", "swtpm_maker"]
pytestmark = pytest.mark.tpm


def test_doctor_finds_a_machine_ready(agent: Agent, server: AgentServer) -> None:
    done = agent("doctor", "--json", "--server", server.origin)
    assert done.returncode == ExitCode.DONE, done.stdout
    findings = {item["subject"]: item for item in json.loads(done.stdout)}
    installed = {"service", "links"}  # by a package, not here
    assert {item["mark"] for name, item in findings.items() if name not in installed} == {"good"}
    assert set(findings) == installed | {
        "TPM", "key algorithms", "room in the TPM", "storage root key", "TPM certificates",
        "state directory", "server", "clock",
    }  # fmt: skip


def test_doctor_says_who_certified_the_tpm(make_agent: Callable[[str], Agent], made_tpm: Swtpm) -> None:
    findings = {item["subject"]: item for item in json.loads(make_agent(made_tpm.tcti)("doctor", "--json").stdout)}
    by = "by swtpm-localca"
    assert findings["TPM certificates"]["found"] == f"ec-p256 {by}, ec-p384 {by}, rsa-2048 {by}"


def test_doctor_says_what_is_wrong_and_what_to_do(
    make_agent: Callable[[str], Agent], server: AgentServer, tmp_path: Path
) -> None:
    server.stop()
    (tmp_path / "state").write_text("in the way")
    done = make_agent("device:/nowhere/tpmrm0")("doctor", "--server", server.origin)
    assert done.returncode == ExitCode.FAILED
    assert "✗ TPM                There is no TPM at /nowhere/tpmrm0" in done.stdout
    said = " ".join(done.stdout.split())
    assert f"✗ state directory {tmp_path / 'state'} is not a folder" in said
    assert f"✗ server {server.origin} cannot be reached: Connection refused" in said
    assert (said.count("is not a folder"), said.count(server.origin)) == (1, 1)
    assert "keystead-agent doctor" not in said


def test_long_addresses_keep_doctors_columns(agent: Agent) -> None:
    server = f"https://{'a-long-name.' * 12}invalid"
    lines = agent("doctor", "--server", server).stdout.splitlines()
    (line,) = (line for line in lines if server in line)
    assert line.index(server) == 22
    assert all(line.startswith((" ✓ ", " ! ", " ✗ ", " " * 22)) for line in lines)


def test_looking_leaves_nothing_on_the_disk(agent: Agent) -> None:
    assert agent("doctor").returncode == ExitCode.DONE
    assert agent("list").returncode == ExitCode.DONE
    assert not agent.state_dir.exists()
    agent.state_dir.mkdir()
    agent("doctor")
    assert list(agent.state_dir.iterdir()) == []


def test_a_damaged_certificate_is_listed_as_such_beside_the_others(agent: Agent, server: AgentServer) -> None:
    for _ in range(3):
        _, link = server.new_order()
        assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    folder = agent.state_dir / "certificates"
    (folder / "order-1" / "metadata.json").write_text("{")
    (folder / "order-2" / "certificate.pem").write_text("nothing")
    done = agent("list", "--json")
    assert done.returncode == ExitCode.FAILED
    healthy, *damaged = sorted(json.loads(done.stdout), key=lambda item: item.get("damage", ""))
    assert healthy["signing_test"] == "passed"
    assert [str(folder / name) in item["damage"] for name, item in zip(("order-1", "order-2"), damaged, strict=True)]
    assert "Damaged:" in agent("list").stdout


def test_a_signing_test_that_fails_is_seen_by_scripts(agent: Agent, server: AgentServer, swtpm: Swtpm) -> None:
    _, link = server.new_order()
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    swtpm.tool("tpm2_clear")
    done = agent("list")
    assert done.returncode == ExitCode.FAILED
    assert "failed: The TPM does not know this key" in done.stdout
    assert agent("list", "--no-test").returncode == ExitCode.DONE


def test_help_says_where_settings_live(agent: Agent) -> None:
    said = agent("--help").stdout
    assert "/etc/keystead/agent.toml" in said
    for field in (*Settings.model_fields, "config"):
        assert f"KEYSTEAD_AGENT_{field.upper()}" in said


def test_broken_settings_are_all_listed(agent: Agent) -> None:
    done = agent("list", KEYSTEAD_AGENT_SERVERS="nonsense", KEYSTEAD_AGENT_STATE_DIR="here")
    assert done.returncode == ExitCode.USAGE
    assert "KEYSTEAD_AGENT_SERVERS" in done.stderr
    assert "KEYSTEAD_AGENT_STATE_DIR" in done.stderr
