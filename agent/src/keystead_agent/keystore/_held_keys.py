"""Keys that their key store holds, as `cryptography` private keys: whatever signs with such a key (a CSR builder, a JWT
library) has one path for keys in files, keys in the TPM and keys of a Windows provider. The store is asked for each
signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from keystead_agent.keystore.base import PrivateKey, PublicKey

SignDigest = Callable[[bytes, str], bytes]
"""Signs a digest made with the named hash: DER ECDSA-Sig-Value, or RSASSA-PKCS1-v1_5."""


class KeyStaysInside(TypeError):
    """Something asked for the private part of a key that cannot leave its key store."""


def _digest(data: Any, algorithm: Any) -> tuple[bytes, str]:
    if isinstance(algorithm, Prehashed):
        return bytes(data), algorithm._algorithm.name
    hashing = hashes.Hash(algorithm)
    hashing.update(data)
    return hashing.finalize(), algorithm.name


def _refuse() -> NoReturn:
    raise KeyStaysInside("this private key cannot leave the key store that made it")


class HeldEllipticCurveKey(ec.EllipticCurvePrivateKey):
    """An ECDSA signing key."""

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
        raise KeyStaysInside("this key signs; it agrees on no secrets")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        _refuse()

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:
        _refuse()

    def __copy__(self) -> HeldEllipticCurveKey:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> HeldEllipticCurveKey:
        return self


class HeldRsaKey(rsa.RSAPrivateKey):
    """An RSASSA-PKCS1-v1_5 signing key."""

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
        raise KeyStaysInside("this key signs; it decrypts nothing")

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        _refuse()

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:
        _refuse()

    def __copy__(self) -> HeldRsaKey:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> HeldRsaKey:
        return self


def held_key(public_key: PublicKey, sign_digest: SignDigest) -> PrivateKey:
    """The private key of `public_key`, which signs by `sign_digest`."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return HeldEllipticCurveKey(public_key, sign_digest)
    return HeldRsaKey(public_key, sign_digest)


def _is_pkcs1(candidate: object) -> bool:
    return isinstance(candidate, padding.PKCS1v15)
