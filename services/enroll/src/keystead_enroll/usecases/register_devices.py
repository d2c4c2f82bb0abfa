"""Register machines as devices."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from keystead_contracts.agent import (
    RegistrationReply,
    RegistrationRequest,
    TpmEvidence,
    registration_proof_input,
)
from keystead_contracts.base import AssuranceLevel
from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.attestation_evidence import endorsement_fingerprint
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.keys import PublicKey, check_key_policy, spki_sha256, supported_key, verify_signature
from keystead_enroll.domain.orders import Device
from keystead_enroll.domain.refusals import RegistrationRefused
from keystead_enroll.domain.registration_tokens import TokenState
from keystead_enroll.domain.tpm_public import judge
from keystead_enroll.ports import Clock, Secrets, Transaction, TransactionsTogether, TransactionTogether
from keystead_enroll.usecases.challenge_tpm import challenge_device
from keystead_enroll.usecases.together import attempt, together
from keystead_kit.secrets import new_id

CHALLENGE_LIFE = timedelta(minutes=15)
_NOT_REGISTERED = "This registration token does not register this computer."


@dataclass(frozen=True)
class Registering:
    """A machine that registers."""

    request: RegistrationRequest
    trace_id: str


@dataclass(frozen=True)
class _Examined:
    """The same, with what was found before anything is looked up."""

    request: RegistrationRequest
    trace_id: str
    key: PublicKey
    level: AssuranceLevel


def register_devices(
    transactions: TransactionsTogether,
    clock: Clock,
    secrets: Secrets,
    roots: EkRoots,
    origin: str,
    asked: Sequence[Registering],
) -> list[RegistrationReply | Exception]:
    """Stores each machine and its device key; the same key again answers the same device, and counts as none of
    the devices that the registration token is for. A machine that shows an attestation key is challenged.

    Refuses by RegistrationRefused, and by EvidenceRefused if the key's evidence contradicts itself or the attestation
    key is not what it should be.
    """
    now = clock.now()

    def foresee(tx: TransactionTogether, asked: Sequence[_Examined]) -> None:
        tx.foresee_registrations(
            {secrets.registration_digest(each.request.registration_token) for each in asked},
            {spki_sha256(each.key) for each in asked},
        )
        shown = [each.request.attestation for each in asked if each.request.attestation]
        tx.foresee_endorsements({endorsement_fingerprint(each) for each in shown})

    examined = [attempt(partial(_examine, origin), each) for each in asked]
    return together(transactions, examined, foresee, lambda tx, each: _register(tx, secrets, roots, each, now))


def _examine(origin: str, asked: Registering) -> _Examined:
    request, key = asked.request, _public_key(asked.request.public_key_pem)
    try:
        proof = base64.b64decode(request.proof, validate=True)
        verify_signature(key, proof, registration_proof_input(origin, request.registration_token))
    except (Refusal, ValueError) as error:
        raise RegistrationRefused("The proof of possession of the device key is not valid.") from error
    return _Examined(request, asked.trace_id, key, judge(request.evidence, key).level)


def _register(tx: Transaction, secrets: Secrets, roots: EkRoots, asked: _Examined, now: datetime) -> RegistrationReply:
    request, key = asked.request, asked.key
    token = tx.registration_token(secrets.registration_digest(request.registration_token))
    state = token.state(now) if token else TokenState.REVOKED
    if token is None or state not in (TokenState.USABLE, TokenState.USED_UP):
        raise RegistrationRefused(_NOT_REGISTERED)
    organization = tx.organization(token.organization_id)
    device, fresh = tx.device_by_key(spki_sha256(key)), False
    if device is None:
        if state is TokenState.USED_UP:
            raise RegistrationRefused(_NOT_REGISTERED)
        device = Device(
            id=new_id(),
            organization_id=organization.id,
            name=request.machine.hostname,
            platform=request.machine.platform,
            public_key_pem=key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            spki_sha256=spki_sha256(key),
            owner=token.owner,
            registered_at=now,
            group=token.group,
            token_id=token.id,
            token_name=token.name,
            machine=request.machine.model_dump(mode="json"),
            assurance=asked.level,
        )
        fresh = tx.add_first(device)
        if not fresh:  # it was registered at this very moment
            device = tx.device_by_key(spki_sha256(key))
    if device is None or device.organization_id != organization.id:
        raise RegistrationRefused(_NOT_REGISTERED)
    device.machine = request.machine.model_dump(mode="json")
    device.assurance = device.assurance or asked.level
    tx.machine_came(device)
    challenge = None
    if request.attestation is not None and isinstance(request.evidence, TpmEvidence):
        sent, public_area = request.attestation, request.evidence.public_area
        until = now + CHALLENGE_LIFE
        challenge = challenge_device(tx, roots, organization.id, device.recipient, sent, public_area, now, until)
    if fresh and not tx.count_registration(token.id, now):
        raise RegistrationRefused(_NOT_REGISTERED)
    return RegistrationReply(device_id=device.id, organization=organization.name, challenge=challenge)


def _public_key(pem: str) -> PublicKey:
    try:
        key = supported_key(load_pem_public_key(pem.encode()))
        check_key_policy(key)
    except (Refusal, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RegistrationRefused("The device key is not a public key that can be used here.") from error
    return key
