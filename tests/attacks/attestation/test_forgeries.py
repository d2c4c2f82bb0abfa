"""For each check of the judge a sample that only this check stops."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.attacks.attestation.forgeries import CA, EK, FAKE, FORGERIES, HONEST, ROOT, Forgery, certification, table
from tests.support.tpm_maker import NOW

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.attestation import Standing, assurance
from keystead_enroll.domain.attestation_checks import NOTES, Check
from keystead_enroll.domain.endorsement import MOST_SIGNATURES, EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import read_certificate
from keystead_enroll.domain.tpm_public import parse_tpm2b_public


@pytest.mark.parametrize("judged", HONEST)
def test_honest_evidence_passes_every_check(judged: str) -> None:
    findings = HONEST[judged]()
    assert [finding.code for finding in findings if not finding.held] == []
    assert assurance(findings, Standing.VENDOR) is AssuranceLevel.VENDOR


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: f"{forgery.judged}, {forgery.what}")
def test_a_forgery_fails_only_its_check(forgery: Forgery) -> None:
    findings = forgery.judge()
    failed = {finding.check for finding in findings if not finding.held}
    assert failed - ({Check.SHA1_NOT_NEEDED} if forgery.check is Check.SIGNATURE_HASH else set()) == {forgery.check}
    level = assurance(findings, Standing.VENDOR)
    assert level is (AssuranceLevel.VENDOR if forgery.check in NOTES else None)


def test_every_check_has_a_forgery() -> None:
    checks = {(judged, finding.check) for judged, honest in HONEST.items() for finding in honest()}
    covered = {(forgery.judged, forgery.check) for forgery in FORGERIES}
    assert checks - covered == set()


def test_every_reason_is_told_in_words() -> None:
    for check, sample, reason in table():
        print(f"{check:<38} {sample:<44} {reason}")
        assert reason.endswith(".")


@pytest.mark.parametrize(
    "clock",
    [
        {"milliseconds": 900},
        {"milliseconds": 0, "resets": 8, "restarts": 0},
        {"milliseconds": 0, "restarts": 2},
        {"milliseconds": 0, "resets": 6 + 2**31, "restarts": 0},
    ],
    ids=["at the same time", "after a reset", "after a restart", "counts wrap"],
)
def test_a_clock_that_went_on_is_no_roll_back(clock: dict[str, int]) -> None:
    assert [finding.code for finding in certification(**clock) if not finding.held] == []  # type: ignore[arg-type]


def test_a_chain_is_not_sought_for_ever() -> None:
    decoys = [read_certificate(replace(FAKE, name=ROOT.name).authority().der)] * MOST_SIGNATURES
    certificates = [read_certificate(der) for der in (CA.certify(EK.key), CA.der)]
    policy = EndorsementPolicy([read_certificate(ROOT.der)])
    key = parse_tpm2b_public(EK.public)
    assert judge_endorsement(key, [*certificates, *decoys], policy, NOW).standing is Standing.VENDOR
    assert judge_endorsement(key, [*decoys, *certificates], policy, NOW).standing is Standing.UNKNOWN


def test_many_certificates_of_one_key_cost_no_more_than_one() -> None:
    decoys = [read_certificate(replace(FAKE, name=ROOT.name).certify(EK.key))] * MOST_SIGNATURES
    certificates = [read_certificate(der) for der in (CA.certify(EK.key), CA.der)]
    policy = EndorsementPolicy([read_certificate(ROOT.der)])
    key = parse_tpm2b_public(EK.public)
    assert judge_endorsement(key, [*certificates, *decoys], policy, NOW).standing is Standing.VENDOR
    assert judge_endorsement(key, [*decoys, *certificates], policy, NOW).standing is Standing.UNKNOWN
