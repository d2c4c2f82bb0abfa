"""What CNG's key providers write and read, as bytes: public keys and signatures (bcrypt.h). Sizes are checked against
what is there; whatever does not fit is a ValueError.
"""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from keystead_agent.keystore.base import PublicKey

_RSA_PUBLIC = 0x31415352
"""BCRYPT_RSAPUBLIC_MAGIC, "RSA1"."""
_ECDSA_PUBLIC: dict[int, ec.EllipticCurve] = {0x31534345: ec.SECP256R1(), 0x33534345: ec.SECP384R1()}
"""BCRYPT_ECDSA_PUBLIC_P256_MAGIC "ECS1", BCRYPT_ECDSA_PUBLIC_P384_MAGIC "ECS3"."""
_ECDSA_PUBLIC_GENERIC = 0x50444345
"""BCRYPT_ECDSA_PUBLIC_GENERIC_MAGIC "ECDP": the curve is in the property ECCCurveName."""
_CURVES: dict[str, ec.EllipticCurve] = {
    "nistP256": ec.SECP256R1(),
    "ECDSA_P256": ec.SECP256R1(),
    "nistP384": ec.SECP384R1(),
    "ECDSA_P384": ec.SECP384R1(),
}
_LARGEST_EXPONENT = 8
_LARGEST_MODULUS = 1024


def rsa_public_key(blob: bytes) -> rsa.RSAPublicKey:
    """The key of a BCRYPT_RSAPUBLIC_BLOB: a little-endian header, then exponent and modulus, big-endian."""
    if len(blob) < 24:
        raise ValueError("an RSA public key blob is too short")
    magic, bits, exponent_size, modulus_size, prime_1, prime_2 = struct.unpack_from("<6I", blob)
    if magic != _RSA_PUBLIC or prime_1 or prime_2:
        raise ValueError("not an RSA public key blob")
    if not 0 < exponent_size <= _LARGEST_EXPONENT or not 0 < modulus_size <= _LARGEST_MODULUS:
        raise ValueError("an RSA public key blob of an impossible size")
    if len(blob) != 24 + exponent_size + modulus_size:
        raise ValueError("an RSA public key blob whose sizes do not fit its length")
    exponent = int.from_bytes(blob[24 : 24 + exponent_size])
    modulus = int.from_bytes(blob[24 + exponent_size :])
    if modulus.bit_length() != bits:
        raise ValueError("an RSA public key blob whose modulus has another length than it says")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def ec_public_key(blob: bytes, curve_name: str = "") -> ec.EllipticCurvePublicKey:
    """The key of a BCRYPT_ECCPUBLIC_BLOB: magic, octets of a coordinate, X, Y. `curve_name` is what ECCCurveName says,
    for the magic that names no curve."""
    if len(blob) < 8:
        raise ValueError("an EC public key blob is too short")
    magic, size = struct.unpack_from("<2I", blob)
    curve = _CURVES.get(curve_name) if magic == _ECDSA_PUBLIC_GENERIC else _ECDSA_PUBLIC.get(magic)
    if curve is None:
        raise ValueError("an EC public key blob of an unknown kind or curve")
    if size != curve.key_size // 8 or len(blob) != 8 + 2 * size:
        raise ValueError("an EC public key blob whose sizes do not fit its curve")
    x, y = int.from_bytes(blob[8 : 8 + size]), int.from_bytes(blob[8 + size :])
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def names_no_curve(blob: bytes) -> bool:
    """Whether an EC public key blob leaves its curve to the property ECCCurveName."""
    return blob[:4] == _ECDSA_PUBLIC_GENERIC.to_bytes(4, "little")


def der_signature(raw: bytes, key: PublicKey) -> bytes:
    """The signature that `key` made, as X.509 wants it: ECDSA-Sig-Value (RFC 3279 section 2.2.3) for CNG's r and s of
    fixed width; RSA's as it is."""
    if isinstance(key, rsa.RSAPublicKey):
        if len(raw) != (key.key_size + 7) // 8:
            raise ValueError("an RSA signature of another size than its key's")
        return raw
    size = key.curve.key_size // 8
    if len(raw) != 2 * size:
        raise ValueError("an ECDSA signature of another size than its curve's")
    return encode_dss_signature(int.from_bytes(raw[:size]), int.from_bytes(raw[size:]))
