"""Signatures that show that a key and a certificate belong together."""

from __future__ import annotations

import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from keystead_agent.errors import KeyMismatch
from keystead_agent.keystore.base import PrivateKey, PublicKey


def probe() -> bytes:
    """Something to sign that nobody chose."""
    return b"keystead signing test\n" + os.urandom(32)


def sign(key: PrivateKey, data: bytes) -> bytes:
    """A SHA-256 signature: DER ECDSA or RSASSA-PKCS1-v1_5."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    return key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def verify(key: PublicKey, signature: bytes, data: bytes) -> None:
    """Checks what `sign` made. Raises InvalidSignature."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    else:
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """The certificate's key. Raises KeyMismatch if it is of a kind that the agent does not make."""
    key = certificate.public_key()
    if not isinstance(key, PublicKey):
        raise KeyMismatch("the certificate is for another kind of key", "Enroll again.")
    return key
