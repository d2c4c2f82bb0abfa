"""A directory of PEM files, in two phases. Below the state directory:

    pending/<order>/       the key's blob, what was asked, and the answer with the CSR
    certificates/<order>/  certificate.pem, chain.pem, root.pem, the key's blob, metadata.json

Each directory appears whole or not at all, so a key and the answer that names it become durable together, and making
a key never touches a credential that is in use. The root is kept beside. Where the system has certificate stores
(`platform`), what is in them follows these directories, which alone say what is installed.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from keystead_agent.certstore.platform import FoldersOnly, PlatformStore
from keystead_agent.errors import AgentError, KeyLost, OrderOfAnotherServer, StoreUnwritable
from keystead_agent.files import (
    private_directory,
    recover_directories,
    remove_directory,
    require_folder,
    safe_name,
    unwritable,
    write_directory,
)
from keystead_contracts.agent import CsrReady
from keystead_contracts.base import CertificateType, KeyAlgorithm

CERTIFICATE, CHAIN, ROOT, METADATA = "certificate.pem", "chain.pem", "root.pem", "metadata.json"
REQUEST, ANSWER = "request.json", "answer.json"
_log = logging.getLogger(__name__)


class KeyRequest(BaseModel):
    """What a key was made for, and which file of its directory holds it."""

    model_config = ConfigDict(frozen=True)

    server: str
    order_id: str
    job_id: str
    trace_id: str
    key_algorithm: KeyAlgorithm
    certificate_type: CertificateType
    subject: str
    created_at: datetime
    key_file: str
    provider: str
    exportable: bool
    recipient: str = ""
    """Whose job it was, as the journal names it; older agents did not say."""
    supersedes: str = ""
    """SHA-256 of the certificate whose place the key's takes; empty if it takes nobody's."""


class Metadata(BaseModel):
    """What is known of an installed certificate besides the certificate."""

    model_config = ConfigDict(frozen=True)

    request: KeyRequest
    installed_at: datetime
    organization: str = ""
    profile: str = ""
    root_trusted: bool = False
    system_store: str = ""
    """The store of the system that the certificate is in too, as the system names it."""


@dataclass(frozen=True)
class PendingKey:
    """A key without a certificate, and the answer that was given when it was made."""

    request: KeyRequest
    blob: bytes
    answer: CsrReady


@dataclass(frozen=True)
class InstalledCertificate:
    """A certificate with its key, as stored below `directory`. `chain` is PEM, issuing CA first, without the root."""

    directory: Path
    metadata: Metadata
    blob: bytes
    certificate: bytes
    chain: bytes
    root: bytes

    @property
    def location(self) -> str:
        """Where a person finds the certificate."""
        return self.metadata.system_store or str(self.directory)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in DER, as servers name it."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate.decode())).hexdigest()

    @property
    def key_path(self) -> Path:
        """The file that holds the key's blob."""
        return self.directory / self.metadata.request.key_file


