"""From what an agent sends of its TPM to the values that are judged. Another wire format gets a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from keystead_contracts.attestation import AttestationKey, KeyCertification
from keystead_enroll.domain.attestation import CertifiedKey, CreatedKey
from keystead_enroll.domain.endorsement_certificate import Certificate, read_stored
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.tpm_attest import parse_signature, parse_tpm2b_attest, parse_tpm2b_creation_data
from keystead_enroll.domain.tpm_public import TpmPublic, parse_tpm2b_public
from keystead_enroll.domain.tpm_reader import decoded


@dataclass(frozen=True)
class TpmIdentity:
    """What an agent sent of its TPM, parsed and not judged. `certificates` are those that can be read, that of the
    endorsement key and others in any order."""

    endorsement_key: TpmPublic
    attestation_key: CreatedKey
    certificates: Sequence[Certificate]


@lru_cache(maxsize=256)
def read_identity(sent: AttestationKey) -> TpmIdentity:
    """The identity that was sent. Raises EvidenceMalformed; an unreadable certificate is no certificate. The last ones
    are remembered: a machine shows the same with each of its keys."""
    stored = [
        (each.nv_index, decoded(each.content, "endorsement certificate")) for each in sent.endorsement_certificates
    ]
    return TpmIdentity(
        parse_tpm2b_public(decoded(sent.endorsement_key, "endorsement key")),
        CreatedKey(
            parse_tpm2b_public(decoded(sent.public_area, "attestation key")),
            parse_tpm2b_creation_data(decoded(sent.creation_data, "creation data")),
            parse_tpm2b_attest(decoded(sent.creation_attestation, "attestation")),
            parse_signature(decoded(sent.creation_signature, "signature")),
        ),
        read_stored(stored),
    )


def endorsement_fingerprint(sent: AttestationKey) -> str:
    """The SHA-256 of the endorsement key's SubjectPublicKeyInfo, hex: the machine's identity. Raises
    EvidenceMalformed."""
    return spki_sha256(read_identity(sent).endorsement_key.public_key)


def read_certification(public_area: str, sent: KeyCertification) -> tuple[CertifiedKey, bytes]:
    """The key of `public_area` (TPM2B_PUBLIC in base64) with what was certified of it, and the Name of the attestation
    key that is said to have done so. Raises EvidenceMalformed."""
    certified = CertifiedKey(
        parse_tpm2b_public(decoded(public_area, "TPM public area")),
        parse_tpm2b_attest(decoded(sent.certify_info, "attestation")),
        parse_signature(decoded(sent.signature, "signature")),
    )
    return certified, decoded(sent.attestation_key_name, "attestation key's Name")
