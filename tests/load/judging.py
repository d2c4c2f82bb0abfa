"""What it costs to judge the evidence of one enrollment, from the octets that arrived."""

from __future__ import annotations

import time

from tests.attacks.attestation.forgeries import EK, LAST, STRICT, qualified
from tests.support import software_tpm as soft
from tests.support.evidence_samples import TRUSTING, evidence_sample

from keystead_enroll.domain.attestation import CertifiedKey, Question, judge_certification
from keystead_enroll.domain.attestation_checks import failures
from keystead_enroll.domain.evidence_record import judge_record
from keystead_enroll.domain.tpm_attest import parse_signature, parse_tpm2b_attest
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

KEYS: dict[str, tuple[soft.SigningKey | None, soft.SigningKey | None]] = {
    "P-256": (None, None),
    "RSA 2048": (soft.rsa_key(2048, 70), soft.rsa_key(2048, 71)),
}


def whole_judging_times(runs: int = 200) -> list[float]:
    """The same for all that an order keeps: the key, the attestation key, the endorsement key and its certificate."""
    record, times = evidence_sample(), []
    for _ in range(runs):
        started = time.process_time()
        if judge_record(record, TRUSTING).record.level is None:
            raise RuntimeError("what was to be measured is refused")
        times.append((time.process_time() - started) * 1000)
    return times


def judging_times(kind: str, runs: int = 200) -> list[float]:
    """Milliseconds of CPU for each of `runs` judgements."""
    attesting, application = KEYS[kind]
    tpm, key = soft.SoftwareTpm(EK, soft.ak(attesting)), soft.application_key(application)
    attest, signature = tpm.certify(key, qualified(key))
    known = parse_tpm2b_public(tpm.attestation.public)
    times = []
    for _ in range(runs):
        started = time.process_time()
        certified = CertifiedKey(parse_tpm2b_public(key.public), parse_tpm2b_attest(attest), parse_signature(signature))
        question, request_key = Question(qualified(key), open=True), key.key.public_key()
        if failures(judge_certification(certified, known, question, request_key, STRICT, LAST)):
            raise RuntimeError("what was to be measured is refused")
        times.append((time.process_time() - started) * 1000)
    return times
