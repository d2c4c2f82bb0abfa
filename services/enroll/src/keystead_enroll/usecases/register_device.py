"""Register a machine as a device, and let a registered device sign in with its key."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from keystead_contracts.agent import (
    AgentToken,
    RegistrationReply,
    RegistrationRequest,
    TpmEvidence,
    registration_proof_input,
)
from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.keys import PublicKey, check_key_policy, spki_sha256, supported_key, verify_signature
from keystead_enroll.domain.orders import Device
from keystead_enroll.domain.refusals import AssertionInvalid, RegistrationRefused
from keystead_enroll.domain.registration_tokens import TokenState
from keystead_enroll.domain.tpm_public import judge
from keystead_enroll.ports import Clock, Secrets, Transactions
from keystead_enroll.usecases.challenge_tpm import challenge_device
from keystead_kit.secrets import new_id, token_digest

CHALLENGE_LIFE = timedelta(minutes=15)
ASSERTION_SECONDS = 60
SKEW_SECONDS = 60
_ID = re.compile("[0-9a-f]{32}")
_NOT_REGISTERED = "This registration token does not register this computer."


def register_device(
    transactions: Transactions,
    clock: Clock,
    secrets: Secrets,
    roots: EkRoots,
    origin: str,
    request: RegistrationRequest,
) -> RegistrationReply:
    """Stores the machine and its device key; the same key again answers the same device, and counts as none of the
    devices that the registration token is for. A machine that shows an attestation key is challenged.

    Raises RegistrationRefused, and EvidenceRefused if the key's evidence contradicts itself or the attestation key is
    not what it should be.
    """
    now = clock.now()
    key = _public_key(request.public_key_pem)
    try:
        proof = base64.b64decode(request.proof, validate=True)
        verify_signature(key, proof, registration_proof_input(origin, request.registration_token))
    except (Refusal, ValueError) as error:
        raise RegistrationRefused("The proof of possession of the device key is not valid.") from error
    judgement = judge(request.evidence, key)
    with transactions.write() as tx:
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
            )
            fresh = tx.add_first(device)
            if not fresh:  # it was registered at this very moment
                device = tx.device_by_key(spki_sha256(key))
        if device is None or device.organization_id != organization.id:
            raise RegistrationRefused(_NOT_REGISTERED)
        device.machine = request.machine.model_dump(mode="json")
        device.assurance = device.assurance or judgement.level
        challenge = None
        if request.attestation is not None and isinstance(request.evidence, TpmEvidence):
            sent, public_area = request.attestation, request.evidence.public_area
            until = now + CHALLENGE_LIFE
            challenge = challenge_device(tx, roots, organization.id, device.recipient, sent, public_area, now, until)
        if fresh and not tx.count_registration(token.id, now):
            raise RegistrationRefused(_NOT_REGISTERED)
        return RegistrationReply(device_id=device.id, organization=organization.name, challenge=challenge)


def exchange_assertion(
    transactions: Transactions, clock: Clock, secrets: Secrets, origin: str, assertion: str
) -> AgentToken:
    """A bearer token for a device that signed `assertion` with its key (RFC 7523 section 3), or AssertionInvalid."""
    now = clock.now()
    try:
        device_id = str(jwt.decode(assertion, options={"verify_signature": False}).get("iss", ""))
    except jwt.InvalidTokenError as error:
        raise AssertionInvalid("The assertion is not a JWT.") from error
    with transactions.write() as tx:
        device = tx.device(device_id) if _ID.fullmatch(device_id) else None
        if device is None:
            raise AssertionInvalid("The device is not registered here.")
        claims = _verified(assertion, device, origin)
        if not tx.burn_identity(token_digest(f"{device.id}{claims['jti']}"), now):
            raise AssertionInvalid("The assertion was used already.")
        device.last_seen_at = now
        organization, recipient = tx.organization(device.organization_id).name, device.recipient
    token, seconds = secrets.agent_token(recipient, now)
    return AgentToken(access_token=token, expires_in=seconds, recipient=recipient, organization=organization)


def _verified(assertion: str, device: Device, origin: str) -> dict[str, object]:
    try:
        claims: dict[str, object] = jwt.decode(
            assertion,
            device.public_key_pem,
            algorithms=["ES256", "ES384", "RS256"],
            audience=origin,
            issuer=device.id,
            leeway=SKEW_SECONDS,
            options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
        )
        life = float(str(claims["exp"])) - float(str(claims["iat"]))  # NumericDate may have a fraction
    except (
        jwt.PyJWTError,
        ValueError,
        TypeError,
        OverflowError,
    ) as error:  # also: the header names another kind of key
        raise AssertionInvalid("The assertion is not valid.") from error
    if claims["sub"] != device.id or not 0 < life <= ASSERTION_SECONDS or not _ID.fullmatch(str(claims["jti"])):
        raise AssertionInvalid("The assertion lives too long, or its subject or id is not as agreed.")
    return claims


def _public_key(pem: str) -> PublicKey:
    try:
        key = supported_key(load_pem_public_key(pem.encode()))
        check_key_policy(key)
    except (Refusal, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RegistrationRefused("The device key is not a public key that can be used here.") from error
    return key
