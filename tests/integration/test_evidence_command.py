"""`keystead evidence verify`: the evidence of a key judged again, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.agent_server import Ca, pem
from tests.support.attesting_machine import AGES, roots_folder, text
from tests.support.evidence_samples import evidence_sample
from tests.support.tpm_maker import NOW, Authority

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.cli import main
from keystead_enroll.domain.endorsement import EndorsementPolicy
from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_again, judge_record

Verify = Callable[..., Result]
GOOD = evidence_sample()


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    def run(record: EvidenceRecord | str, *options: str) -> Result:
        file = tmp_path / "evidence.json"
        file.write_text(record if isinstance(record, str) else record.model_dump_json())
        return CliRunner().invoke(main, ("evidence", "verify", str(file), *options))

    return run


def test_good_evidence_is_told_in_words(verify: Verify) -> None:
    done = verify(GOOD)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "Level: vendor" in done.stdout
    assert "✓ It cannot be moved to another TPM (fixedTPM)." in done.stdout
    assert "· It is not on the organization's list." in done.stdout
    assert "✗" not in done.stdout


def test_programs_read_it_too(verify: Verify) -> None:
    told = json.loads(verify(GOOD, "--json").stdout)
    assert (told["level"], told["holds"], told["mistakes"]) == ("vendor", True, [])
    assert {"code": "key.name", "held": True, "text": "Key: The statement names exactly this key."} in told["findings"]


def changed(**changes: Any) -> EvidenceRecord:
    return GOOD.model_copy(update=changes)


def _activation(**changes: Any) -> EvidenceRecord:
    assert GOOD.activation is not None
    return changed(activation=GOOD.activation.model_copy(update=changes))


FORGED: dict[str, Callable[[], EvidenceRecord]] = {
    "another key": lambda: changed(public_key=evidence_sample().public_key),
    "another order": lambda: changed(purpose_id="0" * 32),
    "another nonce": lambda: changed(nonce=text(bytes(range(32)))),
    "no nonce": lambda: changed(nonce=""),
    "another TPM": lambda: changed(attestation_key=evidence_sample().attestation_key),
    "an answer that was not the secret": lambda: _activation(answer=text(bytes(32))),
    "an answer that came too late": lambda: _activation(in_time=False),
    "no activation": lambda: changed(activation=None),
    "an attestation key out of nowhere": lambda: changed(attestation_key=None),
    "a root that is another": lambda: changed(authorities=(text(Authority.root("Chips Root", which=92, **AGES).der),)),
    "a root that is none": lambda: changed(authorities=(text(b"junk"),)),
    "no root": lambda: changed(authorities=()),
    "another time": lambda: changed(judged_at=NOW.replace(year=2040)),
    "a level that it does not show": lambda: changed(level=AssuranceLevel.LISTED),
    "less than it says": lambda: changed(level=AssuranceLevel.ATTESTED),
    "a certification that was taken out": lambda: changed(
        evidence=GOOD.evidence.model_copy(update={"certification": None})
    ),
    "findings that were taken out": lambda: changed(findings=GOOD.findings[:-1]),
    "no octets": lambda: changed(evidence=GOOD.evidence.model_copy(update={"public_area": ""})),
    "a list that nobody kept": lambda: changed(denied=True),
}


@pytest.mark.parametrize("what", FORGED)
def test_evidence_that_was_changed_is_refused(verify: Verify, what: str) -> None:
    done = verify(FORGED[what]())
    assert done.exit_code == 3, done.output
    assert "error: " in done.stderr


def test_an_attestation_key_whose_tpm_did_not_answer_vouches_for_nothing() -> None:
    judged = judge_again(changed(activation=None)).record
    assert [finding.code for finding in judged.failures] == ["key.signer_known.failed"]
    assert judged.level is None


def test_a_certificate_for_another_key_is_told(verify: Verify) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    done = verify(changed(certificate_pem=pem(Ca().issue(key.public_key()))))
    assert (done.exit_code, "for another key" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    "unreadable", ["no certificate", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"]
)
def test_a_certificate_that_cannot_be_read_is_told(verify: Verify, unreadable: str) -> None:
    done = verify(changed(certificate_pem=unreadable))
    assert (done.exit_code, "cannot be read" in done.stdout) == (3, True)


def test_a_forged_file_writes_no_verdict_of_its_own(verify: Verify) -> None:
    verdict = "0\x1b[2J\nLevel: vendor\n"
    key = ec.generate_private_key(ec.SECP256R1())
    done = verify(changed(purpose_id=verdict, certificate_pem=pem(Ca().issue(key.public_key(), subject=verdict))))
    assert ("\x1b" in done.stdout, "\nLevel: vendor" in done.stdout, done.exit_code) == (False, False, 3)
    stray = verify(GOOD.model_dump_json().replace('"revoked":{}', '"revoked":{"\\u001b[2J":0}'))
    assert (stray.exit_code, "\x1b" in stray.stderr) == (2, False)


def test_who_trusts_nobody_s_root_brings_their_own(verify: Verify, tmp_path: Path) -> None:
    mine = roots_folder(tmp_path / "mine")
    assert verify(GOOD, "--roots", str(mine)).exit_code == 0
    others = roots_folder(tmp_path / "others", Authority.root("Chips Root", which=92, **AGES))
    done = verify(GOOD, "--roots", str(others))
    assert (done.exit_code, "shows “attested”" in done.stderr) == (3, True)


def test_less_than_is_wanted_is_refused(verify: Verify) -> None:
    roots = EndorsementPolicy()
    attested = judge_record(GOOD, roots).record
    assert verify(attested).exit_code == 0
    assert verify(attested, "--at-least", "vendor").exit_code == 3


@pytest.mark.parametrize("content", ["", "{", "{}", "null", '{"format": "keystead-evidence-9"}', "\0"])
def test_what_is_no_evidence_is_told(verify: Verify, content: str) -> None:
    done = verify(content)
    assert (done.exit_code, "is no evidence" in done.stderr) == (2, True)


def test_a_file_that_is_not_there_is_told() -> None:
    done = CliRunner().invoke(main, ("evidence", "verify", "/nowhere/evidence.json"))
    assert (done.exit_code, "cannot be read" in done.stderr) == (2, True)
