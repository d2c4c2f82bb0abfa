"""TPM keys as `cryptography` private keys: whatever signs with such a key (a CSR builder, a JWT library) has one path
for keys in files and keys in the TPM. The TPM is opened for each signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

SignDigest = Callable[[bytes, str], bytes]
"""Signs a digest made with the named hash: DER ECDSA-Sig-Value, or RSASSA-PKCS1-v1_5."""


class KeyStaysInTpm(TypeError):
    """Something asked for the private part of a key that cannot leave its TPM."""


def _digest(data: Any, algorithm: Any) -> tuple[bytes, str]:
    if isinstance(algorithm, Prehashed):
        return bytes(data), algorithm._algorithm.name
    hashing = hashes.Hash(algorithm)
    hashing.update(data)
    return hashing.finalize(), algorithm.name


def _refuse() -> NoReturn:
    raise KeyStaysInTpm("this private key is in a TPM and cannot leave it")


class TpmEllipticCurveKey(ec.EllipticCurvePrivateKey):
    """An ECDSA signing key in a TPM."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, sign_digest: SignDigest) -> None:
        self._public_key = public_key
        self._sign_digest = sign_digest

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """A DER signature. Raises KeyStoreError's kinds."""
        return self._sign_digest(*_digest(data, signature_algorithm.algorithm))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise KeyStaysInTpm("this key signs; it agrees on no secrets")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        _refuse()

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:
        _refuse()

    def __copy__(self) -> TpmEllipticCurveKey:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> TpmEllipticCurveKey:
        return self


class TpmRsaKey(rsa.RSAPrivateKey):
    """An RSASSA-PKCS1-v1_5 signing key in a TPM."""

    def __init__(self, public_key: rsa.RSAPublicKey, sign_digest: SignDigest) -> None:
        self._public_key = public_key
        self._sign_digest = sign_digest

    def sign(self, data: Any, padding: Any, algorithm: Any) -> bytes:
        """An RSASSA-PKCS1-v1_5 signature; ValueError for other paddings. Raises KeyStoreError's kinds."""
        if not _is_pkcs1(padding):
            raise ValueError("this key signs with PKCS#1 v1.5 padding")
        return self._sign_digest(*_digest(data, algorithm))

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public_key

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def decrypt(self, ciphertext: bytes, padding: Any) -> bytes:
        raise KeyStaysInTpm("this key signs; it decrypts nothing")

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        _refuse()

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:
        _refuse()

    def __copy__(self) -> TpmRsaKey:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> TpmRsaKey:
        return self


def _is_pkcs1(candidate: object) -> bool:
    return isinstance(candidate, padding.PKCS1v15)