class CertificateStore:
    """The store below `state_dir`, and `platform`, the system's. Callers write under one lock (`Machine.working`);
    reading needs none."""

    def __init__(self, state_dir: Path, platform: PlatformStore | None = None) -> None:
        self.platform = platform or FoldersOnly()
        self._pending = state_dir / "pending"
        self._certificates = state_dir / "certificates"

    def recover(self) -> None:
        """Makes the directories, and tidies what a crash left unfinished. Raises StoreUnwritable."""
        for directory in (self._pending, self._certificates):
            recover_directories(private_directory(directory))
        self._tidy_platform()

    def save_pending(self, key: PendingKey) -> None:
        """Keeps a new key with its answer, both durable on return. Raises StoreUnwritable."""
        write_directory(
            self._pending / safe_name(key.request.order_id),
            {
                key.request.key_file: key.blob,
                REQUEST: key.request.model_dump_json(indent=2).encode(),
                ANSWER: key.answer.model_dump_json().encode(),
            },
        )

    def pending(self, server: str, order_id: str) -> PendingKey | None:
        """The key that waits for the certificate of `order_id`. Raises OrderOfAnotherServer, KeyLost if damaged."""
        directory = self._pending / safe_name(order_id)
        if not directory.is_dir():
            return None
        with unwritable(directory), damage_named(directory):
            request = KeyRequest.model_validate_json((directory / REQUEST).read_bytes())
            _require_same(server, request)
            return PendingKey(
                request=request,
                blob=(directory / safe_name(request.key_file)).read_bytes(),
                answer=CsrReady.model_validate_json((directory / ANSWER).read_bytes()),
            )

    def pending_of(self, server: str, recipient: str) -> set[str]:
        """The orders with a key that was made in a job for `recipient`; a damaged one is not among them."""
        found = set()
        for directory in self._pending.glob("[!.]*"):
            with suppress(KeyLost, StoreUnwritable), unwritable(directory), damage_named(directory):
                request = KeyRequest.model_validate_json((directory / REQUEST).read_bytes())
                if (request.server, request.recipient) == (server, recipient):
                    found.add(request.order_id)
        return found

    def discard_pending(self, server: str, order_id: str) -> None:
        """Removes the pending key of `order_id`, if there is one. Raises OrderOfAnotherServer."""
        if self.pending(server, order_id) is not None:
            remove_directory(self._pending / safe_name(order_id))

    def install(
        self, key: PendingKey, metadata: Metadata, *, certificate: bytes, chain: bytes, root: bytes
    ) -> InstalledCertificate:
        """Puts certificate and key in place at once, in place of an older pair of the same order; the pending key is
        gone afterwards. Raises StoreUnwritable."""
        directory = self._certificates / safe_name(key.request.order_id)
        pair = InstalledCertificate(directory, metadata, key.blob, certificate, chain, root)
        placed = self.platform.put(pair)
        told = {"system_store": placed.store, "root_trusted": placed.root_trusted}
        write_directory(
            directory,
            {
                key.request.key_file: key.blob,
                CERTIFICATE: certificate,
                CHAIN: chain,
                ROOT: root,
                METADATA: metadata.model_copy(update=told).model_dump_json(indent=2).encode(),
            },
        )
        remove_directory(self._pending / safe_name(key.request.order_id))
        self._tidy_platform()
        return self._read(directory)

    def installed(self, server: str, order_id: str) -> InstalledCertificate | None:
        """What is installed for `order_id`, read from the files. Raises OrderOfAnotherServer, KeyLost if damaged."""
        directory = self._certificates / safe_name(order_id)
        if not directory.is_dir():
            return None
        found = self._read(directory)
        _require_same(server, found.metadata.request)
        return found

    def remove(self, server: str, order_id: str) -> None:
        """Removes the pending and the installed key and certificate of `order_id`. Raises OrderOfAnotherServer;
        StoreUnwritable also if the certificate stays in the system's store."""
        if self.installed(server, order_id) is not None:
            remove_directory(self._certificates / safe_name(order_id))
        self.discard_pending(server, order_id)
        self._sweep_platform()

    def all_installed(self) -> list[InstalledCertificate | KeyLost]:
        """Every installed certificate, newest first, then what is wrong with each that is damaged. Raises
        StoreUnwritable."""
        found: list[InstalledCertificate] = []
        damaged: list[KeyLost] = []
        for directory in self._directories():
            try:
                found.append(self._read(directory))
            except KeyLost as error:
                damaged.append(error)
        return [*sorted(found, key=lambda item: item.metadata.installed_at, reverse=True), *damaged]

    def _sweep_platform(self) -> None:
        """Has the system's stores hold what the directories say. While one of them is damaged nothing is taken out."""
        installed = self.all_installed()
        kept = [item for item in installed if isinstance(item, InstalledCertificate)]
        if len(kept) == len(installed):
            self.platform.sweep(kept)

    def _tidy_platform(self) -> None:
        """Like `_sweep_platform`; what does not work now is tried again the next time."""
        try:
            self._sweep_platform()
        except AgentError as error:
            _log.warning("system_store_not_tidied reason=%s", error.detail)

    def _directories(self) -> list[Path]:
        require_folder(self._certificates.parent)
        with unwritable(self._certificates):
            if not self._certificates.is_dir():
                return []
            return sorted(path for path in self._certificates.iterdir() if not path.name.startswith("."))

    def _read(self, directory: Path) -> InstalledCertificate:
        with unwritable(directory), damage_named(directory):
            metadata = Metadata.model_validate_json((directory / METADATA).read_bytes())
            return InstalledCertificate(
                directory=directory,
                metadata=metadata,
                blob=(directory / safe_name(metadata.request.key_file)).read_bytes(),
                certificate=(directory / CERTIFICATE).read_bytes(),
                chain=(directory / CHAIN).read_bytes(),
                root=(directory / ROOT).read_bytes(),
            )


@contextmanager
def damage_named(directory: Path) -> Iterator[None]:
    """Turns what a damaged directory raises while it is read into KeyLost."""
    try:
        yield
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise KeyLost(
            f"{directory} is damaged, or a newer keystead-agent wrote it",
            "Update the agent, restore the folder from a backup, or move it away and enroll again.",
        ) from error


def _require_same(server: str, request: KeyRequest) -> None:
    if request.server != server:
        raise OrderOfAnotherServer(
            f"order {request.order_id} on this computer belongs to {request.server}",
            "Two servers use the same order id; an administrator of one of them has to sort this out.",
        )
