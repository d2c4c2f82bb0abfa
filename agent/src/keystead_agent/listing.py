"""What is installed: what `certutil -user -store My` shows of a certificate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict

from keystead_agent.certstore.pem import InstalledCertificate, damage_named
from keystead_agent.certstore.platform import StoreEntry
from keystead_agent.errors import AgentBusy, AgentError, KeyLost
from keystead_agent.jobs import sign_with_stored
from keystead_agent.machine import Machine
from keystead_agent.signatures import probe
from keystead_contracts.base import AwareDatetime, serial_hex


class ListedCertificate(BaseModel):
    """One installed certificate. `signing_test` is "passed", "not run", or why it failed. `store` is the system's store
    that it is in, if the system has any; one that no folder of this account names has no order."""

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
    store: str = ""
    friendly_name: str = ""


class DamagedCertificate(BaseModel):
    """A certificate whose folder cannot be read, or that is no longer in the system's store."""

    model_config = ConfigDict(frozen=True)

    damage: str
    advice: str


def list_certificates(machine: Machine, *, test: bool) -> Iterator[ListedCertificate | DamagedCertificate]:
    """The installed certificates, newest first, then the damaged ones, then what other accounts have in the system's
    stores; `test` signs with each key of this account's. Takes no lock but the TPM's, and writes nothing. Raises
    StoreUnwritable."""
    entries = {entry.encoded: entry for entry in machine.store.platform.entries()}
    for item in machine.store.all_installed():
        try:
            yield _described(machine, item, entries, test)
        except KeyLost as error:
            yield DamagedCertificate(damage=error.detail, advice=error.advice)
    for entry in entries.values():
        yield _of_another(entry)


def all_work(found: Iterable[ListedCertificate | DamagedCertificate]) -> bool:
    """Whether nothing is damaged and no signing test failed."""
    return all(isinstance(item, ListedCertificate) and not item.signing_test.startswith("failed") for item in found)


def _described(
    machine: Machine, item: InstalledCertificate | KeyLost, entries: dict[bytes, StoreEntry], test: bool
) -> ListedCertificate:
    if isinstance(item, KeyLost):
        raise item
    with damage_named(item.directory):
        certificate = x509.load_pem_x509_certificate(item.certificate)
        entry = entries.pop(certificate.public_bytes(Encoding.DER), None)
        if entry is None and item.metadata.system_store:
            raise KeyLost(
                f"{certificate.subject.rfc4514_string()} (order {item.metadata.request.order_id}) is no longer in the "
                f"certificate store {item.metadata.system_store}",
                "It was taken out by another program or a person. Enroll again.",
            )
        return describe(item, _signing_test(machine, item, entry) if test else "not run", entry)


def describe(item: InstalledCertificate, signing_test: str, entry: StoreEntry | None = None) -> ListedCertificate:
    """`item` in the words of the listing; `entry` is what the system's store says of it."""
    request = item.metadata.request
    certificate = x509.load_pem_x509_certificate(item.certificate)
    return ListedCertificate(
        **_facts(certificate),
        key_container=str(item.key_path) if entry is None else entry.key_container,
        provider=request.provider if entry is None else entry.provider,
        exportable=request.exportable,
        signing_test=signing_test,
        order_id=request.order_id,
        server=request.server,
        certificate_type=request.certificate_type,
        location=item.location,
        root_trusted=item.metadata.root_trusted,
        store="" if entry is None else entry.store,
        friendly_name="" if entry is None else entry.friendly_name,
    )


def _of_another(entry: StoreEntry) -> ListedCertificate | DamagedCertificate:
    try:
        facts = _facts(x509.load_der_x509_certificate(entry.encoded))
    except ValueError as error:
        return DamagedCertificate(
            damage=f"{entry.friendly_name or entry.key_container} in {entry.store} cannot be read: {error}",
            advice="Look at it in certmgr.msc (certlm.msc for the computer's).",
        )
    return ListedCertificate(
        **facts,
        key_container=entry.key_container,
        provider=entry.provider,
        exportable=False,
        signing_test="not run: installed by another account",
        order_id="",
        server="",
        certificate_type="",
        location=entry.store,
        root_trusted=False,
        store=entry.store,
        friendly_name=entry.friendly_name,
    )


def _facts(certificate: x509.Certificate) -> dict[str, Any]:
    return {
        "serial_number": serial_hex(certificate.serial_number),
        "issuer": certificate.issuer.rfc4514_string(),
        "subject": certificate.subject.rfc4514_string(),
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "sha1_hash": certificate.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 an identifier, as certutil shows it
    }


def _signing_test(machine: Machine, item: InstalledCertificate, entry: StoreEntry | None) -> str:
    """By the system's store where there is one, as other programs sign; else by the agent's own key store."""
    try:
        if entry is None:
            sign_with_stored(item, machine.keys, probe())
        else:
            machine.store.platform.test(entry)
    except AgentBusy as error:
        return f"not run: {error.detail}"
    except AgentError as error:
        return f"failed: {error.detail}"
    return "passed"
