"""The evidence of one key as it is kept: all that the judge needs, so that anybody can judge it again, anywhere.

What is judged is the record itself, when the evidence comes as when it is looked at years later.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import Field

from keystead_contracts.agent import Evidence, TpmEvidence
from keystead_contracts.attestation import AttestationKey, ChallengeId, purpose_at, qualifying_data
from keystead_contracts.base import AssuranceLevel, AwareDatetime, Base64, Message, PlainText
from keystead_contracts.words import Words
from keystead_enroll.domain.attestation import (
    AttestationPolicy,
    Challenge,
    Question,
    assurance,
    judge_activation,
    judge_attestation_key,
    judge_certification,
)
from keystead_enroll.domain.attestation_checks import Finding, Findings, Subject
from keystead_enroll.domain.attestation_evidence import (
    TpmIdentity,
    endorsement_fingerprint,
    read_certification,
    read_identity,
)
from keystead_enroll.domain.endorsement import EkRoots, Endorsement, EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import Certificate, read_certificate
from keystead_enroll.domain.errors import EvidenceMalformed
from keystead_enroll.domain.keys import PublicKey, supported_key
from keystead_enroll.domain.lenient_der import DerMalformed
from keystead_enroll.domain.revocation_lists import Revoked, together
from keystead_enroll.domain.tpm_attest import Clock
from keystead_enroll.domain.tpm_public import judge
from keystead_enroll.domain.tpm_reader import decoded

NOT_ATTESTED = "not_attested"


class SolvedChallenge(Message):
    """A secret that was sealed to the keys of these Names, and what came back. `in_time`: for the first time, and
    before it was too late."""

    challenge_id: ChallengeId
    endorsement_name: Base64
    attestation_name: Base64
    secret: Base64
    answer: Base64
    in_time: bool


class ClockSeen(Message):
    """A TPM's clock, as `tpm_attest.Clock`."""

    milliseconds: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware: int


class StoredFinding(Message):
    """One thing that was found: `code` for programs, `text` in English for people."""

    code: Annotated[str, Field(max_length=64)]
    text: Annotated[str, Field(max_length=2000)]

    @property
    def finding(self) -> Finding | None:
        """What was found; None if it is none of the judge's."""
        return Finding.of_code(self.code)

    @property
    def held(self) -> bool:
        """Whether it speaks for the key."""
        return self.code != NOT_ATTESTED and not self.code.endswith(".failed")

    @property
    def sentence(self) -> str:
        """For people, in words that can be said in another language."""
        finding = self.finding
        return finding.sentence if finding else Words(self.text)


def findings_in(reasons: Sequence[Mapping[str, object]] | None) -> list[StoredFinding]:
    """The findings that an order or a certificate has."""
    return [StoredFinding(code=str(each.get("code", "")), text=str(each.get("text", ""))) for each in reasons or ()]


