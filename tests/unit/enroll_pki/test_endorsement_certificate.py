"""Endorsement certificates as real TPMs have them: read, and verified over the octets as they came."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st
from tests.support import software_tpm as soft
from tests.support.tpm_maker import NOW, Authority, as_oaep, ek_extensions

from keystead_enroll.domain.attestation import Standing
from keystead_enroll.domain.attestation_checks import failures
from keystead_enroll.domain.endorsement import Endorsement, EndorsementPolicy, judge_endorsement
from keystead_enroll.domain.endorsement_certificate import (
    MAX_CERTIFICATE,
    MOST_CERTIFICATES,
    Certificate,
    read_certificate,
    read_stored,
)
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.lenient_der import DerMalformed
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

ROOT = Authority.root()
CA = ROOT.authority()
EK = soft.ek(soft.rsa_key())
DER = CA.certify(EK.key)
POLICY = EndorsementPolicy([read_certificate(ROOT.der)])
FINGERPRINT = spki_sha256(EK.key.public_key())


def _judged(*stored: tuple[int, bytes], policy: EndorsementPolicy = POLICY) -> Endorsement:
    return judge_endorsement(parse_tpm2b_public(EK.public), read_stored(stored), policy, NOW)


def _long_length(der: bytes) -> bytes:
    assert der[1] == 0x82
    return der[:1] + b"\x84\0\0" + der[2:]


AWKWARD = {
    "as it should be": DER,
    "a stored certificate's prefix": b"\x10\x01\0" + len(DER).to_bytes(2) + DER,
    "zeros after it": DER + bytes(200),
    "ones after it": DER + b"\xff" * 200,
    "a length longer than needed": _long_length(DER),
    "a key for OAEP": CA.resigned(DER, as_oaep),
}


@pytest.mark.parametrize("content", AWKWARD.values(), ids=AWKWARD)
def test_an_awkward_certificate_still_chains_to_its_root(content: bytes) -> None:
    endorsement = _judged((0x01C00002, content), (0x01C00100, CA.der))
    assert failures(endorsement.certificate_findings) == ()
    assert endorsement.standing is Standing.VENDOR
    assert endorsement.tpm_names == {"manufacturer": "id:4B455953", "model": "Keystead", "version": "id:00010002"}


def test_a_key_for_oaep_is_one_that_the_usual_library_refuses() -> None:
    with pytest.raises((ValueError, UnsupportedAlgorithm)):
        x509.load_der_x509_certificate(AWKWARD["a key for OAEP"]).public_key()


def test_a_chain_over_several_indices_is_read_as_one() -> None:
    other = Authority.root("Other", which=94).der
    text = other + CA.der
    parts = [(0x01C00102, text[1500:]), (0x01C00100, text[:700]), (0x01C00101, text[700:1500])]
    assert _judged((0x01C00002, DER), *parts).standing is Standing.VENDOR


def test_the_list_counts_where_no_manufacturer_vouches() -> None:
    listed = EndorsementPolicy(listed=frozenset({FINGERPRINT}))
    assert _judged((0x01C00002, DER), policy=listed).standing is Standing.LISTED
    assert _judged(policy=EndorsementPolicy()).standing is Standing.UNKNOWN
    assert _judged().fingerprint == FINGERPRINT


def test_a_key_that_is_refused_is_refused_whoever_vouches() -> None:
    denied = EndorsementPolicy(POLICY.roots, frozenset({FINGERPRINT}), frozenset({FINGERPRINT}))
    endorsement = _judged((0x01C00002, DER), (0x01C00100, CA.der), policy=denied)
    assert [finding.code for finding in failures(endorsement.findings)] == ["endorsement_key.not_denied.failed"]


def test_a_certificate_without_extended_key_usage_counts_if_it_names_a_manufacturer() -> None:
    def without(names: int) -> bytes:
        kept = [
            pair
            for pair in ek_extensions("key_encipherment", names=names)
            if not isinstance(pair[0], x509.ExtendedKeyUsage)
        ]
        return CA.certify(EK.key, kept)

    assert _judged((0x01C00002, without(1)), (0x01C00100, CA.der)).standing is Standing.VENDOR
    assert _judged((0x01C00002, without(0)), (0x01C00100, CA.der)).standing is Standing.UNKNOWN


def test_one_changed_octet_of_what_is_signed_breaks_the_chain() -> None:
    signed = DER.index(b"Keystead")
    changed = DER[:signed] + b"k" + DER[signed + 1 :]
    assert read_certificate(changed).tpm_names["model"] == "keystead"
    assert _judged((0x01C00002, changed), (0x01C00100, CA.der)).standing is Standing.UNKNOWN


def test_no_more_certificates_are_read_than_a_tpm_holds() -> None:
    assert len(read_stored([(0, DER * (MOST_CERTIFICATES + 1))])) == MOST_CERTIFICATES


@pytest.mark.parametrize("der", [b"", b"\x30", DER + b"\0", b"\x30\x80" + DER[2:], bytes(MAX_CERTIFICATE + 1)])
def test_what_is_no_certificate_is_malformed(der: bytes) -> None:
    with pytest.raises(DerMalformed):
        read_certificate(der)


def test_a_certificate_cut_anywhere_is_malformed() -> None:
    for length in range(len(DER)):
        with pytest.raises(DerMalformed):
            read_certificate(DER[:length])


@given(data=st.data())
def test_changed_octets_are_read_or_malformed(data: st.DataObject) -> None:
    changed = bytearray(DER)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(DER) - 1))] = data.draw(st.integers(0, 255))
    try:
        certificate: Certificate = read_certificate(bytes(changed))
    except DerMalformed:
        return
    assert certificate.raw == bytes(changed)


@given(st.binary(max_size=300), st.sampled_from([0, 0x01C00002, 0x01C00100]))
def test_any_octets_in_a_tpm_are_read_or_left_out(content: bytes, index: int) -> None:
    read_stored([(index, content), (index, b"\x30" + content)])
