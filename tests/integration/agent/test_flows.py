"""The agent's command against a server that speaks the contract and a TPM: what it promises when all goes well, and
when server, network or TPM do not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import WITHDRAW, AgentServer
from tests.support.swtpm import Swtpm

from keystead_agent.errors import ExitCode
from keystead_contracts.agent import EnrollLink
from keystead_contracts.base import KeyAlgorithm, serial_hex

pytestmark = pytest.mark.tpm
PROVIDER = Path("/usr/lib/x86_64-linux-gnu/ossl-modules/tpm2.so")


@pytest.mark.parametrize(
    "algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P384, KeyAlgorithm.RSA_3072]
)
def test_a_link_ends_installed(agent: Agent, server: AgentServer, algorithm: KeyAlgorithm) -> None:
    order, link = server.new_order(algorithm)
    done = agent("enroll", "--yes", "--json", link)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert json.loads(done.stdout)["order_state"] == order.state == "installed"
    (listed,) = agent.certificates()
    (certificate,) = order.certificates
    assert listed["serial_number"] == serial_hex(certificate.serial_number)
    assert listed["sha1_hash"] == certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 an identifier
    assert listed["key_container"] == f"{listed['location']}/key.tss.pem"
    assert listed["provider"].startswith("TPM 2.0 (")
    assert (listed["exportable"], listed["signing_test"], listed["root_trusted"]) == (False, "passed", False)


def test_reports_belong_to_the_trace_of_their_job(agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order()
    agent("enroll", "--yes", link)
    assert [text.split("-")[1] for text in server.traceparents] == [job.trace_id for _, job in server.jobs]


def test_the_same_link_again_says_the_same_without_a_second_key(agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order()
    first, second = agent("enroll", "--yes", link), agent("enroll", "--yes", link)
    assert first.stdout == second.stdout
    assert len(order.certificates) == 1


def test_a_key_that_openssl_signs_with(agent: Agent, server: AgentServer, swtpm: Swtpm, tmp_path: Path) -> None:
    if not PROVIDER.exists() or shutil.which("openssl") is None:
        pytest.skip("OpenSSL's tpm2 provider (Debian package tpm2-openssl) is not installed")
    order, link = server.new_order()
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    directory = agent.state_dir / "certificates" / order.order_id
    (tmp_path / "data").write_bytes(b"data")
    environment = {**agent.environment, "TPM2OPENSSL_TCTI": swtpm.tcti}
    for command in (
        "openssl dgst -provider tpm2 -provider default -propquery ?provider=tpm2 -sha256 "
        f"-sign {directory}/key.tss.pem -out signature data",
        f"openssl x509 -in {directory}/certificate.pem -pubkey -noout -out public.pem",
        "openssl dgst -sha256 -verify public.pem -signature signature data",
        f"openssl verify -CAfile {directory}/root.pem -untrusted {directory}/chain.pem {directory}/certificate.pem",
    ):
        done = subprocess.run(
            command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    certificate = x509.load_pem_x509_certificate((directory / "certificate.pem").read_bytes())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify((tmp_path / "signature").read_bytes(), b"data", ec.ECDSA(hashes.SHA256()))


def test_an_algorithm_that_the_tpm_cannot_is_reported_with_what_it_can(agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order(KeyAlgorithm.RSA_4096)
    done = agent("enroll", "--yes", link)
    assert done.returncode == ExitCode.FAILED
    assert "error: This computer's TPM cannot make rsa-4096 keys" in done.stderr
    assert "hint: It can make: rsa-2048" in done.stderr
    assert order.failure is not None
    assert order.failure.code == "algorithm_unsupported"


def test_a_full_tpm_is_reported(agent: Agent, server: AgentServer, swtpm: Swtpm) -> None:
    swtpm.fill()
    order, link = server.new_order()
    done = agent("enroll", "--yes", link)
    assert (done.returncode, order.state) == (ExitCode.FAILED, "failed")
    assert "The TPM is full" in done.stderr
    assert order.failure is not None
    assert order.failure.code == "tpm_full"


@pytest.mark.parametrize("tcti", ["device:/nowhere/tpmrm0", "swtpm:host=127.0.0.1,port=9", "nonsense:xx"])
def test_without_a_tpm_the_server_hears_nothing_and_the_link_stays_good(
    make_agent: Callable[[str], Agent], server: AgentServer, swtpm: Swtpm, tcti: str
) -> None:
    order, link = server.new_order()
    agent = make_agent(tcti)
    done = agent("enroll", "--yes", link)
    assert done.returncode == ExitCode.FAILED
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert tcti.removeprefix("device:") in error
    assert "KEYSTEAD_AGENT_TCTI" in done.stderr
    assert (server.tokens_given, order.state) == (0, "offered")
    assert list((agent.state_dir / "claims").iterdir()) == []
    assert agent("enroll", "--yes", link, KEYSTEAD_AGENT_TCTI=swtpm.tcti).returncode == ExitCode.DONE
    assert order.state == "installed"


def test_a_tpm_that_vanishes_after_the_link_was_opened_is_reported(
    agent: Agent, server: AgentServer, swtpm: Swtpm
) -> None:
    order, link = server.new_order()
    (_, job) = server.jobs.pop()
    process = agent.start("enroll", "--yes", link)
    server.wait_for_stream(1)
    swtpm.stop()
    server.add_job(order, job.payload)
    server.wait_for(order, "failed")
    assert order.failure is not None
    assert order.failure.code == "tpm_missing"
    assert process.wait(30) == ExitCode.FAILED


def test_a_tpm_that_takes_its_time_is_waited_for_with_a_word(agent: Agent, server: AgentServer, swtpm: Swtpm) -> None:
    _, link = server.new_order()
    swtpm.pause()
    process = agent.start("enroll", "--yes", link, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == "Waiting for the TPM …\n"
    finally:
        swtpm.resume()
    assert process.wait(60) == ExitCode.DONE


def test_a_link_may_come_by_standard_input(agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order()
    done = agent("enroll", "--yes", "-", said=f"{link}\n")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert order.state == "installed"


def test_a_software_key_is_made_only_when_policy_and_server_allow_it(
    make_agent: Callable[[str], Agent], server: AgentServer
) -> None:
    agent = make_agent("device:/nowhere/tpmrm0")
    order, link = server.new_order(allow_software_key=True)
    assert agent("enroll", "--yes", link).returncode == ExitCode.FAILED
    order, link = server.new_order(allow_software_key=True)
    done = agent("enroll", "--yes", link, KEYSTEAD_AGENT_ALLOW_SOFTWARE_KEY="true")
    assert done.returncode == ExitCode.DONE
    assert "whoever reads it can copy it" in done.stderr
    assert order.state == "installed"


def test_a_server_outside_the_policy_is_refused_before_anything_is_sent(agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order()
    done = agent("enroll", "--yes", link, KEYSTEAD_AGENT_SERVERS="https://enroll.example.org")
    assert done.returncode == ExitCode.REFUSED
    assert server.tokens_given == 0
    assert order.state == "offered"


def test_without_a_terminal_and_without_yes_nothing_happens(agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order()
    done = agent("enroll", link)
    assert done.returncode == ExitCode.REFUSED
    assert "--yes" in done.stderr
    assert server.tokens_given == 0
    assert agent("enroll", link, KEYSTEAD_AGENT_SERVERS=server.origin).returncode == ExitCode.DONE


def test_a_link_that_is_none_and_a_claim_that_is_spent(agent: Agent, server: AgentServer, tmp_path: Path) -> None:
    done = agent("enroll", "--yes", "https://example.org")
    assert done.returncode == ExitCode.USAGE
    assert "not a keystead://enroll link" in done.stderr
    _, link = server.new_order()
    thief = Agent(tmp_path / "thief", agent.environment["KEYSTEAD_AGENT_TCTI"])
    assert thief("enroll", "--yes", link).returncode == ExitCode.DONE
    done = agent("enroll", "--yes", link)
    assert done.returncode == ExitCode.FAILED
    assert "This link was used already" in done.stderr


def test_an_unencrypted_strangers_link_is_refused_with_the_right_hint(agent: Agent) -> None:
    done = agent("enroll", "--yes", str(EnrollLink(server="http://enroll.example.org", claim="c" * 32)))
    assert done.returncode == ExitCode.REFUSED
    assert "not encrypted" in done.stderr
    assert "https" in done.stderr.splitlines()[1]


def test_a_server_that_is_away_is_given_up_after_the_wait(agent: Agent, server: AgentServer) -> None:
    _, link = server.new_order()
    server.stop()
    done = agent("enroll", "--yes", "--wait", "1", link)
    assert done.returncode == ExitCode.UNREACHABLE
    assert "cannot be reached" in done.stderr


def test_a_refused_report_is_not_repeated(agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order()
    (job,) = (job for _, job in server.jobs)
    server.refused_jobs.add(job.job_id)
    done = agent("enroll", "--yes", link)
    assert done.returncode == ExitCode.FAILED
    assert "error: The server refused: Refused by the test" in done.stderr
    assert "hint: Do it right." in done.stderr
    assert server.reports_seen == 1
    assert order.certificates == []


def test_a_withdrawn_order_ends_the_enrollment_and_leaves_nothing(agent: Agent, server: AgentServer) -> None:
    order, link = server.new_order()
    server.jobs.clear()
    server.add_job(order, WITHDRAW)
    done = agent("enroll", "--yes", link)
    assert done.returncode == ExitCode.FAILED
    assert "withdrew" in done.stderr
    assert agent.certificates() == []


def test_an_order_that_ends_while_its_certificate_is_put_in_place_leaves_nothing(
    agent: Agent, server: AgentServer
) -> None:
    order, link = server.new_order()
    server.ends_before_installation = True
    done = agent("enroll", "--yes", link)
    assert done.returncode == ExitCode.FAILED
    assert "withdrew" in done.stderr
    assert (len(order.certificates), agent.certificates()) == (1, [])


@pytest.mark.parametrize("trouble", ["failing_reports", "lost_answers"])
def test_reports_arrive_once_though_the_server_stumbles(agent: Agent, server: AgentServer, trouble: str) -> None:
    order, link = server.new_order()
    setattr(server, trouble, 2)
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    assert (len(order.keys), len(order.certificates), order.state) == (1, 1, "installed")
