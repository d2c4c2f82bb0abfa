"""Public keys: which algorithms there are, which keys are too weak, and signatures made with them."""

from __future__ import annotations

import hashlib
from functools import cache
from math import gcd, isqrt, prod
from typing import assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keystead_contracts.base import KeyAlgorithm
from keystead_contracts.words import Words
from keystead_enroll.domain.errors import KeyAlgorithmNotAllowed, KeyTooWeak, ProbeSignatureInvalid

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
"""The kinds of public key that a certificate here can hold."""

RSA_EXPONENT = 65537
_RSA_SIZES = {2048: KeyAlgorithm.RSA_2048, 3072: KeyAlgorithm.RSA_3072, 4096: KeyAlgorithm.RSA_4096}
_CURVES = {"secp256r1": KeyAlgorithm.EC_P256, "secp384r1": KeyAlgorithm.EC_P384}
_FERMAT_ROUNDS = 100
_ROCA_LARGEST_PRIME = 167


def key_algorithm_of(public_key: PublicKeyTypes) -> KeyAlgorithm:
    """The algorithm of `public_key`. Raises KeyAlgorithmNotAllowed if it is none of `KeyAlgorithm`."""
    match public_key:
        case rsa.RSAPublicKey():
            algorithm = _RSA_SIZES.get(public_key.key_size)
            found = Words("RSA with {key_size} bits", key_size=public_key.key_size)
        case ec.EllipticCurvePublicKey():
            algorithm = _CURVES.get(public_key.curve.name)
            found = Words("the elliptic curve {name}", name=public_key.curve.name)
        case _:
            algorithm = None
            found = Words("of another kind ({kind})", kind=type(public_key).__name__.lstrip("_"))
    if algorithm is None:
        allowed = ", ".join(KeyAlgorithm)
        raise KeyAlgorithmNotAllowed(
            Words("the key is {found}", found=found), Words("Use one of {allowed}.", allowed=allowed)
        )
    return algorithm


def supported_key(public_key: PublicKeyTypes) -> PublicKey:
    """`public_key`, known to be of an allowed algorithm. Raises KeyAlgorithmNotAllowed."""
    key_algorithm_of(public_key)
    assert isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)  # noqa: S101 just established
    return public_key


def spki_der(public_key: PublicKey) -> bytes:
    """The key's SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7; points uncompressed)."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def spki_sha256(public_key: PublicKey) -> str:
    """SHA-256 over the key's SubjectPublicKeyInfo, 64 lower-case hex digits: the key's identity."""
    return hashlib.sha256(spki_der(public_key)).hexdigest()


def check_key_policy(public_key: PublicKeyTypes) -> KeyAlgorithm:
    """The key's algorithm, if the key is fit to be certified.

    Raises KeyAlgorithmNotAllowed, or KeyTooWeak for an RSA key whose exponent is not 65537, whose modulus has a
    small factor or two close ones (Fermat), or which carries the ROCA fingerprint. EC points are on their curve:
    the library refuses others when it parses them.
    """
    algorithm = key_algorithm_of(public_key)
    if isinstance(public_key, rsa.RSAPublicKey):
        numbers = public_key.public_numbers()
        _check_rsa(numbers.n, numbers.e)
    return algorithm


def _check_rsa(modulus: int, exponent: int) -> None:
    if exponent != RSA_EXPONENT:
        raise KeyTooWeak(
            Words(
                "the RSA key's public exponent is {exponent}, not {expected}",
                exponent=exponent,
                expected=RSA_EXPONENT,
            )
        )
    if gcd(modulus, _small_primes_product()) != 1:
        raise KeyTooWeak(Words("the RSA key's modulus has a small factor"))
    if has_roca_fingerprint(modulus):
        raise KeyTooWeak(Words("the RSA key was made by a chip with the ROCA weakness (CVE-2017-15361)"))
    if has_close_factors(modulus):
        raise KeyTooWeak(Words("the RSA key's two primes are too close together"))


def has_close_factors(modulus: int) -> bool:
    """Whether Fermat's method finds the factors of the odd `modulus` within 100 rounds.

    It looks for a whose a² − n is a square b²: then n = (a − b)(a + b). It begins at ⌈√n⌉, so it ends early exactly
    if the factors are close to √n.
    """
    a = isqrt(modulus - 1) + 1
    remainder = a * a - modulus
    for _ in range(_FERMAT_ROUNDS):
        if isqrt(remainder) ** 2 == remainder:
            return True
        remainder += 2 * a + 1
        a += 1
    return False


def has_roca_fingerprint(modulus: int) -> bool:
    """Whether an RSA modulus looks like one of the flawed library's (Nemec et al., "The Return of Coppersmith's
    Attack", ACM CCS 2017, section 2.2; CVE-2017-15361).

    Its primes are k·M + (65537^a mod M) for a product M of small primes, so modulo each of those primes the
    modulus is a power of 65537. An honest modulus is, for all primes up to 167 at once, about once in 2^27.
    """
    return all(modulus % prime in powers for prime, powers in _roca_residues())


@cache
def _roca_residues() -> tuple[tuple[int, frozenset[int]], ...]:
    """For each prime p up to 167 (the M of the shortest keys, which divides that of all others): the powers of 65537
    modulo p, the primes with the fewest powers for their size first. Primes that all moduli pass are left out."""
    table = [(prime, _powers(RSA_EXPONENT, prime)) for prime in _primes_up_to(_ROCA_LARGEST_PRIME)]
    telling = [(prime, powers) for prime, powers in table if len(powers) < prime - 1]
    return tuple(sorted(telling, key=lambda row: len(row[1]) / row[0]))


def _powers(base: int, modulus: int) -> frozenset[int]:
    powers = {1}
    power = base % modulus
    while power not in powers:
        powers.add(power)
        power = power * base % modulus
    return frozenset(powers)


@cache
def _small_primes_product() -> int:
    return prod(_primes_up_to(752))


def _primes_up_to(limit: int) -> list[int]:
    return [n for n in range(2, limit + 1) if all(n % divisor for divisor in range(2, isqrt(n) + 1))]


def same_key(one: PublicKey, other: PublicKey) -> bool:
    """Whether both are the same public key, however they were encoded."""
    return spki_der(one) == spki_der(other)


def verify_signature(public_key: PublicKey, signature: bytes, data: bytes) -> None:
    """Returns if `signature` over `data` is the key's: ECDSA in DER (RFC 3279 section 2.2.3) or RSASSA-PKCS1-v1_5
    (RFC 8017 section 8.2), both with SHA-256. Raises ProbeSignatureInvalid otherwise."""
    try:
        match public_key:
            case ec.EllipticCurvePublicKey():
                public_key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey():
                public_key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            case _:
                assert_never(public_key)
    except InvalidSignature:
        raise ProbeSignatureInvalid(Words("the signature does not verify with the certificate's key")) from None
