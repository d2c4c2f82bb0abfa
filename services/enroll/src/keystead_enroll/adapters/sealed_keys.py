"""Private keys that the database keeps, encrypted under a key of the service's."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keystead_enroll.domain.errors import SealBroken

_NONCE_OCTETS, _KEY_OCTETS = 12, 32


class SealedKeys:
    """The `KeyBox` port: AES-256-GCM (NIST SP 800-38D) under a key that HKDF-SHA256 (RFC 5869) derives from a secret of
    the settings, for this purpose alone."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(hashes.SHA256(), _KEY_OCTETS, salt=None, info=b"keystead sealed keys").derive(secret)
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, context: str) -> bytes:
        """`content`, encrypted; it opens in the same `context` only."""
        nonce = os.urandom(_NONCE_OCTETS)
        return nonce + self._cipher.encrypt(nonce, content, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed. Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken("sealed under another key, for something else, or changed since") from error
