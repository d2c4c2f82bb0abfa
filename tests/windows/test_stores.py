"""The certificate stores of Windows by its own DLLs: one certificate from its key to its removal, for the account and
for the machine. Under Wine the key is in the software provider: its platform provider has no hardware to show."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.unit.agent.samples import SERVER, job, wish

from keystead_agent.certstore import _crypt32 as w32
from keystead_agent.certstore._crypt32 import Crypt32, KeyProvInfo
from keystead_agent.keystore.persisted import PersistedKey
from keystead_agent.listing import ListedCertificate, list_certificates
from keystead_agent.machine import Machine
from keystead_agent.output import show_certificates
from keystead_agent.settings import Settings
from keystead_agent.signatures import public_key_of, verify
from keystead_contracts.agent import CsrReady, Install, Installed, JobPayload, Remove, Removed, ReportBody, probe_input
from keystead_contracts.base import CertificateType, KeyAlgorithm

PROBE = b"probe"
PLACES = {False: ("CurrentUser", w32.CERT_SYSTEM_STORE_CURRENT_USER)}
PLACES[True] = ("LocalMachine", w32.CERT_SYSTEM_STORE_LOCAL_MACHINE)


class Ca:
    """A root and an issuing CA, whose names no other run has."""

    def __init__(self) -> None:
        root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        mark = x509.random_serial_number()
        self._name = f"Keystead Test Issuing {mark:x}"[:60]
        root = f"Keystead Test Root {mark:x}"[:60]
        self.root = certify(root, root_key.public_key(), root, root_key, ca=True)
        self.issuing = certify(self._name, self._key.public_key(), root, root_key, ca=True)

    def issue(self, csr_pem: str) -> x509.Certificate:
        key = x509.load_pem_x509_csr(csr_pem.encode()).public_key()
        return certify("alice", key, self._name, self._key, ca=False)


def certify(subject: str, key: Any, issuer: str, issuer_key: Any, *, ca: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


class Computer:
    """This one. Jobs are done as the worker has them done."""

    def __init__(self, folder: Path, *, machine_keys: bool) -> None:
        self.ca = Ca()
        self.title, self.location = PLACES[machine_keys]
        settings = Settings(state_dir=folder, allow_software_key=True)
        self.machine = Machine.of(settings, lambda: datetime.now(UTC), machine_keys=machine_keys)
        self.machine.recover(lambda _: None)
        self.crypt32 = Crypt32(w32.load())
        self._jobs = 0

    def perform(self, payload: JobPayload) -> ReportBody:
        self._jobs += 1
        wanted = job(payload, job_id=f"job-{self._jobs}").model_copy(update={"organization": "Example Ltd"})
        return self.machine.perform(SERVER, "claim", wanted).body

    def certify(self) -> x509.Certificate:
        answer = self.perform(wish(key_algorithm=KeyAlgorithm.RSA_2048))
        assert isinstance(answer, CsrReady), answer
        return self.ca.issue(answer.csr_pem)

    def install(self, certificate: x509.Certificate) -> Installed:
        answer = self.perform(
            Install(
                certificate_pem=pem(certificate),
                chain_pem=[pem(self.ca.issuing)],
                root_pem=pem(self.ca.root),
                certificate_type=CertificateType.CLIENT,
                probe=base64.b64encode(PROBE).decode(),
            )
        )
        assert isinstance(answer, Installed), answer
        return answer

    def key_of(self, certificate: x509.Certificate) -> KeyProvInfo | None:
        encoded = certificate.public_bytes(Encoding.DER)
        with self.crypt32.store(self.location, "My", w32.CERT_STORE_READONLY_FLAG) as store:
            with self.crypt32.found(store, hashlib.sha1(encoded, usedforsecurity=False).digest()) as found:
                assert found is not None
                return self.crypt32.key(found)

    def has(self, name: str, certificate: x509.Certificate) -> bool:
        with self.crypt32.store(self.location, name, w32.CERT_STORE_READONLY_FLAG) as store:
            contexts = self.crypt32.certificates(store)
            return certificate.public_bytes(Encoding.DER) in [self.crypt32.encoded(context) for context in contexts]


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture(params=[False, True], ids=["user", "machine"])
def computer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Computer]:
    made = Computer(tmp_path / "state", machine_keys=request.param)
    yield made
    made.perform(Remove(reason="the test is over"))


def test_a_certificate_is_in_the_store_with_its_key_and_its_issuer(computer: Computer) -> None:
    certificate = computer.certify()
    body = computer.install(certificate)
    assert body.location == f"{computer.title}\\My"
    verify(public_key_of(certificate), base64.b64decode(body.probe_signature), probe_input(PROBE))
    (pair,) = computer.machine.store.all_installed()
    key = PersistedKey.read(pair.blob)  # type: ignore[union-attr]
    assert computer.key_of(certificate) == KeyProvInfo(key.name, key.provider, 0, key.flags, 0)
    assert computer.has("CA", computer.ca.issuing)
    assert not computer.has("Root", computer.ca.root)


def test_a_certificate_is_put_in_again_with_another_key_property(computer: Computer) -> None:
    certificate = computer.certify()
    computer.install(certificate)
    key = computer.key_of(certificate)
    encoded = certificate.public_bytes(Encoding.DER)
    with computer.crypt32.store(computer.location, "My") as store:
        assert computer.crypt32.delete(store, hashlib.sha1(encoded, usedforsecurity=False).digest())
    with computer.crypt32.store(computer.location, "My") as store:
        with computer.crypt32.certificate(encoded) as context:
            computer.crypt32.set_key(context, KeyProvInfo("somebody's", "Somebody's Provider"))
            computer.crypt32.add(store, context)
    computer.install(certificate)
    assert computer.key_of(certificate) == key


def test_it_is_listed_in_the_words_of_certutil(computer: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    certificate = computer.certify()
    computer.install(certificate)
    found = [item for item in list_certificates(computer.machine, test=True) if getattr(item, "order_id", "")]
    assert [item.store for item in found if isinstance(item, ListedCertificate)] == [f"{computer.title}\\My"]
    show_certificates(found, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert f"Store: {computer.title}\\My" in lines
    assert "Friendly Name: alice (Example Ltd)" in lines
    assert "Private key is NOT exportable" in lines
    assert [line for line in lines if line.startswith("  Key Container = tp-")]
    (test,) = [line for line in lines if line.startswith("Signature test")]
    if test != "Signature test passed":  # Wine opens no keys of CNG by certificates, and says so
        assert test.startswith("Signature test FAILED: This system does not open keys by their certificates")


def test_removing_leaves_nothing_in_the_stores(computer: Computer) -> None:
    certificate = computer.certify()
    computer.install(certificate)
    assert computer.perform(Remove(reason="cancelled")) == Removed()
    assert not computer.has("My", certificate)
    assert not computer.has("CA", computer.ca.issuing)


def test_what_never_came_to_be_installed_is_taken_out_at_the_next_start(computer: Computer, tmp_path: Path) -> None:
    certificate = computer.certify()
    computer.install(certificate)
    (pair,) = computer.machine.store.all_installed()
    pair.directory.rename(tmp_path / "lost")  # type: ignore[union-attr]
    computer.machine.recover(lambda _: None)
    assert not computer.has("My", certificate)
    assert not computer.has("CA", computer.ca.issuing)
