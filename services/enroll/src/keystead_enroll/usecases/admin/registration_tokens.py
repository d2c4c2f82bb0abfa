"""Registration tokens: make one, change its limits, revoke or delete it."""

from __future__ import annotations

from datetime import timedelta

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed
from keystead_enroll.domain.inputs import RegistrationTokenInput, RegistrationTokenLimitsInput
from keystead_enroll.domain.lists import ORGANIZATIONS, REGISTRATION_TOKENS
from keystead_enroll.domain.registration_tokens import RegistrationToken
from keystead_enroll.ports import Clock, Secrets, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, note, put, reach
from keystead_enroll.usecases.admin.tokens import MadeToken
from keystead_kit.secrets import new_id, new_token

PREFIX = "ksr_"
KIND = Words("registration token")
NAME_TAKEN = Words("Another registration token has this name already. Choose another name.")
RULERS_ONLY = Words("Only an administrator of the whole organization may let machines register.")


class TokenIsRevoked(Refusal):
    """A revoked token stays so, whatever its limits would be."""

    code = "conflict"
    default_advice = Words("Make a new token.")

    def __init__(self) -> None:
        super().__init__(Words("This registration token was revoked."))


def create_registration_token(
    transactions: Transactions,
    clock: Clock,
    secrets: Secrets,
    actor: Actor,
    wanted: RegistrationTokenInput,
    once: Once | None = None,
) -> MadeToken:
    """Makes a registration token; its secret is told once. Raises ThingUnknown, NotAllowed, InputRefused."""
    now, secret = clock.now(), f"{PREFIX}{new_token()}"
    with transactions.write() as tx:
        organization = reach(tx, ORGANIZATIONS, actor, wanted.organization_id, Words("organization"))
        if not actor.scope.rules_organization(organization.id):
            raise NotAllowed(RULERS_ONLY)
        fresh = RegistrationToken(
            id=new_id(),
            name=wanted.name,
            digest=secrets.registration_digest(secret),
            organization_id=organization.id,
            owner=wanted.owner,
            expires_at=now + timedelta(days=wanted.days),
            group=wanted.group,
            most_devices=wanted.most_devices,
            created_at=now,
            created_by=actor.name[:256],
        )
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return MadeToken(earlier, None)
        if not tx.add_first(fresh):
            raise InputRefused({"name": NAME_TAKEN})
        details = wanted.model_dump(include={"days", "owner", "group", "most_devices"})
        note(tx, actor, now, "registration_token.create", _target(fresh), details)
    return MadeToken(fresh.id, secret)


def change_registration_token(
    transactions: Transactions, clock: Clock, actor: Actor, token_id: str, wanted: RegistrationTokenLimitsInput
) -> None:
    """Gives a token other limits; devices that came with it stay and count. Raises ThingUnknown, NotAllowed,
    TokenIsRevoked."""
    with transactions.write() as tx:
        token = _ruled(tx, actor, token_id)
        if token.revoked_at is not None:
            raise TokenIsRevoked
        changed = put(token, wanted.model_dump())
        if changed:
            note(tx, actor, clock.now(), "registration_token.change", _target(token), changed)


def revoke_registration_token(transactions: Transactions, clock: Clock, actor: Actor, token_id: str) -> None:
    """Ends a token at once and for good, and keeps what is known of it; devices that came with it stay. Raises
    ThingUnknown, NotAllowed."""
    now = clock.now()
    with transactions.write() as tx:
        token = _ruled(tx, actor, token_id)
        if token.revoked_at is None:
            token.revoked_at = now
            note(tx, actor, now, "registration_token.revoke", _target(token), {"uses": token.uses})


def delete_registration_token(transactions: Transactions, clock: Clock, actor: Actor, token_id: str) -> None:
    """Ends a token at once and forgets it; devices that came with it stay. Raises ThingUnknown, NotAllowed."""
    with transactions.write() as tx:
        token = _ruled(tx, actor, token_id)
        note(tx, actor, clock.now(), "registration_token.delete", _target(token), {"uses": token.uses})
        tx.remove(token)


def _ruled(tx: Transaction, actor: Actor, token_id: str) -> RegistrationToken:
    token = reach(tx, REGISTRATION_TOKENS, actor, token_id, KIND)
    if not actor.scope.rules_organization(token.organization_id):
        raise NotAllowed(RULERS_ONLY)
    return token


def _target(token: RegistrationToken) -> Target:
    return Target(token.id, token.name, token.organization_id)
