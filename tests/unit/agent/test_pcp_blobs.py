"""Bytes of the Platform Crypto Provider: what is well-formed is read right, what is not is refused, to the octet."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.support import software_tpm as tpm
from tests.support.fake_ncrypt import claim, opaque_blob, serialized_certificate

from keystead_agent.keystore import _pcp_blobs as pcp
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

NONCE = b"n" * 32
CHIP = tpm.SoftwareTpm(tpm.ek(tpm.rsa_key(which=1)), tpm.ak(tpm.rsa_key(which=2)))
KEY = tpm.application_key(ec.generate_private_key(ec.SECP256R1()))
SIGNED, SIGNATURE = CHIP.certify(KEY, NONCE)
ATTEST = SIGNED[2:]
KEY_BLOB = opaque_blob(KEY.key.public_key(), area=KEY.public)
CLAIM = claim(ATTEST, SIGNATURE, KEY_BLOB)
CREATED = CHIP.creation()
BINDING = CHIP.attestation.public + b"".join(CREATED)
DER = b"\x30\x03\x02\x01\x07"
SERIALIZED = serialized_certificate(DER)
SIGNER = pcp.signer(CHIP.attestation.public)
ELLIPTIC = tpm.ak()

READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "key blob": (pcp.key_public_area, KEY_BLOB),
    "id binding": (pcp.binding, BINDING),
    "claim": (pcp.claim, CLAIM),
    "statement": (lambda octets: pcp.require_certifies(octets, NONCE, KEY.public), ATTEST),
    "signer": (pcp.signer, CHIP.attestation.public),
    "signer on a curve": (pcp.signer, ELLIPTIC.public),
    "name": (pcp.name_of, KEY.public),
    "signature": (lambda octets: SIGNER.require_signed(octets, ATTEST), SIGNATURE),
    "serialized certificate": (pcp.serialized_certificate, SERIALIZED),
}
EXACT = sorted(READERS)


def test_a_claim_is_read() -> None:
    found = pcp.claim(CLAIM)
    assert found == pcp.Claim(ATTEST, SIGNATURE, KEY.public)
    pcp.require_certifies(found.attest, NONCE, found.public_area)
    SIGNER.require_signed(found.signature, found.attest)


def test_the_headers_of_a_claim_are_where_microsoft_says() -> None:
    body = len(CLAIM) - 28
    assert CLAIM[:28] == struct.pack("<7I", 0x5453414B, 1, 2, 28, 0, body, 0)
    sizes = len(ATTEST), len(SIGNATURE), len(KEY_BLOB)
    assert CLAIM[28:52] == struct.pack("<6I", 0x5344414B, 2, 24, *sizes)


def test_a_claim_may_have_an_id_binding_and_the_identitys_blob() -> None:
    whole = claim(ATTEST, SIGNATURE, KEY_BLOB, id_binding=BINDING, aik=b"its blob")
    assert pcp.claim(whole) == pcp.claim(CLAIM)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, 0x5453414C),
        (4, 2),
        (8, 1),
        (12, 24),
        (12, 32),
        (16, 1),
        (20, 0),
        (20, 23),
        (24, 0xFFFFFFFF),
        (28, 0x5344414C),
        (32, 1),
        (36, 28),
        (40, 0xFFFFFFFF),
        (44, 0),
        (48, 0),
    ],
)
def test_a_claim_whose_header_is_wrong_is_refused(offset: int, value: int) -> None:
    changed = bytearray(CLAIM)
    struct.pack_into("<I", changed, offset, value)
    with pytest.raises(ValueError, match="claim"):
        pcp.claim(bytes(changed))


def test_an_id_binding_is_read() -> None:
    data, attest, signature = CREATED
    assert pcp.binding(BINDING) == pcp.Binding(CHIP.attestation.public, data, attest[2:], signature)


def test_an_id_binding_of_a_tpm_1_2_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TPM 2\.0"):
        pcp.binding(b"\x01\x01\0\0" + BINDING)


@pytest.mark.parametrize("identity", [CHIP.attestation, ELLIPTIC, tpm.ak(tpm.rsa_key(which=2), scheme_hash=tpm.SHA1)])
def test_who_signs_is_read_and_a_bare_signature_gets_its_head(identity: tpm.Object) -> None:
    whole = tpm.signature(identity.key, ATTEST, identity.scheme_hash)
    bare = whole[6:262] if isinstance(identity.key, rsa.RSAPrivateKey) else whole[6:38] + whole[40:]
    signer = pcp.signer(identity.public)
    assert signer.key == identity.key.public_key()
    assert signer.signature(bare) == signer.signature(whole) == whole
    signer.require_signed(whole, ATTEST)
    with pytest.raises(ValueError, match="not the identity's"):
        signer.require_signed(whole, ATTEST + b"\0")


def test_a_signature_of_another_scheme_or_hash_is_refused() -> None:
    for changed in (tpm.signature(ELLIPTIC.key, ATTEST), tpm.signature(CHIP.attestation.key, ATTEST, tpm.SHA384)):
        with pytest.raises(ValueError, match="unknown kind"):
            SIGNER.signature(changed)


@pytest.mark.parametrize(
    "unfit",
    [
        tpm.application_key(tpm.rsa_key()),
        CHIP.endorsement,
        tpm.ak(tpm.rsa_key(), scheme=tpm.ECDSA),
        tpm.ak(scheme=tpm.RSASSA),
        tpm.ak(tpm.rsa_key(), scheme_hash=0x12),
    ],
)
def test_a_key_that_leaves_open_how_it_signs_is_no_identity(unfit: tpm.Object) -> None:
    with pytest.raises(ValueError, match="public area"):
        pcp.signer(unfit.public)


def test_a_statement_that_says_something_else_is_refused() -> None:
    other = tpm.application_key()
    with pytest.raises(ValueError, match="nonce"):
        pcp.require_certifies(ATTEST, b"m" * 32, KEY.public)
    with pytest.raises(ValueError, match="another key"):
        pcp.require_certifies(ATTEST, NONCE, other.public)
    for changes in ({"kind": tpm.QUOTE}, {"magic": 0xFF544346}):
        changed, _ = CHIP.certify(KEY, NONCE, **changes)
        with pytest.raises(ValueError, match="another kind"):
            pcp.require_certifies(changed[2:], NONCE, KEY.public)


def test_the_endorsement_key_gets_the_public_area_that_its_tpm_gave_it() -> None:
    key = CHIP.endorsement.key.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert pcp.endorsement_area(key) == CHIP.endorsement.public
    assert parse_tpm2b_public(pcp.endorsement_area(key)).name == CHIP.endorsement.name


def test_an_endorsement_key_of_another_template_is_refused() -> None:
    with pytest.raises(ValueError, match="usual template"):
        pcp.endorsement_area(tpm.rsa_key(3072).public_key())


def test_a_serialized_certificate_is_read_wherever_it_stands() -> None:
    assert pcp.serialized_certificate(SERIALIZED) == DER
    assert pcp.serialized_certificate(serialized_certificate(DER, others=())) == DER
    assert pcp.serialized_certificate(SERIALIZED + struct.pack("<3I", 92, 1, 4) + bytes(4)) == DER


def test_a_serialized_certificate_without_one_is_refused() -> None:
    with pytest.raises(ValueError, match="without"):
        pcp.serialized_certificate(struct.pack("<3I", 3, 1, 20) + bytes(20))


@pytest.mark.parametrize("kind", EXACT)
def test_what_is_cut_off_anywhere_is_refused(kind: str) -> None:
    reader, whole = READERS[kind]
    reader(whole)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"\w"):
            reader(whole[:length])


@pytest.mark.parametrize("kind", [kind for kind in EXACT if kind != "key blob"])
@given(more=st.binary(min_size=1, max_size=40))
def test_what_has_octets_left_over_is_refused(kind: str, more: bytes) -> None:
    reader, whole = READERS[kind]
    if kind == "serialized certificate" and len(more) >= 12:
        more = more[:11]
    with pytest.raises(ValueError, match=r"\w"):
        reader(whole + more)


@given(kind=st.sampled_from(EXACT), blob=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(kind: str, blob: bytes) -> None:
    try:
        READERS[kind][0](blob)
    except ValueError as error:
        assert str(error)


@given(kind=st.sampled_from(EXACT), data=st.data())
def test_a_blob_with_some_octets_changed_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    reader, whole = READERS[kind]
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    for blob in (bytes(changed), bytes(changed[:start] + changed[end:])):
        try:
            reader(blob)
        except ValueError as error:
            assert str(error)


def test_what_is_too_large_is_not_looked_at() -> None:
    for reader in (pcp.key_public_area, pcp.binding, pcp.claim, pcp.serialized_certificate):
        with pytest.raises(ValueError, match=r"size|2\.0|large"):
            reader(CLAIM + bytes(pcp.LARGEST_BLOB))
