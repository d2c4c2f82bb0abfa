"""How an agent proves that its keys live in one TPM: what it sends of the TPM, and what its keys vouch for.

Structures are those of TCG "TPM 2.0 Library" Part 2, big-endian, as the TPM wrote them, in base64.

1. The agent sends an `AttestationKey`: the endorsement key (EK) that every TPM is born with, and an attestation key
   (AK) that the TPM made (in `RegistrationRequest.attestation` or `ClaimRequest.attestation`).
2. The server answers with a `CredentialChallenge` that only the TPM with both keys opens (TPM2_ActivateCredential).
3. The agent returns the secret: a device in a `ChallengeAnswer` to `Routes.ATTESTATION`, together with what its AK says
   of the device key; an agent that came by a link in `TpmEvidence.activation`, together with the new key's evidence.
4. From then on the AK vouches for each new key (TPM2_Certify): `KeyCertification`, fresh by the server's nonce.

An agent that sends none of this, and a server that asks for none, work as before; the key is then only claimed.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field

from keystead_contracts.base import AssuranceLevel, AwareDatetime, Base64, Message, PlainText

NONCE_OCTETS = 32
SECRET_OCTETS = 32

ChallengeId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


def purpose_at(origin: str, id: str) -> str:
    """What a certification is for: `id` is the order's for a certificate's key, the challenge's for a device key;
    `origin` is the server's, as its users see it. A TPM has one attestation key for all servers: what it said for one
    is worth nothing to another."""
    return f"{origin} {id}"


def qualifying_data(nonce: bytes, purpose: str, public_key_der: bytes) -> bytes:
    """The `qualifyingData` that an agent gives to TPM2_Certify and the server expects as `extraData`: 32 octets,

        SHA-256("keystead-certify-1" ‖ LF ‖ nonce ‖ SHA-256(public_key_der) ‖ purpose in UTF-8)

    `nonce` is the server's, 32 octets; `purpose` is from `purpose_at`; `public_key_der` is the key's
    SubjectPublicKeyInfo in DER, as in the CSR. Raises ValueError for a nonce of another length.
    """
    if len(nonce) != NONCE_OCTETS:
        raise ValueError(f"the nonce has {len(nonce)} octets, not {NONCE_OCTETS}")
    key = hashlib.sha256(public_key_der).digest()
    return hashlib.sha256(b"keystead-certify-1\n" + nonce + key + purpose.encode()).digest()


class EndorsementCertificate(Message):
    """An EK certificate. `content` is what the NV index holds, unchanged: the server strips prefixes and padding."""

    content: Annotated[Base64, Field(min_length=1)]
    nv_index: Annotated[int, Field(ge=0, le=0xFFFFFFFF)] = 0
    """Where it was (TCG EK Credential Profile section 2.2.1.4), 0 if it comes from elsewhere."""


class AttestationKey(Message):
    """A TPM's endorsement key and an attestation key that the TPM made."""

    endorsement_key: Annotated[Base64, Field(max_length=4096)]
    """TPM2B_PUBLIC of the EK to which the challenge is to be sealed."""
    endorsement_certificates: Annotated[tuple[EndorsementCertificate, ...], Field(max_length=32)] = ()
    """That of this EK, and what chain certificates the TPM holds (from NV index 0x01C00100)."""
    public_area: Annotated[Base64, Field(max_length=4096)]
    """TPM2B_PUBLIC of the AK: restricted, signing, of SHA-256 or stronger."""
    creation_data: Annotated[Base64, Field(max_length=4096)]
    """TPM2B_CREATION_DATA of the AK."""
    creation_attestation: Annotated[Base64, Field(max_length=4096)]
    """TPM2B_ATTEST of TPM2_CertifyCreation, of the AK by itself."""
    creation_signature: Annotated[Base64, Field(max_length=4096)]
    """TPMT_SIGNATURE over the TPMS_ATTEST in it."""


class CredentialChallenge(Message):
    """A secret sealed to the EK and the AK's Name; single use, until `expires_at`."""

    challenge_id: ChallengeId
    credential_blob: Annotated[Base64, Field(max_length=1024)]
    """TPM2B_ID_OBJECT."""
    encrypted_secret: Annotated[Base64, Field(max_length=2048)]
    """TPM2B_ENCRYPTED_SECRET."""
    nonce: Annotated[Base64, Field(max_length=64)]
    """For `qualifying_data` of the device key's certification."""
    expires_at: AwareDatetime


class Activation(Message):
    """The secret of a challenge, as TPM2_ActivateCredential gave it."""

    challenge_id: ChallengeId
    secret: Annotated[Base64, Field(max_length=128)]


class KeyCertification(Message):
    """What an AK says of another key of its TPM."""

    attestation_key_name: Annotated[Base64, Field(max_length=128)]
    """The AK's Name: which of the machine's AKs it was."""
    certify_info: Annotated[Base64, Field(max_length=4096)]
    """TPM2B_ATTEST of TPM2_Certify, with `qualifying_data`."""
    signature: Annotated[Base64, Field(max_length=4096)]
    """TPMT_SIGNATURE over the TPMS_ATTEST in it."""


class ChallengeAnswer(Message):
    """A device's answer: the secret, and its device key certified by the AK. The key's public area came with the
    registration's evidence."""

    activation: Activation
    certification: KeyCertification


class AttestationReason(Message):
    """One thing that the server found: `code` for programs, `text` for people."""

    code: Annotated[str, Field(max_length=64)]
    text: Annotated[PlainText, Field(max_length=2000)]


class AttestationResult(Message):
    """What the server holds of the device key now, and why. A level below `attested` is no error: the device is
    registered, and enrolls what its level allows."""

    level: AssuranceLevel
    reasons: Annotated[tuple[AttestationReason, ...], Field(max_length=64)] = ()
