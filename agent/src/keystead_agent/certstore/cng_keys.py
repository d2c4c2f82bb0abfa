"""What the certificate stores need of CNG's keys: how a certificate names one, and signing by a handle that Windows
found by a certificate."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import rsa

from keystead_agent.certstore._crypt32 import KeyProvInfo
from keystead_agent.errors import KeyStoreError, TpmFailed
from keystead_agent.keystore import _cng_errors as status
from keystead_agent.keystore._cng_blobs import der_signature
from keystead_agent.keystore._ncrypt import SHA256, Ncrypt, NcryptError
from keystead_agent.keystore.base import PublicKey
from keystead_agent.keystore.persisted import KEY_FILES, PersistedKey


class NcryptKeys:
    """Keys behind `ncrypt`; see `windows.CngKeys`."""

    def __init__(self, ncrypt: Ncrypt) -> None:
        self._ncrypt = ncrypt

    def named(self, key_file: str, blob: bytes) -> KeyProvInfo | None:
        """A provider type and a key spec of 0: a key of CNG."""
        if key_file not in KEY_FILES.values():
            return None
        key = PersistedKey.read(blob)
        return KeyProvInfo(container=key.name, provider=key.provider, flags=key.flags)

    def sign(self, handle: int, key: PublicKey, data: bytes) -> bytes:
        """With SHA-256: DER ECDSA or RSASSA-PKCS1-v1_5."""
        digest = hashlib.sha256(data).digest()
        try:
            raw = self._ncrypt.sign_hash(handle, digest, SHA256 if isinstance(key, rsa.RSAPublicKey) else None)
            return der_signature(raw, key)
        except NcryptError as error:
            raise status.explain(error.status, status.SIGNING) from error
        except ValueError as error:
            raise TpmFailed(f"the key provider's signature cannot be read: {error}", "Ask for support.") from error

    def explain(self, code: int) -> KeyStoreError:
        """CryptAcquireCertificatePrivateKey passes the key provider's own codes on."""
        return status.explain(code, status.LOADING)
