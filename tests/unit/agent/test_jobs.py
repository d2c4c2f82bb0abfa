"""One job after the other on the software key store; the TPM's turn is in tests/integration."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.agent_server import Ca, certify, pem
from tests.unit.agent.samples import NOW, SERVER, job, wish

from keystead_agent.certstore.pem import CertificateStore, InstalledCertificate
from keystead_agent.jobs import JobContext, execute
from keystead_agent.keystore import KeyStores
from keystead_agent.settings import Settings
from keystead_agent.signatures import verify
from keystead_contracts.agent import CsrReady, Failed, Install, Installed, Remove, Removed, ReportBody, probe_input
from keystead_contracts.base import CertificateType, KeyAlgorithm

PROBE = b"probe"


pytestmark = pytest.mark.filterwarnings("ignore::keystead_agent.keystore.software.SoftwareKeyIsCopyable")


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    settings = Settings(state_dir=tmp_path, tcti="device:/nowhere/tpm", allow_software_key=True)
    store = CertificateStore(tmp_path)
    store.recover()
    return JobContext(server=SERVER, keys=KeyStores(settings), store=store, now=lambda: NOW)


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


def make(context: JobContext, **changes: object) -> CsrReady:
    body = execute(job(wish(**changes)), context)
    assert isinstance(body, CsrReady), body
    return body


def key_of(answer: CsrReady) -> ec.EllipticCurvePublicKey:
    csr = x509.load_pem_x509_csr(answer.csr_pem.encode())
    assert csr.is_signature_valid
    key = csr.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def parcel(ca: Ca, certificate: x509.Certificate, **changes: object) -> Install:
    fields: dict[str, object] = {
        "certificate_pem": pem(certificate),
        "chain_pem": [pem(ca.issuing)],
        "root_pem": pem(ca.root),
        "certificate_type": CertificateType.CLIENT,
        "probe": base64.b64encode(PROBE).decode(),
    }
    return Install.model_validate(fields | changes)


def failed(body: ReportBody) -> Failed:
    assert isinstance(body, Failed), body
    assert body.advice
    return body


def test_a_repeated_job_gets_the_same_key_and_request(context: JobContext) -> None:
    assert make(context) == make(context)


def test_another_subject_is_asked_for_with_the_same_key(context: JobContext) -> None:
    first, second = make(context), make(context, subject="CN=bob")
    assert key_of(first) == key_of(second)
    assert "bob" in x509.load_pem_x509_csr(second.csr_pem.encode()).subject.rfc4514_string()


def test_another_algorithm_is_another_key(context: JobContext) -> None:
    make(context)
    assert key_of(make(context, key_algorithm=KeyAlgorithm.EC_P384)).curve.name == "secp384r1"


def test_a_software_key_needs_the_consent_of_the_server_too(context: JobContext) -> None:
    assert failed(execute(job(wish(allow_software_key=False)), context)).code == "tpm_missing"


def test_a_software_key_needs_the_consent_of_this_machine(context: JobContext, tmp_path: Path) -> None:
    strict = KeyStores(Settings(state_dir=tmp_path, tcti="device:/nowhere/tpm"))
    body = execute(job(wish()), JobContext(server=SERVER, keys=strict, store=context.store, now=context.now))
    assert failed(body).code == "tpm_missing"


def test_an_installed_pair_signs_the_probe_and_a_repetition_installs_nothing_new(context: JobContext, ca: Ca) -> None:
    key = key_of(make(context))
    install = job(parcel(ca, ca.issue(key)))
    for _ in range(2):
        body = execute(install, context)
        assert isinstance(body, Installed), body
        verify(key, base64.b64decode(body.probe_signature), probe_input(PROBE))
        assert not body.root_trusted
    assert len(context.store.all_installed()) == 1


def test_the_root_may_stand_in_the_chain_too(context: JobContext, ca: Ca) -> None:
    certificate = ca.issue(key_of(make(context)))
    body = execute(job(parcel(ca, certificate, chain_pem=[pem(ca.issuing), pem(ca.root)])), context)
    assert isinstance(body, Installed)
    (installed,) = context.store.all_installed()
    assert isinstance(installed, InstalledCertificate)
    assert installed.chain == pem(ca.issuing).encode()


def test_a_certificate_for_another_key_is_not_installed(context: JobContext, ca: Ca) -> None:
    make(context)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert failed(execute(job(parcel(ca, ca.issue(other))), context)).code == "key_mismatch"
    assert context.store.all_installed() == []
    assert context.store.pending(SERVER, "order-1") is not None


def test_a_certificate_without_a_key_here_is_not_installed(context: JobContext, ca: Ca) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert failed(execute(job(parcel(ca, ca.issue(key))), context)).code == "key_lost"


def test_a_chain_of_somebody_else_is_not_installed(context: JobContext, ca: Ca) -> None:
    certificate = ca.issue(key_of(make(context)))
    other = Ca()
    wrongs: tuple[dict[str, object], ...] = (
        {"root_pem": pem(other.root)},
        {"chain_pem": [pem(other.issuing)]},
        {"chain_pem": []},
        {"certificate_pem": "not PEM"},
    )
    for wrong in wrongs:
        failed(execute(job(parcel(ca, certificate, **wrong)), context))
    assert context.store.all_installed() == []


def test_an_issuer_that_is_no_ca_is_not_believed(context: JobContext, ca: Ca) -> None:
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = ca.issue(leaf_key.public_key(), "mallory")
    forged = certify("alice", key_of(make(context)), "mallory", leaf_key, ca=False)
    body = execute(job(parcel(ca, forged, chain_pem=[pem(leaf), pem(ca.issuing)])), context)
    assert "is not signed by CN=mallory" in failed(body).detail


def test_removing_leaves_nothing(context: JobContext, ca: Ca) -> None:
    execute(job(parcel(ca, ca.issue(key_of(make(context))))), context)
    make(context)
    assert execute(job(Remove(reason="cancelled")), context) == Removed()
    assert context.store.all_installed() == []
    assert context.store.pending(SERVER, "order-1") is None


def test_a_subject_that_is_no_name_fails_the_job(context: JobContext) -> None:
    assert "RFC 4514" in failed(execute(job(wish(subject="no name")), context)).detail
