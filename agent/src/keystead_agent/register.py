"""Registering the machine as a device, and the assertions that its key signs."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import timedelta

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keystead_agent.attestation import Identities, Identity
from keystead_agent.device import DeviceIdentity, DeviceStore, Registered
from keystead_agent.errors import AlgorithmUnsupported, AlreadyRegistered
from keystead_agent.keystore.base import KeyStore, PrivateKey, StoredKey
from keystead_agent.machine import Machine
from keystead_agent.machine_info import machine_info
from keystead_agent.signatures import sign
from keystead_contracts.agent import (
    RegistrationRequest,
    registration_proof_input,
)
from keystead_contracts.attestation import ChallengeAnswer, CredentialChallenge, purpose_at
from keystead_contracts.base import KeyAlgorithm

ASSERTION_LIFE = timedelta(seconds=60)
DEVICE_KEY_ALGORITHMS = (KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048)
"""In the order of preference; every TPM 2.0 of the PC Client profile makes one of them."""


def register(
    machine: Machine, server: str, registration_token: str, *, replace: bool, waiting: Callable[[int], None]
) -> Registered:
    """Registers this machine with the server at origin `server`. Registering again keeps the device key, and so the
    device id; `replace` gives up a registration with another server; `waiting` is told
    the process that is waited for. A TPM that can shows which one it is and that the device key is in it: if that ends
    early, the device is registered and registering again finishes it. Raises AlreadyRegistered, AgentBusy."""
    with machine.connect(server) as client, machine.working(waiting=waiting), machine.keys.changing():
        devices = DeviceStore(machine.settings.state_dir)
        known = devices.current()
        if known is not None and known[0].server != server:
            if not replace:
                raise AlreadyRegistered(
                    f"this computer is registered with {known[0].server}",
                    "Add --replace to register it with the other server instead.",
                )
            known = None
        identity, blob = known or _pending_identity(machine, devices, server)
        key = machine.keys.for_key_file(identity.key_file).load(blob)
        tpm = Identities(machine.keys, machine.settings.state_dir).obtain()
        if tpm is not None and tpm.key_file != identity.key_file:
            tpm = None
        reply = client.register(
            RegistrationRequest(
                registration_token=registration_token,
                machine=machine_info(machine.keys),
                public_key_pem=_public_pem(key),
                proof=base64.b64encode(sign(key, registration_proof_input(server, registration_token))).decode(),
                evidence=identity.evidence,
                attestation=tpm.key if tpm else None,
            )
        )
        answered = identity.model_copy(update={"device_id": reply.device_id, "organization": reply.organization})
        devices.save_registered(answered, blob)
        result = None
        if tpm is not None and reply.challenge is not None:
            result = client.attest(_answer(tpm, reply.challenge, server, blob, key))
        return Registered(reply.device_id, reply.organization, result)


def _answer(
    tpm: Identity, challenge: CredentialChallenge, origin: str, blob: bytes, key: PrivateKey
) -> ChallengeAnswer:
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return ChallengeAnswer(
        activation=tpm.solve(challenge),
        certification=tpm.certify(blob, spki, challenge.nonce, purpose_at(origin, challenge.challenge_id)),
    )


def _pending_identity(machine: Machine, devices: DeviceStore, server: str) -> tuple[DeviceIdentity, bytes]:
    pending = devices.pending()
    if pending is not None and pending[0].server == server:
        return pending
    keys = machine.keys.usable(allow_software=True)
    stored = _device_key(keys)
    identity = DeviceIdentity(server=server, key_file=keys.key_file, evidence=stored.evidence)
    devices.save_pending(identity, stored.blob)
    return identity, stored.blob


def _device_key(keys: KeyStore) -> StoredKey:
    for algorithm in DEVICE_KEY_ALGORITHMS[:-1]:
        try:
            return keys.generate(algorithm)
        except AlgorithmUnsupported:
            continue
    return keys.generate(DEVICE_KEY_ALGORITHMS[-1])


def assertion(machine: Machine, origin: str) -> str:
    """A fresh assertion for the server at `origin`, signed by the device key (RFC 7523 section 3). Raises
    NotRegistered, and what the key store raises."""
    identity, blob = DeviceStore(machine.settings.state_dir).registered()
    key = machine.keys.for_key_file(identity.key_file).load(blob)
    issued = int(machine.now().timestamp())
    return jwt.encode(
        {
            "iss": identity.device_id,
            "sub": identity.device_id,
            "aud": origin,
            "iat": issued,
            "exp": issued + int(ASSERTION_LIFE.total_seconds()),
            "jti": secrets.token_hex(16),
        },
        key,
        algorithm="ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256",
    )


def _public_pem(key: PrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
