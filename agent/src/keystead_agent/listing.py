"""What is installed: what `certutil -user -store My` shows of a certificate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from pydantic import BaseModel, ConfigDict

from keystead_agent.certstore.pem import InstalledCertificate, damage_named
from keystead_agent.errors import AgentBusy, AgentError, KeyLost
from keystead_agent.jobs import sign_with_stored
from keystead_agent.keystore import KeyStores
from keystead_agent.machine import Machine
from keystead_contracts.base import AwareDatetime, serial_hex


class ListedCertificate(BaseModel):
    """One installed certificate. `signing_test` is "passed", "not run", or why it failed."""

    model_config = ConfigDict(frozen=True)

    serial_number: str
    issuer: str
    subject: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    sha1_hash: str
    key_container: str
    provider: str
    exportable: bool
    signing_test: str
    order_id: str
    server: str
    certificate_type: str
    location: str
    root_trusted: bool


class DamagedCertificate(BaseModel):
    """A certificate's folder that cannot be read."""

    model_config = ConfigDict(frozen=True)

    damage: str
    advice: str


def list_certificates(machine: Machine, *, test: bool) -> Iterator[ListedCertificate | DamagedCertificate]:
    """The installed certificates, newest first, then the damaged ones; `test` signs with each key. Takes no lock but
    the TPM's, and writes nothing. Raises StoreUnwritable."""
    for item in machine.store.all_installed():
        try:
            yield _described(item, machine.keys if test else None)
        except KeyLost as error:
            yield DamagedCertificate(damage=error.detail, advice=error.advice)


def all_work(found: Iterable[ListedCertificate | DamagedCertificate]) -> bool:
    """Whether nothing is damaged and no signing test failed."""
    return all(isinstance(item, ListedCertificate) and not item.signing_test.startswith("failed") for item in found)


def _described(item: InstalledCertificate | KeyLost, keys: KeyStores | None) -> ListedCertificate:
    if isinstance(item, KeyLost):
        raise item
    with damage_named(item.directory):
        return describe(item, "not run" if keys is None else _signing_test(item, keys))


def describe(item: InstalledCertificate, signing_test: str) -> ListedCertificate:
    """`item` in the words of the listing."""
    certificate = x509.load_pem_x509_certificate(item.certificate)
    request = item.metadata.request
    return ListedCertificate(
        serial_number=serial_hex(certificate.serial_number),
        issuer=certificate.issuer.rfc4514_string(),
        subject=certificate.subject.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha1_hash=certificate.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 an identifier, as certutil shows it
        key_container=str(item.key_path),
        provider=request.provider,
        exportable=request.exportable,
        signing_test=signing_test,
        order_id=request.order_id,
        server=request.server,
        certificate_type=request.certificate_type,
        location=str(item.directory),
        root_trusted=item.metadata.root_trusted,
    )


def _signing_test(item: InstalledCertificate, keys: KeyStores) -> str:
    try:
        sign_with_stored(item, keys, b"keystead signing test\n" + os.urandom(32))
    except AgentBusy as error:
        return f"not run: {error.detail}"
    except AgentError as error:
        return f"failed: {error.detail}"
    return "passed"
