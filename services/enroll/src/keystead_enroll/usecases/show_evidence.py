"""Show why it is believed, or not, that the key of an order is in a TPM; and hand the evidence out, to be judged again
elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.attestation_checks import Subject
from keystead_enroll.domain.attestation_evidence import endorsement_fingerprint, read_identity
from keystead_enroll.domain.certificates import pem_from_der
from keystead_enroll.domain.endorsement_certificate import read_certificate
from keystead_enroll.domain.evidence_record import EvidenceRecord, StoredFinding, findings_in
from keystead_enroll.domain.keys import same_key
from keystead_enroll.domain.orders import Device, Order
from keystead_enroll.domain.tpm_reader import decoded
from keystead_enroll.ports import Transaction


class Mark(StrEnum):
    """held: it speaks for the key. missing: it does not, and refuses nothing. failed: it was refused for it."""

    HELD = "held"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True)
class EvidenceLine:
    """One thing that was checked. `text` is in words that can be said in another language, `code` for programs."""

    code: str
    mark: Mark
    text: str


@dataclass(frozen=True)
class EvidenceGroup:
    """What was checked of one thing: the key, the attestation key, the endorsement key, its certificate."""

    subject: str
    lines: tuple[EvidenceLine, ...]


@dataclass(frozen=True)
class Authority:
    """A certificate above the endorsement certificate; `sha256` is its fingerprint, hex."""

    name: str
    sha256: str


@dataclass(frozen=True)
class ShownTpm:
    """Which TPM it was. `sha256` is that of its endorsement key; the names are what its certificate calls it, "" where
    it does not; `authorities` lead to the trusted root, which is the last."""

    sha256: str
    manufacturer: str
    model: str
    version: str
    authorities: tuple[Authority, ...]
    listed: bool


@dataclass(frozen=True)
class ShownEvidence:
    """Why it is believed that a key is in a TPM. `level` is None if the evidence was refused; `tpm` None if none showed
    itself; `complete`: whether the evidence was kept and can be judged again."""

    level: AssuranceLevel | None
    judged_at: datetime | None
    groups: tuple[EvidenceGroup, ...]
    tpm: ShownTpm | None
    complete: bool


def show_evidence(tx: Transaction, order: Order) -> ShownEvidence | None:
    """What there is for the key of `order`; None before it has shown one."""
    kept = tx.evidence_of(order.id)
    if kept is not None:
        return _shown(EvidenceRecord.model_validate(kept.record))
    if order.evidence is None:
        return None
    reasons = order.evidence.get("reasons")
    told = findings_in(reasons if isinstance(reasons, list) else None)
    return ShownEvidence(order.assurance, None, _groups(told), None, complete=False)


def show_device_evidence(tx: Transaction, device: Device) -> ShownEvidence | None:
    """What there is for the key of a device; None if its TPM proved nothing."""
    keys = tx.attestation_keys(device.recipient)
    return _shown(EvidenceRecord.model_validate(keys[0].record)) if keys else None


def evidence_file(tx: Transaction, order: Order) -> EvidenceRecord:
    """The evidence of an order's key, with the certificate if one was issued. Raises ThingUnknown if none was kept."""
    kept = tx.evidence_of(order.id)
    if kept is None:
        raise ThingUnknown(Words("evidence"))
    certificate = tx.certificate_of(order.id)
    pem = pem_from_der(certificate.der) if certificate else ""
    return EvidenceRecord.model_validate(kept.record).model_copy(update={"certificate_pem": pem})


def _shown(record: EvidenceRecord) -> ShownEvidence:
    return ShownEvidence(record.level, record.judged_at, _groups(record.findings), _tpm(record), complete=True)


def _groups(found: Sequence[StoredFinding]) -> tuple[EvidenceGroup, ...]:
    groups: dict[str, list[EvidenceLine]] = {}
    for each in found:
        finding = each.finding
        subject = finding.subject if finding else Subject.KEY
        text = finding.check.value[0 if finding.held else 1] if finding else each.sentence
        groups.setdefault(subject.value, []).append(EvidenceLine(each.code, _mark(each), text))
    return tuple(EvidenceGroup(subject, tuple(lines)) for subject, lines in groups.items())


def _mark(found: StoredFinding) -> Mark:
    finding = found.finding
    if found.held:
        return Mark.HELD
    refused = finding is not None and finding.refuses and finding.subject is not Subject.CERTIFICATE
    return Mark.FAILED if refused else Mark.MISSING


def _tpm(record: EvidenceRecord) -> ShownTpm | None:
    if record.attestation_key is None:
        return None
    identity = read_identity(record.attestation_key)
    above = read_certificate(decoded(record.authorities[0], "certificate")) if record.authorities else None
    own = [each for each in identity.certificates if same_key(each.public_key, identity.endorsement_key.public_key)]
    vouched = [each for each in own if above and each.is_signed_by(above)]
    names = (vouched or own)[0].tpm_names if own else {}
    return ShownTpm(
        sha256=endorsement_fingerprint(record.attestation_key),
        manufacturer=names.get("manufacturer", ""),
        model=names.get("model", ""),
        version=names.get("version", ""),
        authorities=tuple(_authority(decoded(each, "certificate")) for each in record.authorities),
        listed=record.listed,
    )


def _authority(der: bytes) -> Authority:
    try:
        name = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    except ValueError:  # one of those that are not strict DER
        name = ""
    return Authority(name, hashlib.sha256(der).hexdigest())
