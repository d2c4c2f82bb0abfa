"""What the rest of the agent knows of a place for private keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keystead_contracts.agent import Evidence, KeyProvider
from keystead_contracts.base import KeyAlgorithm

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class StoredKey:
    """A new key. `blob` is what must be kept to use it again: useless outside the TPM that made it, if one did."""

    blob: bytes
    evidence: Evidence


@dataclass(frozen=True)
class ProviderInfo:
    """Who keeps the keys. `name` is for people; `manufacturer` and `firmware` are the TPM's own words."""

    name: str
    provider: KeyProvider
    exportable: bool
    manufacturer: str = ""
    firmware: str = ""


class KeyStore(Protocol):
    """A place where private keys are made and used. Every method may raise KeyStoreError's kinds."""

    @property
    def key_file(self) -> str:
        """The file name under which a blob of this store is kept; it tells the store that can load it."""

    def generate(self, algorithm: KeyAlgorithm) -> StoredKey:
        """Makes a signing key. Raises AlgorithmUnsupported that names what can be made instead."""

    def load(self, blob: bytes) -> PrivateKey:
        """The key of `blob`; its `sign` may raise KeyStoreError's kinds. Raises KeyLost if `blob` is damaged, or the
        key that it names is gone."""

    def discard(self, blob: bytes) -> None:
        """Removes what the store itself keeps of the key of `blob`; again is harmless. A blob that names no key of the
        store's is nothing to remove. Raises KeyStoreError's kinds if the key is there and stays."""

    def describe(self) -> ProviderInfo:
        """Who keeps the keys."""

    def capabilities(self) -> tuple[KeyAlgorithm, ...]:
        """The algorithms of which it can make keys."""
