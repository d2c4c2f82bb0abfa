import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.enroll_pki.samples import GOOD_ATTRIBUTES, evidence, key_of, tpm2b, tpmt_public

from keystead_contracts.agent import SoftwareEvidence, TpmEvidence
from keystead_contracts.base import AssuranceLevel, KeyAlgorithm
from keystead_enroll.domain.errors import EvidenceMalformed, EvidenceMismatch, EvidenceRefused
from keystead_enroll.domain.tpm_public import Judgement, ObjectAttributes, Reason, judge, parse_tpm2b_public

KEY = key_of(KeyAlgorithm.EC_P256).public_key()
AREA = tpmt_public(KEY)
HARMLESS = (
    ObjectAttributes.ST_CLEAR
    | ObjectAttributes.USER_WITH_AUTH
    | ObjectAttributes.ADMIN_WITH_POLICY
    | ObjectAttributes.FIRMWARE_LIMITED
    | ObjectAttributes.SVN_LIMITED
    | ObjectAttributes.NO_DA
    | ObjectAttributes.DECRYPT
    | ObjectAttributes.X509_SIGN
)
"""Attributes that say nothing about whether the key can leave the TPM."""


def _judge(area: bytes) -> Judgement:
    return judge(evidence(tpm2b(area)), KEY)


def test_a_software_key_is_called_one() -> None:
    assert judge(SoftwareEvidence(), KEY) == Judgement(AssuranceLevel.SOFTWARE, (Reason.KEY_IS_A_FILE,))


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_the_public_area_of_the_request_s_key_is_a_claim(algorithm: KeyAlgorithm) -> None:
    key = key_of(algorithm).public_key()
    judgement = judge(evidence(tpm2b(tpmt_public(key))), key)
    assert judgement.level is AssuranceLevel.CLAIMED
    assert judgement.reasons[0] is Reason.PUBLIC_AREA_HAS_CSR_KEY
    assert judgement.reasons[-1] is Reason.NOT_ATTESTED
    assert all(reason.sentence.endswith(".") for reason in judgement.reasons)


@pytest.mark.parametrize("bit", range(32))
def test_each_attribute_bit_that_matters_is_judged(bit: int) -> None:
    area = tpmt_public(KEY, attributes=GOOD_ATTRIBUTES ^ 1 << bit)
    if 1 << bit & HARMLESS:
        assert _judge(area).level is AssuranceLevel.CLAIMED
    elif 1 << bit in list(ObjectAttributes):
        with pytest.raises(EvidenceMismatch, match="bound to the TPM"):
            _judge(area)
    else:
        with pytest.raises(EvidenceMalformed, match="reserved"):
            _judge(area)


def test_another_key_s_public_area_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(EvidenceMismatch, match="another key"):
        _judge(tpmt_public(other))


def test_an_rsa_exponent_of_zero_means_65537_and_any_other_is_another_key() -> None:
    key = key_of(KeyAlgorithm.RSA_2048).public_key()
    assert judge(evidence(tpm2b(tpmt_public(key, exponent=65537))), key).level is AssuranceLevel.CLAIMED
    with pytest.raises(EvidenceMismatch):
        judge(evidence(tpm2b(tpmt_public(key, exponent=3))), key)


@pytest.mark.parametrize(
    "public_area",
    [
        b"",
        tpm2b(b""),
        tpm2b(AREA) + b"\x00",
        tpm2b(AREA + b"\x00"),
        AREA,
        tpm2b(AREA)[:-1],
        tpm2b(b"\x00\x08" + AREA[2:]),
        tpm2b(tpmt_public(KEY, name_alg=0x0004)),
        tpm2b(tpmt_public(KEY, name_alg=0x0010)),
        tpm2b(tpmt_public(KEY, policy=b"\x00" * 20)),
        tpm2b(tpmt_public(KEY, curve=0x0005)),
        tpm2b(tpmt_public(KEY, curve=0x0004)),
        tpm2b(AREA.replace(bytes.fromhex("0018000b"), bytes.fromhex("0014000b"))),
        tpm2b(AREA[:-1] + bytes([AREA[-1] ^ 1])),
        b"\xff" * 4096,
    ],
    ids=["empty", "empty structure", "octet after", "octet inside", "no size", "cut", "symmetric object", "SHA-1 name",
         "no name", "policy of another size", "P-521", "P-384 with a P-256 point", "RSA scheme", "point off the curve",
         "too large"],
)  # fmt: skip
def test_a_public_area_that_is_not_exactly_one_structure_is_malformed(public_area: bytes) -> None:
    with pytest.raises(EvidenceMalformed):
        judge(evidence(public_area), KEY)


def test_an_rsa_modulus_shorter_than_its_parameters_say_is_malformed() -> None:
    area = tpmt_public(key_of(KeyAlgorithm.RSA_2048).public_key())
    lying = area.replace((2048).to_bytes(2) + bytes(4), (3072).to_bytes(2) + bytes(4))
    assert lying != area
    with pytest.raises(EvidenceMalformed, match="size"):
        parse_tpm2b_public(tpm2b(lying))


def test_text_that_is_not_base64_is_malformed() -> None:
    with pytest.raises(EvidenceMalformed, match="base64"):
        judge(TpmEvidence(public_area="QUJDA"), KEY)


@given(st.integers(0, len(AREA) + 1))
def test_every_shortened_public_area_is_malformed(length: int) -> None:
    with pytest.raises(EvidenceMalformed):
        judge(evidence(tpm2b(AREA)[:length]), KEY)


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_but_a_refusal(data: bytes) -> None:
    with pytest.raises(EvidenceRefused):
        judge(evidence(tpm2b(data)), KEY)


@given(position=st.integers(0, len(AREA) - 1), value=st.integers(1, 255))
def test_no_changed_octet_raises_the_level(position: int, value: int) -> None:
    forged = bytearray(AREA)
    forged[position] ^= value
    try:
        assert _judge(bytes(forged)).level is AssuranceLevel.CLAIMED
    except EvidenceRefused:
        return
    # What passes still has the request's key (the last octets) and every attribute that binds it.
    assert forged[-68:] == AREA[-68:]
    assert int.from_bytes(forged[4:8]) & ~HARMLESS == GOOD_ATTRIBUTES & ~HARMLESS


@pytest.mark.parametrize(("name_alg", "hash_name"), [(0x000B, "sha256"), (0x000C, "sha384"), (0x000D, "sha512")])
def test_creation_data_must_have_the_digest_that_came_with_it(name_alg: int, hash_name: str) -> None:
    area, data = tpm2b(tpmt_public(KEY, name_alg=name_alg)), b"creation data"
    digest = hashlib.new(hash_name, data).digest()
    judgement = judge(evidence(area, tpm2b(data), tpm2b(digest)), KEY)
    assert Reason.CREATION_DATA_CONSISTENT in judgement.reasons
    with pytest.raises(EvidenceMismatch):
        judge(evidence(area, tpm2b(b"other"), tpm2b(digest)), KEY)
    for half in (
        evidence(area, tpm2b(data)),
        evidence(area, b"", tpm2b(digest)),
        evidence(area, tpm2b(data) + b"x", digest),
    ):
        with pytest.raises(EvidenceMalformed):
            judge(half, KEY)


def test_the_name_is_the_name_algorithm_and_the_digest_of_the_area() -> None:
    public = parse_tpm2b_public(tpm2b(AREA))
    assert public.name == b"\x00\x0b" + hashlib.sha256(AREA).digest()
    assert public.attributes == GOOD_ATTRIBUTES
    assert base64.b64encode(public.auth_policy) == b""
