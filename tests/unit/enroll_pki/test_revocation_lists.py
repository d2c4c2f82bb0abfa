"""Revocation lists of manufacturers, and whom they are believed from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from tests.integration.test_evidence_command import GOOD
from tests.support import tpm_maker
from tests.support.attesting_machine import MAKER
from tests.support.software_tpm import SoftwareTpm
from tests.support.tpm_maker import NOW, Authority, authority_extensions, replaced

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.attestation import Standing
from keystead_enroll.domain.attestation_evidence import read_identity
from keystead_enroll.domain.endorsement import EkRoots, EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import read_certificate
from keystead_enroll.domain.evidence_record import judge_again, judge_record
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.lenient_der import DerMalformed
from keystead_enroll.domain.revocation_lists import read_revocation_list, revoked_by
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

ROOT = Authority.root()
CA = ROOT.authority()
FAKE = Authority.root("Self-made", which=92)
EK = SoftwareTpm().endorsement


def test_a_list_says_which_serial_numbers_are_taken_back() -> None:
    read = read_revocation_list(CA.revoked(1, 2**158))
    assert read.serials == {1, 2**158}
    assert read.is_signed_by(read_certificate(CA.der))
    assert read.this_update < NOW
    assert read.next_update is not None
    assert read.next_update > NOW


@pytest.mark.parametrize(
    "other",
    [
        FAKE.der,
        replace(FAKE, name=CA.name, der=tpm_maker.subordinate(ROOT, CA.name, FAKE.key)).der,
        ROOT.authority(replaced(authority_extensions(0), tpm_maker.key_usage("key_cert_sign"))).der,
        ROOT.authority(authority_extensions(None, False)).der,
    ],
    ids=["another name", "another key", "may not sign lists", "no authority"],
)
def test_a_list_is_believed_from_its_issuer_alone(other: bytes) -> None:
    assert not read_revocation_list(CA.revoked(1)).is_signed_by(read_certificate(other))


def test_a_list_that_was_changed_is_believed_from_nobody() -> None:
    changed = CA.revoked(0x1234567).replace(bytes.fromhex("01234567"), bytes.fromhex("01234568"))
    assert not read_revocation_list(changed).is_signed_by(read_certificate(CA.der))


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(None, None, False, False, None, True, False),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"),
    ],
    ids=["changes alone", "of other authorities", "something critical"],
)
def test_a_list_that_says_something_else_than_it_seems_is_not_read(extension: x509.ExtensionType) -> None:
    with pytest.raises(DerMalformed):
        read_revocation_list(CA.revoked(1, extension=extension))


@pytest.mark.parametrize("cut", range(0, 370, 7))
def test_a_list_that_is_cut_is_not_read(cut: int) -> None:
    with pytest.raises(DerMalformed):
        read_revocation_list(CA.revoked(1)[:cut])


def test_a_serial_number_is_the_same_in_a_certificate_and_in_a_list_though_its_first_bit_is_set() -> None:
    """Some certificates lack the zero before it."""
    bare = CA.revoked(0x11234567).replace(bytes.fromhex("020411234567"), bytes.fromhex("020491234567"))
    assert read_revocation_list(bare).serials == {0x91234567}


def test_a_revoked_certificate_vouches_for_nothing_and_another_for_the_same_key_does() -> None:
    key = parse_tpm2b_public(EK.public)
    old, new, ca = (read_certificate(der) for der in (CA.certify(EK.key), CA.certify(EK.key), CA.der))
    revoked = revoked_by([(read_revocation_list(CA.revoked(old.serial)), ca)])
    policy = EndorsementPolicy([read_certificate(ROOT.der)], intermediates=[ca], revoked=revoked)
    alone = judge_endorsement(key, [old], policy, NOW)
    assert alone.standing is Standing.UNKNOWN
    assert alone.revoked == {spki_sha256(CA.key.public_key()): {old.serial}}
    listed = replace(policy, listed=frozenset({spki_sha256(key.public_key)}))
    assert judge_endorsement(key, [old], listed, NOW).standing is Standing.LISTED
    assert judge_endorsement(key, [old, new], policy, NOW).standing is Standing.VENDOR


def test_a_list_of_one_authority_says_nothing_of_another_s_certificates() -> None:
    key, own = parse_tpm2b_public(EK.public), read_certificate(CA.certify(EK.key))
    revoked = revoked_by([(read_revocation_list(ROOT.revoked(own.serial)), read_certificate(ROOT.der))])
    policy = EndorsementPolicy([read_certificate(ROOT.der)], intermediates=[read_certificate(CA.der)], revoked=revoked)
    assert judge_endorsement(key, [own], policy, NOW).standing is Standing.VENDOR


def test_evidence_says_itself_that_its_certificate_was_revoked_when_it_was_judged() -> None:
    shown = GOOD.attestation_key
    assert shown is not None
    (own,) = read_identity(shown).certificates
    maker = read_certificate(MAKER.der)
    revoked = revoked_by([(read_revocation_list(MAKER.revoked(own.serial)), maker)])
    record = judge_record(GOOD, EndorsementPolicy([maker], revoked=revoked)).record
    assert (GOOD.level, record.level) == (AssuranceLevel.VENDOR, AssuranceLevel.ATTESTED)
    again = judge_again(type(record).model_validate_json(record.model_dump_json())).record
    assert (again.level, again.findings) == (record.level, record.findings)
    assert "certificate.not_revoked.failed" in [each.code for each in again.findings]


def test_evidence_is_judged_again_by_roots_that_are_trusted_and_what_they_revoked_since() -> None:
    shown = GOOD.attestation_key
    assert shown is not None
    (own,) = read_identity(shown).certificates
    maker = read_certificate(MAKER.der)
    revoked = revoked_by([(read_revocation_list(MAKER.revoked(own.serial)), maker)])
    levels = [
        judge_again(GOOD, roots).record.level
        for roots in (EkRoots((maker,)), EkRoots((maker,), revoked=revoked), EkRoots((), (maker,)), EkRoots())
    ]
    attested = AssuranceLevel.ATTESTED
    assert levels == [AssuranceLevel.VENDOR, attested, attested, attested]
