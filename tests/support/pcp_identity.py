"""A TPM's identity by Windows, and what a server sends it."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import serialization
from tests.support.windows_computer import WindowsComputer

from keystead_agent.attestation import Identities, Identity
from keystead_agent.keystore.pcp import PcpKeyStore
from keystead_contracts.attestation import CredentialChallenge
from keystead_enroll.domain.attestation_evidence import read_identity
from keystead_enroll.domain.credential import make_credential

SECRET, ORDER = b"s" * 32, "order-1"
NONCE = base64.b64encode(b"n" * 32).decode()


def identities(computer: WindowsComputer) -> Identities:
    return Identities(computer.machine.keys, computer.settings.state_dir)


def identity(computer: WindowsComputer) -> Identity:
    with computer.machine.keys.changing():
        made = identities(computer).obtain()
    assert made is not None
    return made


def store(computer: WindowsComputer) -> PcpKeyStore:
    hardware = computer.machine.keys.hardware()
    assert isinstance(hardware, PcpKeyStore)
    return hardware


def challenged(made: Identity) -> CredentialChallenge:
    sent = read_identity(made.key)
    credential = make_credential(sent.endorsement_key, sent.attestation_key.key.name, SECRET)
    return CredentialChallenge.model_validate(
        {
            "challenge_id": "0" * 32,
            "credential_blob": base64.b64encode(credential.blob).decode(),
            "encrypted_secret": base64.b64encode(credential.encrypted_secret).decode(),
            "nonce": NONCE,
            "expires_at": "2026-11-26T12:00:00Z",
        }
    )


def spki(computer: WindowsComputer, blob: bytes) -> bytes:
    public_key = store(computer).load(blob).public_key()
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
