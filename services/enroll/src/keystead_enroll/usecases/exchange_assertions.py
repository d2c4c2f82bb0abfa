"""Let registered devices sign in with their keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import jwt

from keystead_contracts.agent import AgentToken
from keystead_enroll.domain.enrollment import Organization
from keystead_enroll.domain.orders import Device
from keystead_enroll.domain.refusals import AssertionInvalid
from keystead_enroll.ports import Clock, Secrets, Transaction, TransactionsTogether, TransactionTogether
from keystead_enroll.usecases.together import attempt, together
from keystead_kit.secrets import token_digest

ASSERTION_SECONDS = 60
SKEW_SECONDS = 60
_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class SigningIn:
    """Who asserts to be a device."""

    assertion: str
    trace_id: str


@dataclass(frozen=True)
class _Claimed:
    """The same, with whose the assertion says that it is; nothing is verified yet."""

    assertion: str
    trace_id: str
    device_id: str


def exchange_assertions(
    transactions: TransactionsTogether, clock: Clock, secrets: Secrets, origin: str, asked: Sequence[SigningIn]
) -> list[AgentToken | Exception]:
    """A bearer token for each device that signed its assertion (RFC 7523 section 3), or AssertionInvalid."""
    now = clock.now()

    def foresee(tx: TransactionTogether, asked: Sequence[_Claimed]) -> None:
        tx.foresee_devices({each.device_id for each in asked})

    claimed = [attempt(_read, each) for each in asked]
    known = together(transactions, claimed, foresee, lambda tx, each: _recognize(tx, origin, each, now))
    return [each if isinstance(each, Exception) else _token(secrets, *each, now) for each in known]


def _read(asked: SigningIn) -> _Claimed:
    try:
        device_id = str(jwt.decode(asked.assertion, options={"verify_signature": False}).get("iss", ""))
    except jwt.InvalidTokenError as error:
        raise AssertionInvalid("The assertion is not a JWT.") from error
    if not _ID.fullmatch(device_id):
        raise AssertionInvalid("The device is not registered here.")
    return _Claimed(asked.assertion, asked.trace_id, device_id)


def _recognize(tx: Transaction, origin: str, asked: _Claimed, now: datetime) -> tuple[Device, Organization]:
    device = tx.device(asked.device_id)
    if device is None:
        raise AssertionInvalid("The device is not registered here.")
    claims = _verified(asked.assertion, device, origin)
    if not tx.burn_identity(token_digest(f"{device.id}{claims['jti']}"), now):
        raise AssertionInvalid("The assertion was used already.")
    device.last_seen_at = now
    return device, tx.organization(device.organization_id)


def _token(secrets: Secrets, device: Device, organization: Organization, now: datetime) -> AgentToken:
    token, seconds = secrets.agent_token(device.recipient, now)
    return AgentToken(
        access_token=token, expires_in=seconds, recipient=device.recipient, organization=organization.name
    )


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
