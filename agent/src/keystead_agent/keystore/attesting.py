"""What a key store says to show that its keys are in a TPM, and in which: an optional ability of hardware stores.

A TPM has endorsement keys, which its maker certified and which sign nothing. An identity is a key that signs only what
the TPM itself says; the server learns that it is in the TPM of an endorsement key by a challenge that only that TPM
solves for that identity. The identity then certifies the keys of certificates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from keystead_contracts.attestation import AttestationKey


@dataclass(frozen=True)
class StoredCertificate:
    """What the TPM keeps at NV index `index`, byte by byte with whatever its maker put around the DER; `kind` is the
    endorsement key's, empty for a CA's."""

    index: int
    content: bytes
    kind: str = ""


@dataclass(frozen=True)
class Endorsement:
    """An endorsement key: `kind` is such as `ec-p256`, `public_area` a TPM2B_PUBLIC. `certificates` are its own, if
    there is one, and what the TPM keeps of the CAs above."""

    kind: str
    public_area: bytes
    certificates: tuple[StoredCertificate, ...] = ()


@dataclass(frozen=True)
class Statement:
    """What the TPM says of a key: a TPMS_ATTEST, and the identity's TPMT_SIGNATURE over it."""

    attest: bytes
    signature: bytes


@dataclass(frozen=True)
class NewIdentity:
    """A new identity: `blob` is what must be kept to use it; its TPM2B_PUBLIC and TPM2B_CREATION_DATA, and what it says
    of its own creation."""

    blob: bytes
    public_area: bytes
    creation_data: bytes
    creation: Statement


@dataclass(frozen=True)
class Challenge:
    """A TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET (TPM 2.0 Part 1 section 24), made for the endorsement key with
    TPM2B_PUBLIC `endorsement`."""

    endorsement: bytes
    credential: bytes
    secret: bytes


@dataclass(frozen=True)
class SharedIdentity:
    """An identity that may be used by processes of other accounts than the one that answers its challenges: what
    servers are told of it, and its blob."""

    key: AttestationKey
    blob: bytes


class AttestingKeyStore(Protocol):
    """A key store that can show where its keys are. Every method may raise KeyStoreError's kinds."""

    @property
    def key_file(self) -> str:
        """See `KeyStore.key_file`: the keys that its identities can speak of."""

    @property
    def identity_file(self) -> str:
        """The file name under which an identity is kept."""

    @property
    def shared(self) -> bool:
        """Whether other accounts' processes use its identities, and have this one's answer challenges."""

    def endorsement(self, kind: str = "") -> Endorsement:
        """The TPM's endorsement key of `kind`, else the quickest that has a certificate, else the quickest. Raises
        EndorsementUnusable."""

    def make_identity(self) -> NewIdentity:
        """Makes an identity. Raises AlgorithmUnsupported."""

    def check(self, identity: bytes) -> None:
        """Raises KeyLost unless the identity of blob `identity` can be used."""

    def activate(self, identity: bytes, challenge: Challenge) -> bytes:
        """What is in `challenge`, if it is for the identity of blob `identity` in this TPM. Raises ChallengeForeign if
        not, EndorsementUnusable, KeyLost."""

    def certify(self, key: bytes, identity: bytes, nonce: bytes) -> Statement:
        """What the TPM says of the key of blob `key`, with `nonce` (at most 64 bytes) in it. Raises KeyLost,
        EndorsementUnusable."""