class EvidenceRecord(Message):
    """What was sent and asked of one key, by what it was judged, and what came of it."""

    format: Literal["keystead-evidence-1"] = "keystead-evidence-1"
    origin: Annotated[PlainText, Field(max_length=300)]
    """The server's: see `attestation.purpose_at`."""
    purpose_id: str
    """The order's id, or for a device key the challenge's."""
    public_key: Base64
    """The key's SubjectPublicKeyInfo in DER."""
    evidence: Evidence
    nonce: Base64 = ""
    """What the certification had to be fresh by; empty if nothing was asked."""
    attestation_key: AttestationKey | None = None
    activation: SolvedChallenge | None = None
    last_clock: ClockSeen | None = None
    """That of the attestation key's last statement."""
    allow_sha1: bool = False
    listed: bool = False
    denied: bool = False
    authorities: tuple[Base64, ...] = ()
    """The certificates above the endorsement certificate in its chain, in DER; the last one is the trusted root."""
    revoked: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Of these, and of the endorsement certificate: SHA-256 of an authority's key → serial numbers, hex, of what it
    took back."""
    judged_at: AwareDatetime
    level: AssuranceLevel | None = None
    """What came of it; None if it was refused."""
    findings: tuple[StoredFinding, ...] = ()
    certificate_pem: str = ""
    """The certificate that was issued for the key."""

    @property
    def failures(self) -> Findings:
        """What refused it. What does not hold of a certificate only means that no manufacturer vouches."""
        found = (each.finding for each in self.findings if each.finding)
        return tuple(each for each in found if each.refuses and each.subject is not Subject.CERTIFICATE)


@dataclass(frozen=True)
class Judged:
    """A record with the judgement in it, and what else was learnt of the TPM."""

    record: EvidenceRecord
    endorsement: Endorsement | None = None
    clock: Clock | None = None


def judge_record(record: EvidenceRecord, policy: EndorsementPolicy) -> Judged:
    """Judges what `record` holds under `policy`, at its own time. Raises EvidenceMalformed, and for evidence without a
    certification EvidenceMismatch."""
    key = public_key_of(record)
    evidence = record.evidence
    if not isinstance(evidence, TpmEvidence) or evidence.certification is None:
        judgement = judge(evidence, key)
        told = tuple(StoredFinding(code=r.name.lower(), text=r.sentence) for r in judgement.reasons)
        return Judged(record.model_copy(update={"level": judgement.level, "findings": told}))
    certified, signer_name = read_certification(evidence.public_area, evidence.certification)
    identity = read_identity(record.attestation_key) if record.attestation_key else None
    rules = AttestationPolicy(allow_sha1=record.allow_sha1)
    signer = identity.attestation_key.key if identity and record.activation else None
    findings = judge_certification(
        certified,
        signer if signer and signer.name == signer_name else None,
        Question(_qualifying_data(record), open=True),
        key,
        rules,
        Clock(**record.last_clock.model_dump()) if record.last_clock else None,
    )
    endorsement = None
    if identity is not None:
        findings += judge_attestation_key(identity.attestation_key, rules)
        if record.activation is not None:
            findings += _judge_activation(record.activation, identity)
        endorsement = judge_endorsement(identity.endorsement_key, identity.certificates, policy, record.judged_at)
    return Judged(_with_judgement(record, findings, endorsement, policy), endorsement, certified.attest.clock)


def judge_again(record: EvidenceRecord, roots: EkRoots | None = None) -> Judged:
    """The same by what the record itself says of lists and, unless others are trusted, of roots. Raises as
    `judge_record`."""
    chain = tuple(_authority(each) for each in record.authorities)
    if roots is None:
        roots = EkRoots(chain[-1:], chain[:-1])
    shown = record.attestation_key
    known = frozenset({endorsement_fingerprint(shown)} if shown else ())
    return judge_record(
        record,
        EndorsementPolicy(
            roots=roots.roots,
            intermediates=(*chain, *roots.intermediates),
            listed=known if record.listed else frozenset(),
            denied=known if record.denied else frozenset(),
            revoked=together([*_revoked(record).items(), *roots.revoked.items()]),
        ),
    )


def public_key_of(record: EvidenceRecord) -> PublicKey:
    """The key that the evidence is about. Raises EvidenceMalformed, KeyAlgorithmNotAllowed."""
    try:
        return supported_key(load_der_public_key(decoded(record.public_key, "public key")))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise EvidenceMalformed("the public key cannot be read") from None


def _with_judgement(
    record: EvidenceRecord, findings: Findings, endorsement: Endorsement | None, policy: EndorsementPolicy
) -> EvidenceRecord:
    found: dict[str, object] = {}
    level = None
    if endorsement is not None:
        # a certificate that does not hold refuses nothing: it is no part of what `assurance` looks at
        level = assurance(findings + endorsement.findings, endorsement.standing)
        findings += endorsement.findings + endorsement.certificate_findings
        found = {
            "listed": endorsement.fingerprint in policy.listed,
            "denied": endorsement.fingerprint in policy.denied,
            "authorities": tuple(base64.b64encode(each.raw).decode() for each in endorsement.chain[1:]),
            "revoked": {
                issuer: tuple(f"{serial:x}" for serial in sorted(serials))
                for issuer, serials in endorsement.revoked.items()
            },
        }
    return record.model_copy(update={**found, "level": level, "findings": stored(findings)})


def stored(findings: Sequence[Finding]) -> tuple[StoredFinding, ...]:
    """The findings as they are kept."""
    return tuple(_stored(finding) for finding in findings)


@cache
def _stored(finding: Finding) -> StoredFinding:
    return StoredFinding(code=finding.code, text=finding.sentence)


def _judge_activation(solved: SolvedChallenge, identity: TpmIdentity) -> Findings:
    challenge = Challenge(
        decoded(solved.secret, "secret"),
        decoded(solved.endorsement_name, "endorsement key's Name"),
        decoded(solved.attestation_name, "attestation key's Name"),
        solved.in_time,
    )
    answer = decoded(solved.answer, "answer")
    return judge_activation(challenge, answer, identity.endorsement_key, identity.attestation_key.key)


def _qualifying_data(record: EvidenceRecord) -> bytes:
    try:
        asked = purpose_at(record.origin, record.purpose_id)
        return qualifying_data(decoded(record.nonce, "nonce"), asked, decoded(record.public_key, "key"))
    except ValueError:
        raise EvidenceMalformed("the nonce is none") from None


def _revoked(record: EvidenceRecord) -> Revoked:
    try:
        return {issuer: frozenset(int(serial, 16) for serial in serials) for issuer, serials in record.revoked.items()}
    except ValueError:
        raise EvidenceMalformed("a serial number cannot be read") from None


def _authority(text: str) -> Certificate:
    try:
        return read_certificate(decoded(text, "authority's certificate"))
    except DerMalformed:
        raise EvidenceMalformed("an authority's certificate cannot be read") from None
