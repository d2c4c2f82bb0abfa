"""For each check of the judge a sample that only this check stops."""

from __future__ import annotations

import pytest
from tests.attacks.attestation.forgeries import FORGERIES, HONEST, Forgery, table

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.attestation import Standing, assurance
from keystead_enroll.domain.attestation_checks import NOTES, Check


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
