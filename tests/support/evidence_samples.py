"""Evidence of keys, as enroll keeps it."""

from __future__ import annotations

from typing import Any

from tests.support import software_tpm as soft
from tests.support.attesting_machine import AGES, EC_P256_CERTIFICATE, MAKER, spki, text
from tests.support.software_tpm import SoftwareTpm
from tests.support.tpm_maker import NOW

from keystead_contracts.agent import TpmEvidence
from keystead_contracts.attestation import (
    AttestationKey,
    EndorsementCertificate,
    KeyCertification,
    purpose_at,
    qualifying_data,
)
from keystead_enroll.domain.endorsement import EndorsementPolicy
from keystead_enroll.domain.endorsement_certificate import read_certificate
from keystead_enroll.domain.evidence_record import EvidenceRecord, SolvedChallenge, judge_record

TRUSTING = EndorsementPolicy([read_certificate(MAKER.der)])
"""Trusts MAKER."""
ORIGIN = "https://enroll.example.org"
ORDER, NONCE, SECRET = "0" * 31 + "1", bytes(32), bytes(range(32))


def evidence_sample(**changes: Any) -> EvidenceRecord:
    """Evidence of a key whose TPM's maker is MAKER, judged."""
    tpm, key = SoftwareTpm(), soft.application_key()
    data, created, created_signature = tpm.creation()
    statement, signature = tpm.certify(key, qualifying_data(NONCE, purpose_at(ORIGIN, ORDER), spki(key)))
    record = EvidenceRecord(
        origin=ORIGIN,
        purpose_id=ORDER,
        public_key=text(spki(key)),
        evidence=TpmEvidence(
            public_area=text(key.public),
            certification=KeyCertification(
                attestation_key_name=text(tpm.attestation.name), certify_info=text(statement), signature=text(signature)
            ),
        ),
        nonce=text(NONCE),
        attestation_key=AttestationKey(
            endorsement_key=text(tpm.endorsement.public),
            endorsement_certificates=(
                EndorsementCertificate(
                    content=text(MAKER.certify(tpm.endorsement.key, **AGES)), nv_index=EC_P256_CERTIFICATE
                ),
            ),
            public_area=text(tpm.attestation.public),
            creation_data=text(data),
            creation_attestation=text(created),
            creation_signature=text(created_signature),
        ),
        activation=SolvedChallenge(
            challenge_id="0" * 32,
            endorsement_name=text(tpm.endorsement.name),
            attestation_name=text(tpm.attestation.name),
            secret=text(SECRET),
            answer=text(SECRET),
            in_time=True,
        ),
        judged_at=NOW,
    )
    return judge_record(record.model_copy(update=changes), TRUSTING).record
