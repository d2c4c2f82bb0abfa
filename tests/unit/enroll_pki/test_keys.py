import secrets

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from tests.unit.enroll_pki.samples import close_primes_key, key_of, roca_key

from keystead_contracts.base import KeyAlgorithm
from keystead_enroll.domain.certificates import SigningKey
from keystead_enroll.domain.errors import KeyAlgorithmNotAllowed, KeyTooWeak, ProbeSignatureInvalid
from keystead_enroll.domain.keys import (
    check_key_policy,
    has_close_factors,
    has_roca_fingerprint,
    key_algorithm_of,
    same_key,
    spki_sha256,
    verify_signature,
)

PROBE = b"a probe"


def _sign(key: SigningKey, data: bytes = PROBE) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_a_sound_key_of_each_algorithm_passes(algorithm: KeyAlgorithm) -> None:
    key = key_of(algorithm).public_key()
    assert check_key_policy(key) == key_algorithm_of(key) == algorithm


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024).public_key(),  # noqa: S505 meant to be refused
        rsa.generate_private_key(65537, 2056).public_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
    ids=["rsa-1024", "rsa-2056", "p-521", "secp256k1", "ed25519"],
)
def test_another_algorithm_or_size_is_refused(key: PublicKeyTypes) -> None:
    with pytest.raises(KeyAlgorithmNotAllowed) as refused:
        check_key_policy(key)
    assert "ec-p256" in refused.value.advice


def test_an_rsa_exponent_other_than_65537_is_refused() -> None:
    with pytest.raises(KeyTooWeak, match="exponent is 3"):
        check_key_policy(rsa.generate_private_key(3, 2048).public_key())


def test_a_key_made_like_the_flawed_library_s_is_refused() -> None:
    key = roca_key().public_key()
    assert key.key_size == 2048
    with pytest.raises(KeyTooWeak, match="ROCA"):
        check_key_policy(key)


def test_honest_moduli_do_not_carry_the_roca_fingerprint() -> None:
    assert not any(has_roca_fingerprint(secrets.randbits(2048) | 1) for _ in range(20_000))


def test_a_key_with_neighbouring_primes_is_refused() -> None:
    with pytest.raises(KeyTooWeak, match="close"):
        check_key_policy(close_primes_key().public_key())


def test_a_square_is_a_modulus_with_close_factors() -> None:
    prime = key_of(KeyAlgorithm.RSA_2048).private_numbers().p  # type: ignore[union-attr]
    assert has_close_factors(prime * prime)


@pytest.mark.parametrize("factor", [3, 5, 97, 751])
def test_a_modulus_with_a_small_factor_is_refused(factor: int) -> None:
    modulus = ((1 << 2047) // factor + 2 | 1) * factor
    assert modulus.bit_length() == 2048
    with pytest.raises(KeyTooWeak, match="small factor"):
        check_key_policy(rsa.RSAPublicNumbers(65537, modulus).public_key())


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_a_signature_verifies_with_its_key_and_data_only(algorithm: KeyAlgorithm) -> None:
    key = key_of(algorithm)
    signature = _sign(key)
    verify_signature(key.public_key(), signature, PROBE)
    tampered = signature[:-1] + bytes([signature[-1] ^ 1])
    for bad_signature, data in ((signature, b"another"), (tampered, PROBE), (b"", PROBE), (b"\x00" * 64, PROBE)):
        with pytest.raises(ProbeSignatureInvalid):
            verify_signature(key.public_key(), bad_signature, data)


def test_a_signature_by_another_key_is_refused() -> None:
    signature = _sign(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ProbeSignatureInvalid):
        verify_signature(key_of(KeyAlgorithm.EC_P256).public_key(), signature, PROBE)


def test_a_pss_signature_is_not_taken_for_pkcs1() -> None:
    key = key_of(KeyAlgorithm.RSA_2048)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(PROBE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    with pytest.raises(ProbeSignatureInvalid):
        verify_signature(key.public_key(), signature, PROBE)


def test_a_key_is_known_by_its_spki() -> None:
    one, other = key_of(KeyAlgorithm.EC_P256).public_key(), ec.generate_private_key(ec.SECP256R1()).public_key()
    assert same_key(one, one) and not same_key(one, other)
    assert len(spki_sha256(one)) == 64 and spki_sha256(one) != spki_sha256(other)
