"""A computer with Windows, as the agent sees it: the fakes of ncrypt.dll and crypt32.dll, and what restarts keep."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.agent_server import Ca, pem
from tests.support.fake_crypt32 import FakeCrypt32
from tests.support.fake_ncrypt import FakeNcrypt
from tests.unit.agent.samples import NOW, SERVER, job, wish

from keystead_agent.certstore._crypt32 import Crypt32
from keystead_agent.certstore.cng_keys import NcryptKeys
from keystead_agent.certstore.endorsement import WindowsEndorsementCertificates
from keystead_agent.certstore.made import MadeEntries
from keystead_agent.certstore.pem import CertificateStore, InstalledCertificate
from keystead_agent.certstore.windows import WindowsStores
from keystead_agent.journal import JobEntry, Journal
from keystead_agent.keystore import KeyStores
from keystead_agent.keystore.pcp import EndorsementCertificates
from keystead_agent.keystore.served import IdentityService
from keystead_agent.machine import Machine
from keystead_agent.settings import Settings
from keystead_contracts.agent import CsrReady, DeviceJob, Install, Installed, Remove, ReportBody
from keystead_contracts.base import CertificateType

PROBE = b"probe"


class WindowsComputer:
    """Jobs are done as the worker has them done. `restart` is what a crash or a new process leaves: files, Windows's
    keys, Windows's stores. `service` is the agent's, for the process of a person; `registry` what Windows keeps of the
    certificates of the TPM's endorsement key."""

    def __init__(
        self,
        folder: Path,
        *,
        machine_keys: bool = False,
        ncrypt: FakeNcrypt | None = None,
        service: IdentityService | None = None,
        **settings: object,
    ) -> None:
        self.ncrypt = ncrypt or FakeNcrypt(folder / "windows")
        self.service = service
        self.registry: list[bytes] = []
        self.crypt32 = FakeCrypt32(self.ncrypt)
        self.ca = Ca()
        self.settings = Settings.model_validate({"state_dir": folder / "state", **settings})
        self.machine_keys = machine_keys
        self._jobs = 0
        self.restart()
        self.recover()

    def restart(self) -> None:
        """A new process, before it has done anything."""
        self.crypt32.end_process()
        stores = WindowsStores(
            Crypt32(self.crypt32),
            MadeEntries(self.settings.state_dir),
            NcryptKeys(self.ncrypt),
            self.settings,
        )
        self.machine = Machine(
            settings=self.settings,
            keys=KeyStores(
                self.settings,
                machine_keys=self.machine_keys,
                platform="win32",
                ncrypt=lambda: self.ncrypt,
                certificates=self._certificates,
                service=self._the_service,
            ),
            store=CertificateStore(self.settings.state_dir, stores),
            journal=Journal(self.settings.state_dir, lambda: NOW),
            now=lambda: NOW,
        )

    def _certificates(self) -> EndorsementCertificates:
        return WindowsEndorsementCertificates(lambda: Crypt32(self.crypt32), lambda: iter(self.registry))

    def _the_service(self) -> IdentityService:
        assert self.service is not None, "no service was expected to be asked"
        return self.service

    def recover(self) -> None:
        """What every command that writes does first."""
        self.machine.recover(lambda _: None)

    def perform(self, payload: Install | Remove | object, order_id: str = "order-1") -> ReportBody:
        """The answer to a new job."""
        return self._entry(payload, order_id).body

    def _entry(self, payload: object, order_id: str) -> JobEntry:
        self._jobs += 1
        return self.machine.perform(SERVER, "claim", self._job(payload, order_id))

    def _job(self, payload: object, order_id: str) -> DeviceJob:
        made = job(payload, job_id=f"job-{self._jobs}", order_id=order_id)  # type: ignore[arg-type]
        return made.model_copy(update={"organization": "Example Ltd", "profile": "Client"})

    def certify(self, order_id: str = "order-1", subject: str = "alice", **changes: object) -> x509.Certificate:
        """Has a key made for the order, and its certificate issued."""
        answer = self.perform(wish(**changes), order_id)
        assert isinstance(answer, CsrReady), answer
        return self.ca.issue(x509.load_pem_x509_csr(answer.csr_pem.encode()).public_key(), subject)

    def parcel(self, certificate: x509.Certificate) -> Install:
        """What the server sends of an issued certificate."""
        return Install(
            certificate_pem=pem(certificate),
            chain_pem=[pem(self.ca.issuing)],
            root_pem=pem(self.ca.root),
            certificate_type=CertificateType.CLIENT,
            probe=base64.b64encode(PROBE).decode(),
        )

    def install(self, order_id: str = "order-1", subject: str = "alice") -> x509.Certificate:
        """A certificate that is in place."""
        certificate = self.certify(order_id, subject)
        body = self.perform(self.parcel(certificate), order_id)
        assert isinstance(body, Installed), body
        return certificate

    def renew(
        self, old: x509.Certificate, order_id: str = "order-2", order_state: str = "installed"
    ) -> x509.Certificate:
        """A certificate that is in place and takes that of `old`, and of which the server says `order_state`."""
        certificate = self.certify(order_id, supersedes=old.fingerprint(hashes.SHA256()).hex())
        entry = self._entry(self.parcel(certificate), order_id)
        assert isinstance(entry.body, Installed), entry.body
        self.machine.journal.settle(entry, order_state)
        return certificate

    def installed(self) -> list[InstalledCertificate]:
        """What the folders say."""
        found = self.machine.store.all_installed()
        assert all(isinstance(item, InstalledCertificate) for item in found), found
        return [item for item in found if isinstance(item, InstalledCertificate)]

    def holds(self, location: int, name: str, certificates: Iterable[x509.Certificate]) -> bool:
        """Whether a store has exactly these."""
        found = sorted(element.encoded for element in self.crypt32.content(location, name))
        return found == sorted(certificate.public_bytes(Encoding.DER) for certificate in certificates)

    @staticmethod
    def sha1(certificate: x509.Certificate) -> str:
        """What `certutil` calls Cert Hash(sha1)."""
        return certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303
