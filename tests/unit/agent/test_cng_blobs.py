"""Bytes of CNG: what is well-formed is read right, what is not is refused and never read beyond its end."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_ncrypt import ec_public_blob, opaque_blob, rsa_public_blob, tpm2b_public

from keystead_agent.errors import KeyLost
from keystead_agent.keystore._cng_blobs import (
    der_signature,
    ec_public_key,
    names_no_curve,
    rsa_public_key,
)
from keystead_agent.keystore._ncrypt import PLATFORM_PROVIDER
from keystead_agent.keystore._pcp_blobs import key_public_area
from keystead_agent.keystore.base import PrivateKey
from keystead_agent.keystore.persisted import KeyScope, PersistedKey
from keystead_contracts.base import KeyAlgorithm
from keystead_enroll.domain.tpm_public import parse_tpm2b_public

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
KEYS: tuple[PrivateKey, ...] = (RSA, P256, P384)
WELL_FORMED = {
    "rsa": rsa_public_blob(RSA.public_key()),
    "p256": ec_public_blob(P256.public_key()),
    "generic": ec_public_blob(P384.public_key(), generic=True),
    "pcp": opaque_blob(P256.public_key()),
}
NAME = PersistedKey(
    provider=PLATFORM_PROVIDER,
    name="tp-00000000-0000-4000-8000-000000000000",
    scope=KeyScope.USER,
    algorithm=KeyAlgorithm.EC_P256,
    spki_sha256="0" * 64,
).blob
READERS: dict[str, Callable[[bytes], object]] = {
    "rsa": rsa_public_key,
    "p256": ec_public_key,
    "generic": lambda blob: ec_public_key(blob, "nistP384"),
    "pcp": key_public_area,
}


def test_an_rsa_key_is_read() -> None:
    assert rsa_public_key(WELL_FORMED["rsa"]) == RSA.public_key()


def test_the_header_of_an_rsa_key_is_little_endian() -> None:
    assert WELL_FORMED["rsa"][:24] == bytes.fromhex("5253413100080000030000000001000000000000") + bytes(4)


@pytest.mark.parametrize("key", [P256, P384])
def test_a_key_on_a_curve_is_read(key: ec.EllipticCurvePrivateKey) -> None:
    assert ec_public_key(ec_public_blob(key.public_key())) == key.public_key()
    assert not names_no_curve(ec_public_blob(key.public_key()))


def test_the_generic_magic_takes_the_curve_from_elsewhere() -> None:
    blob = WELL_FORMED["generic"]
    assert names_no_curve(blob)
    assert ec_public_key(blob, "nistP384") == ec_public_key(blob, "ECDSA_P384") == P384.public_key()
    for name in ("", "nistP256", "curve25519"):
        with pytest.raises(ValueError, match="EC public key blob"):
            ec_public_key(blob, name)


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    blob = WELL_FORMED["p256"]
    with pytest.raises(ValueError):
        ec_public_key(blob[:-1] + bytes([blob[-1] ^ 1]))


def test_the_public_area_is_the_one_of_the_key() -> None:
    for key in KEYS:
        area = key_public_area(opaque_blob(key.public_key()))
        assert area == tpm2b_public(key.public_key())
        assert parse_tpm2b_public(area).public_key == key.public_key()


@pytest.mark.parametrize(("offset", "value"), [(0, 0), (4, 12), (4, 5000), (8, 1), (16, 0), (16, 1), (16, 0xFFFFFFFF)])
def test_a_platform_blob_whose_header_is_wrong_is_refused(offset: int, value: int) -> None:
    blob = bytearray(WELL_FORMED["pcp"])
    struct.pack_into("<I", blob, offset, value)
    with pytest.raises(ValueError, match="platform key blob"):
        key_public_area(bytes(blob))


@pytest.mark.parametrize("kind", ["rsa", "p256", "generic"])
@pytest.mark.parametrize("difference", [-1, 1])
def test_a_public_key_blob_of_another_length_is_refused(kind: str, difference: int) -> None:
    blob = WELL_FORMED[kind] + b"\0"
    with pytest.raises(ValueError, match="sizes"):
        READERS[kind](blob[: len(WELL_FORMED[kind]) + difference])


def test_a_platform_blob_that_ends_early_is_refused() -> None:
    with pytest.raises(ValueError, match="sizes"):
        key_public_area(WELL_FORMED["pcp"][:80])


@given(kind=st.sampled_from(sorted(READERS)), blob=st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(kind: str, blob: bytes) -> None:
    try:
        READERS[kind](blob)
    except ValueError as error:
        assert str(error)


@given(kind=st.sampled_from(sorted(READERS)), data=st.data())
def test_a_blob_with_some_octets_changed_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    blob = bytearray(WELL_FORMED[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, min(len(blob), 64) - 1))] = data.draw(st.integers(0, 255))
    try:
        READERS[kind](bytes(blob))
    except ValueError as error:
        assert str(error)


@given(key=st.sampled_from([P256, P384]), data=st.binary(max_size=50))
def test_a_signature_of_fixed_width_becomes_der(key: ec.EllipticCurvePrivateKey, data: bytes) -> None:
    der = key.sign(data, ec.ECDSA(hashes.SHA256()))
    size = key.key_size // 8
    r, s = decode_dss_signature(der)
    assert der_signature(r.to_bytes(size) + s.to_bytes(size), key.public_key()) == der


@given(size=st.integers(0, 600).filter(lambda size: size not in (64, 96, 256)))
def test_a_signature_of_another_size_is_refused(size: int) -> None:
    for key in KEYS:
        with pytest.raises(ValueError, match="another size"):
            der_signature(bytes(size), key.public_key())


@given(data=st.data())
def test_what_is_kept_of_a_key_is_read_or_the_key_is_lost(data: st.DataObject) -> None:
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(NAME)), st.integers(0, len(NAME)))))
    changed = NAME[:start] + data.draw(st.binary(max_size=40)) + NAME[end:]
    try:
        read = PersistedKey.read(changed)
    except KeyLost as error:
        assert error.detail
    else:
        assert len(read.name) == 39
        assert read.name.startswith("tp-")
