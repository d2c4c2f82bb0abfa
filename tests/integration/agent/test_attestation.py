"""Proof that keys are in this TPM: at registration, by link, and for each certificate of a device."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from tests.integration.agent.conftest import Agent
from tests.support.agent_server import AgentServer
from tests.support.attesting_server import AttestingServer
from tests.support.swtpm import Swtpm
from tests.support.swtpm_maker import EC_P256_CERTIFICATE, SwtpmMaker, _first_tpm, made_tpm, swtpm_maker

from keystead_agent.attestation import Identities
from keystead_agent.errors import ExitCode, TpmFull
from keystead_agent.files import private_directory
from keystead_agent.keystore import KeyStores
from keystead_agent.settings import Settings, silence_tss_log
from keystead_contracts.base import KeyAlgorithm

__all__ = ["_first_tpm", "made_tpm", "swtpm_maker"]
pytestmark = pytest.mark.tpm
silence_tss_log()


@pytest.fixture
def asking() -> Iterator[AttestingServer]:
    running = AttestingServer()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def identities(swtpm: Swtpm, tmp_path: Path) -> Identities:
    settings = Settings(state_dir=private_directory(tmp_path / "state"), tcti=swtpm.tcti)
    return Identities(KeyStores(settings), settings.state_dir)


def blob(agent: Agent) -> bytes:
    return (agent.state_dir / "device" / "attestation" / "key.tss.pem").read_bytes()


def test_a_device_proves_its_key_and_each_of_its_certificates(agent: Agent, asking: AttestingServer) -> None:
    done = agent("register", asking.origin, "--token", asking.registration_token, "--json")
    assert done.returncode == ExitCode.DONE, done.stderr
    said = json.loads(done.stdout)
    assert said["assurance"] == "attested"
    device_id = said["device_id"]
    agent.start("run")
    for algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048):
        order, _ = asking.new_order(algorithm, recipient=device_id)
        asking.wait_for(order, "installed")
    assert asking.proofs == [device_id, "order-1", "order-2"]


def test_a_link_comes_with_proof_and_no_request_more(agent: Agent, asking: AttestingServer) -> None:
    for _ in range(2):
        _, link = asking.new_order()
        done = agent("enroll", "--yes", link)
        assert done.returncode == ExitCode.DONE, done.stderr
    assert asking.proofs == ["order-1", "order-2"]
    assert asking.tokens_given == 2
    first, second = asking.verifier.shown
    assert first == second


def test_the_server_is_shown_the_certificate_of_the_endorsement_key(
    make_agent: Callable[[str], Agent], asking: AttestingServer, made_tpm: Swtpm, swtpm_maker: SwtpmMaker
) -> None:
    agent = make_agent(made_tpm.tcti)
    agent.register(asking)
    (key,) = asking.verifier.shown
    (shown,) = key.endorsement_certificates
    assert shown.nv_index == EC_P256_CERTIFICATE
    certificate = x509.load_der_x509_certificate(base64.b64decode(shown.content))
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(swtpm_maker.issuer_pem.encode()))


def test_registering_again_keeps_the_identity(agent: Agent, asking: AttestingServer) -> None:
    agent.register(asking)
    kept = blob(agent)
    agent.register(asking)
    assert blob(agent) == kept
    first, second = asking.verifier.shown
    assert first == second


def test_a_link_of_a_cleared_tpm_comes_with_a_new_identity(agent: Agent, asking: AttestingServer, swtpm: Swtpm) -> None:
    for _ in range(2):
        _, link = asking.new_order()
        assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
        swtpm.tool("tpm2_clear")
    assert asking.proofs == ["order-1", "order-2"]
    first, second = asking.verifier.shown
    assert first.endorsement_key == second.endorsement_key
    assert first.public_area != second.public_area


def test_a_tpm_that_cannot_prove_anything_still_has_keys(agent: Agent, asking: AttestingServer, swtpm: Swtpm) -> None:
    swtpm.tool("tpm2_changeauth", "-c", "endorsement", "secret")
    agent.register(asking)
    _, link = asking.new_order()
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE
    assert (asking.proofs, asking.lacking) == ([], ["order-1"])


@pytest.mark.parametrize("pattern", ["device/.tmp-*", "device/attestation", "pending/.tmp-*", "pending/order-*"])
def test_killed_at_any_point_it_proves_the_one_key_with_the_one_identity(
    agent: Agent, asking: AttestingServer, swtpm: Swtpm, pattern: str
) -> None:
    order, link = asking.new_order()
    process = agent.start("enroll", "--yes", link)
    while process.poll() is None and not any(agent.state_dir.glob(pattern)):
        pass
    process.kill()
    process.wait()
    shown = len(asking.verifier.shown)
    again = agent("enroll", "--yes", link)
    assert again.returncode == ExitCode.DONE, again.stderr
    assert asking.proofs == ["order-1"]
    assert len(order.keys) == 1
    assert len({key.public_area for key in asking.verifier.shown[max(shown - 1, 0) :]}) == 1
    assert [path.name for path in (agent.state_dir / "device").iterdir()] == ["attestation"]
    assert swtpm.tool("tpm2_getcap", "handles-transient") == ""


def test_a_server_that_does_not_ask_is_served_as_before(agent: Agent, server: AgentServer) -> None:
    agent.register(server)
    _, link = server.new_order()
    assert agent("enroll", "--yes", link).returncode == ExitCode.DONE


def test_an_identity_is_made_once(identities: Identities) -> None:
    first = identities.obtain()
    assert first is not None
    assert identities.obtain() == first


def test_a_damaged_identity_is_made_again(identities: Identities, tmp_path: Path) -> None:
    first = identities.obtain()
    assert first is not None
    folder = tmp_path / "state" / "device" / "attestation"
    for name in ("attestation.json", "key.tss.pem"):
        (folder / name).write_bytes(b"{")
        second = identities.obtain()
        assert second is not None
        assert second.blob != first.blob
        assert identities.known() == second


def test_an_identity_is_not_given_up_because_the_tpm_is_full(identities: Identities, swtpm: Swtpm) -> None:
    first = identities.obtain()
    swtpm.fill()
    with pytest.raises(TpmFull):
        identities.obtain()
    swtpm.empty()
    assert identities.obtain() == first
