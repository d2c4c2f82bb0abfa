"""Take devices' answers to their challenges: from then on their attestation keys vouch for their keys."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keystead_contracts.agent import TpmEvidence
from keystead_contracts.attestation import AttestationKey, AttestationReason, AttestationResult, ChallengeAnswer
from keystead_contracts.base import AssuranceLevel
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import THE_SERVICE
from keystead_enroll.domain.attestation_evidence import endorsement_fingerprint
from keystead_enroll.domain.attestation_state import AttestationChallenge, DeviceAttestationKey, SameMachine
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.errors import ChallengeRefused, EvidenceMismatch
from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_record
from keystead_enroll.domain.evidence_refusals import refuse_failures
from keystead_enroll.domain.keys import spki_der, supported_key
from keystead_enroll.domain.orders import Device
from keystead_enroll.metrics import count_judged
from keystead_enroll.ports import Clock, Transaction, TransactionsTogether, TransactionTogether
from keystead_enroll.usecases.endorsement_policy import endorsement_policy
from keystead_enroll.usecases.judge_key import last_clock, note_clock, solved
from keystead_enroll.usecases.same_machine import settle, take_place
from keystead_enroll.usecases.together import attempt, together
from keystead_kit.secrets import new_id

MOST_REASONS = 64
MOST_KEYS = 8
"""Attestation keys of one device; with more, the oldest vouch for nothing any more."""
WAITS = Words(
    "This computer is registered here already, as {name}. An administrator has to say that the new registration takes "
    "its place; until then it gets nothing to do."
)


@dataclass(frozen=True)
class Answering:
    """A device that answers."""

    answer: ChallengeAnswer
    trace_id: str


@dataclass(frozen=True)
class _Outcome:
    """What the device is told, and is to be stored."""

    said: AttestationResult | Refusal
    repeated: bool = False


def answer_challenges(
    transactions: TransactionsTogether,
    clock: Clock,
    roots: EkRoots,
    same_machine: SameMachine,
    origin: str,
    asked: Sequence[Answering],
) -> list[AttestationResult | Exception]:
    """What is held of each device key, from now on; the same answer again gets the same result, any other none.

    Refuses by ChallengeRefused, and by EvidenceRefused's kinds for evidence that does not hold: then the challenge is
    used up too.
    """
    now = clock.now()

    def foresee(tx: TransactionTogether, asked: Sequence[Answering]) -> None:
        ids = {each.answer.activation.challenge_id for each in asked}
        tx.foresee_challenges(ids)
        found = filter(None, map(tx.challenge, ids))
        tx.foresee_endorsements({endorsement_fingerprint(AttestationKey.model_validate(each.sent)) for each in found})

    outcomes = together(
        transactions, asked, foresee, lambda tx, each: _answer(tx, roots, same_machine, origin, each, now)
    )
    return [each if isinstance(each, Exception) else attempt(_counted, each) for each in outcomes]


def _answer(
    tx: Transaction, roots: EkRoots, same_machine: SameMachine, origin: str, asked: Answering, now: datetime
) -> _Outcome:
    answer, digest = asked.answer, _digest(asked.answer)
    challenge = tx.challenge(answer.activation.challenge_id)
    device = _device(tx, challenge)
    if challenge is None or device is None:
        raise ChallengeRefused(Words("There is no such challenge."))
    if challenge.answered_at is not None and challenge.answer_digest == digest and challenge.outcome:
        return _Outcome(_repeated(challenge.outcome), repeated=True)
    if not challenge.open(now):
        raise ChallengeRefused(Words("The challenge was answered before, or it is too old."))
    challenge.answer_digest = digest
    try:
        result = _take(tx, roots, same_machine, origin, device, challenge, answer, now)
    except Refusal as refusal:
        challenge.answered_at, challenge.secret = now, None
        challenge.outcome = {"detail": str(refusal.detail), "advice": str(refusal.advice)}
        return _Outcome(refusal)
    challenge.outcome = {"result": result.model_dump(mode="json")}
    return _Outcome(result)


def _counted(outcome: _Outcome) -> AttestationResult:
    """The result. Raises the refusal, if it is one."""
    said = outcome.said
    if isinstance(said, Refusal):
        count_judged("device", None, refused=True)
        raise said
    if not outcome.repeated:
        count_judged("device", said.level, refused=False)
    return said


def _take(
    tx: Transaction,
    roots: EkRoots,
    same_machine: SameMachine,
    origin: str,
    device: Device,
    challenge: AttestationChallenge,
    answer: ChallengeAnswer,
    now: datetime,
) -> AttestationResult:
    sent = AttestationKey.model_validate(challenge.sent)
    keys = tx.attestation_keys(device.recipient)
    known = next((each for each in keys if each.name == challenge.attestation_name), None)
    key = supported_key(load_pem_public_key(device.public_key_pem.encode()))
    policy = endorsement_policy(tx, roots, device.organization_id, [endorsement_fingerprint(sent)])
    judged = judge_record(
        EvidenceRecord(
            origin=origin,
            purpose_id=challenge.id,
            public_key=base64.b64encode(spki_der(key)).decode(),
            evidence=TpmEvidence(public_area=challenge.public_area, certification=answer.certification),
            nonce=challenge.nonce,
            attestation_key=sent,
            activation=solved(challenge, answer.activation.secret, now),
            last_clock=last_clock(known),
            judged_at=now,
        ),
        policy,
    )
    level = refuse_failures(judged.record)
    fingerprint = endorsement_fingerprint(sent)
    if any(each.ek_sha256 != fingerprint for each in keys):
        raise EvidenceMismatch(Words("The device key was shown to be in another TPM before."))
    if known is None:
        for oldest in keys[MOST_KEYS - 1 :]:
            tx.remove(oldest)
        known = DeviceAttestationKey(new_id(), device.recipient, challenge.attestation_name, fingerprint, {}, now)
        tx.add(known)
    known.record, known.activated_at = judged.record.model_dump(mode="json"), now
    note_clock(known, judged)
    reasons = [
        AttestationReason(code=each.code, text=each.sentence) for each in judged.record.findings if not each.held
    ]
    earlier = settle(tx, device, fingerprint, level, now)
    if earlier is not None and same_machine is SameMachine.REPLACE:
        take_place(tx, roots, THE_SERVICE, device, now)
    elif earlier is None:
        tx.machine_came(device)
    else:
        waits = AttestationReason(code="device.same_machine", text=Words(WAITS, name=earlier.name))
        return AttestationResult(level=AssuranceLevel.CLAIMED, reasons=(waits, *reasons[: MOST_REASONS - 1]))
    return AttestationResult(level=level, reasons=tuple(reasons[:MOST_REASONS]))


def _device(tx: Transaction, challenge: AttestationChallenge | None) -> Device | None:
    kind, _, device_id = challenge.recipient.partition(":") if challenge else ("", "", "")
    return tx.device(device_id, lock=True) if kind == "device" else None


def _digest(answer: ChallengeAnswer) -> str:
    return hashlib.sha256(json.dumps(answer.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def _repeated(outcome: dict[str, object]) -> AttestationResult:
    if "result" in outcome:
        return AttestationResult.model_validate(outcome["result"])
    raise ChallengeRefused(str(outcome.get("detail", "")), str(outcome.get("advice", "")))
