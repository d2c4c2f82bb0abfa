"""Judge the evidence of an order's key, with what is known of the machine that made it."""

from __future__ import annotations

import base64
from datetime import datetime

from keystead_contracts.agent import Evidence, TpmEvidence
from keystead_contracts.attestation import AttestationKey, KeyCertification
from keystead_contracts.words import Words
from keystead_enroll.domain.attestation_checks import Check, Finding, Subject
from keystead_enroll.domain.attestation_evidence import endorsement_fingerprint
from keystead_enroll.domain.attestation_state import AttestationChallenge, DeviceAttestationKey, OrderEvidence
from keystead_enroll.domain.endorsement import EkRoots, EndorsementPolicy
from keystead_enroll.domain.errors import EvidenceFailed, EvidenceMismatch
from keystead_enroll.domain.evidence_record import ClockSeen, EvidenceRecord, Judged, SolvedChallenge, judge_record
from keystead_enroll.domain.jobs import Job
from keystead_enroll.domain.keys import PublicKey, spki_der
from keystead_enroll.domain.orders import Order
from keystead_enroll.domain.tpm_attest import Clock
from keystead_enroll.domain.tpm_public import parse_tpm2b_public
from keystead_enroll.domain.tpm_reader import decoded
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.endorsement_policy import endorsement_policy

NOT_ASKED = Words("The TPM's evidence answers a question that was not asked.")


def judge_key(
    tx: Transaction,
    roots: EkRoots,
    order: Order,
    job: Job,
    evidence: Evidence,
    key: PublicKey,
    now: datetime,
    origin: str,
) -> EvidenceRecord:
    """What the evidence for an order's key is worth, kept with the order whatever came of it.

    A link's challenge that the evidence answers is used up, and an attestation key's clock is noted. Raises
    EvidenceMalformed, EvidenceMismatch; EvidenceFailed for evidence that shows no TPM, of a device whose TPM is denied.
    """
    record = EvidenceRecord(
        origin=origin,
        purpose_id=order.id,
        public_key=base64.b64encode(spki_der(key)).decode(),
        evidence=evidence,
        judged_at=now,
    )
    known = None
    if isinstance(evidence, TpmEvidence) and evidence.certification is not None:
        record = record.model_copy(update={"nonce": _asked(job)})
        known = tx.attestation_key(job.recipient, _name(evidence.certification))
        record = _of_device(record, known, evidence) if _is_device(job) else _of_claim(tx, record, job, evidence, now)
    else:
        _refuse_denied(tx, roots, order.organization_id, job.recipient)
    judged = judge_record(record, _policy(tx, roots, order.organization_id, record.attestation_key))
    if known is not None and judged.record.level is not None:
        note_clock(known, judged)
    tx.add(OrderEvidence(order.id, judged.record.model_dump(mode="json"), now))
    return judged.record


def solved(challenge: AttestationChallenge, answer: str, now: datetime) -> SolvedChallenge:
    """The challenge with its answer, as evidence; the challenge is used up."""
    sent = AttestationKey.model_validate(challenge.sent)
    endorsement = parse_tpm2b_public(decoded(sent.endorsement_key, "endorsement key"))
    evidence = SolvedChallenge(
        challenge_id=challenge.id,
        endorsement_name=base64.b64encode(endorsement.name).decode(),
        attestation_name=base64.b64encode(bytes.fromhex(challenge.attestation_name)).decode(),
        secret=base64.b64encode(challenge.secret or b"").decode(),
        answer=answer,
        in_time=challenge.open(now) and bool(challenge.secret),
    )
    challenge.answered_at, challenge.secret = challenge.answered_at or now, None
    return evidence


def note_clock(key: DeviceAttestationKey, judged: Judged) -> None:
    """Remembers the clock of the attestation key's newest statement."""
    clock = judged.clock
    behind = any(each.code == "key.clock.failed" for each in judged.record.findings)
    if clock is not None and (key.clock is None or not behind):
        key.clock = _seen(clock).model_dump(mode="json")


def last_clock(key: DeviceAttestationKey | None) -> ClockSeen | None:
    """That of the attestation key's last statement."""
    return ClockSeen.model_validate(key.clock) if key and key.clock else None


def _asked(job: Job) -> str:
    """The nonce of the job, which is its single use. Raises EvidenceMismatch if there is none."""
    nonce = str(job.payload.get("attestation_nonce") or "")
    if not nonce:
        raise EvidenceMismatch(NOT_ASKED)
    return nonce


def _refuse_denied(tx: Transaction, roots: EkRoots, organization_id: str, recipient: str) -> None:
    shown = {each.ek_sha256 for each in tx.attestation_keys(recipient)}
    if shown and endorsement_policy(tx, roots, organization_id, shown).denied:
        denied = Finding(Subject.ENDORSEMENT_KEY, Check.NOT_DENIED, held=False)
        raise EvidenceFailed([denied.sentence], denied.code)


def _of_device(record: EvidenceRecord, known: DeviceAttestationKey | None, evidence: TpmEvidence) -> EvidenceRecord:
    if evidence.activation is not None:
        raise EvidenceMismatch(NOT_ASKED)
    if known is None:
        return record
    own = EvidenceRecord.model_validate(known.record)
    return record.model_copy(
        update={
            "attestation_key": own.attestation_key,
            "activation": own.activation,
            "last_clock": last_clock(known),
        }
    )


def _of_claim(
    tx: Transaction, record: EvidenceRecord, job: Job, evidence: TpmEvidence, now: datetime
) -> EvidenceRecord:
    answer = evidence.activation
    challenge = tx.challenge(answer.challenge_id) if answer else None
    if answer is None or challenge is None or challenge.recipient != job.recipient:
        return record
    return record.model_copy(
        update={
            "attestation_key": AttestationKey.model_validate(challenge.sent),
            "activation": solved(challenge, answer.secret, now),
        }
    )


def _policy(tx: Transaction, roots: EkRoots, organization_id: str, sent: AttestationKey | None) -> EndorsementPolicy:
    if sent is None:
        return EndorsementPolicy()
    return endorsement_policy(tx, roots, organization_id, [endorsement_fingerprint(sent)])


def _is_device(job: Job) -> bool:
    return job.recipient.startswith("device:")


def _name(said: KeyCertification) -> str:
    return decoded(said.attestation_key_name, "attestation key's Name").hex()


def _seen(clock: Clock) -> ClockSeen:
    return ClockSeen(
        milliseconds=clock.milliseconds,
        reset_count=clock.reset_count,
        restart_count=clock.restart_count,
        safe=clock.safe,
        firmware=clock.firmware,
    )
