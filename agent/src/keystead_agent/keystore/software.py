"""A development double of the hardware store: keys in files. It warns, and policy has to allow it (`KeyStores`)."""

from __future__ import annotations

import warnings

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keystead_agent.errors import KeyLost
from keystead_agent.keystore.base import PrivateKey, ProviderInfo, StoredKey
from keystead_contracts.agent import KeyProvider, SoftwareEvidence
from keystead_contracts.base import KeyAlgorithm

KEY_FILE = "key.pem"


class SoftwareKeyIsCopyable(UserWarning):
    """A key was made that whoever reads the file can copy."""


class SoftwareKeyStore:
    """Keys as unencrypted PKCS#8 PEM (RFC 5958)."""

    key_file = KEY_FILE

    def generate(self, algorithm: KeyAlgorithm) -> StoredKey:
        """Makes a key, and warns that it can be copied."""
        warnings.warn("the private key is a file: whoever reads it can copy it", SoftwareKeyIsCopyable, stacklevel=2)
        key: PrivateKey
        match algorithm:
            case KeyAlgorithm.EC_P256:
                key = ec.generate_private_key(ec.SECP256R1())
            case KeyAlgorithm.EC_P384:
                key = ec.generate_private_key(ec.SECP384R1())
            case KeyAlgorithm.RSA_2048 | KeyAlgorithm.RSA_3072 | KeyAlgorithm.RSA_4096:
                key = rsa.generate_private_key(65537, int(algorithm.value.removeprefix("rsa-")))
        blob = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return StoredKey(blob=blob, evidence=SoftwareEvidence())

    def load(self, blob: bytes) -> PrivateKey:
        """The key in the PEM text `blob`."""
        try:
            key = serialization.load_pem_private_key(blob, password=None)
        except ValueError as error:
            raise KeyLost("the key file is damaged") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise KeyLost("the key file holds another kind of key")
        return key

    def discard(self, blob: bytes) -> None:
        """Nothing: the file is the key."""

    def describe(self) -> ProviderInfo:
        """Says plainly that this is no hardware."""
        return ProviderInfo(name="software (a file, can be copied)", provider=KeyProvider.SOFTWARE, exportable=True)

    def capabilities(self) -> tuple[KeyAlgorithm, ...]:
        """All of them."""
        return tuple(KeyAlgorithm)
