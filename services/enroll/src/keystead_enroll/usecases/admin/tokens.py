"""API tokens: make, revoke, and who comes with one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, ActorKind, Administrator, ApiToken, Scope
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed, ThingUnknown, TokenRefused
from keystead_enroll.domain.inputs import TokenInput
from keystead_enroll.domain.lists import API_TOKENS
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.administrators import manageable
from keystead_enroll.usecases.admin.common import Once, Target, note, reach
from keystead_kit.secrets import new_id, new_token, token_digest

PREFIX = "ksa_"
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class MadeToken:
    """A token that was made. `secret` is told once and kept nowhere; None if this was made by an earlier request."""

    id: str
    secret: str | None


def create_token(
    transactions: Transactions, clock: Clock, actor: Actor, wanted: TokenInput, once: Once | None = None
) -> MadeToken:
    """Makes a token for the actor, an administrator, with grants that they have. Raises NotAllowed, InputRefused."""
    if actor.kind is not ActorKind.ADMINISTRATOR:
        raise NotAllowed(Words("Only an administrator who is signed in makes API tokens; a token makes none."))
    return _made(transactions, clock, actor, actor.id, actor.scope, wanted, once)


def create_token_for(
    transactions: Transactions, clock: Clock, actor: Actor, email: str, wanted: TokenInput
) -> MadeToken:
    """Makes a token for the administrator with this address: for whoever works on the server itself. Raises
    ThingUnknown, NotAllowed, InputRefused."""
    if actor.kind is not ActorKind.SYSTEM:
        raise NotAllowed(Words("Only a command on the server itself makes tokens for others."))
    with transactions.read() as tx:
        owner = tx.administrator_by_email(email.strip().lower())
    if owner is None:
        raise ThingUnknown(Words("administrator"))
    if not owner.active:
        raise NotAllowed(Words("{name} is not active, so a token of theirs would open nothing.", name=owner.name))
    return _made(transactions, clock, actor, owner.id, owner.scope, wanted)


def _made(
    transactions: Transactions,
    clock: Clock,
    actor: Actor,
    owner_id: str,
    owner_scope: Scope,
    wanted: TokenInput,
    once: Once | None = None,
) -> MadeToken:
    grants = [grant.grant() for grant in wanted.grants] or list(owner_scope.grants)
    if not owner_scope.covers(grants):
        raise InputRefused({"grants": Words("A token cannot do more than you may.")})
    now, secret = clock.now(), f"{PREFIX}{new_token()}"
    fresh = ApiToken(
        id=new_id(),
        name=wanted.name,
        digest=token_digest(secret),
        administrator_id=owner_id,
        grants=[grant.to_plain() for grant in grants],
        created_at=now,
        expires_at=now + timedelta(days=wanted.days),
    )
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return MadeToken(earlier, None)
        tx.add(fresh)
        note(
            tx, actor, now, "token.create", Target(fresh.id, fresh.name), {"days": wanted.days, "grants": fresh.grants}
        )
    return MadeToken(fresh.id, secret)


def revoke_token(transactions: Transactions, clock: Clock, actor: Actor, token_id: str) -> None:
    """Ends a token at once. Its owner may, and whoever may change the owner. Raises ThingUnknown, NotAllowed."""
    now = clock.now()
    with transactions.write() as tx:
        token = reach_token(tx, actor, token_id)
        owner = tx.get(Administrator, token.administrator_id)
        if token.administrator_id != actor.id and (owner is None or not manageable(actor, owner)):
            raise NotAllowed(Words("Its owner also has a role that you do not have, so you may not end their tokens."))
        if token.revoked_at is None:
            token.revoked_at = now
            note(tx, actor, now, "token.revoke", Target(token.id, token.name))


def reach_token(tx: Transaction, actor: Actor, token_id: str) -> ApiToken:
    """The token, if it is the actor's own or of somebody in their scope. Raises ThingUnknown."""
    token = tx.get(ApiToken, token_id)
    if token is not None and token.administrator_id == actor.id:
        return token
    return reach(tx, API_TOKENS, actor, token_id, Words("API token"))


def actor_of_token(transactions: Transactions, clock: Clock, secret: str, address: str) -> Actor:
    """Whoever comes with this token, with what it and its owner may do now. Raises TokenRefused."""
    now = clock.now()
    with transactions.read() as tx:
        shown = tokens_shown(tx, {secret}, now)
    actor = shown.actor(secret, address)
    if isinstance(actor, TokenRefused):
        raise actor
    shown.note_use(transactions, now)
    return actor


def tokens_shown(tx: Transaction, secrets: Collection[str], now: datetime) -> ShownTokens:
    """What these tokens open at `now`, each read once however often it came."""
    digests = {secret: token_digest(secret) for secret in secrets if secret.startswith(PREFIX)}
    tokens = {token.digest: token for token in tx.api_tokens(set(digests.values()))}
    owners = {owner.id: owner for owner in tx.administrators({token.administrator_id for token in tokens.values()})}
    opening: dict[str, tuple[ApiToken, Administrator, Scope]] = {}
    for secret, digest in digests.items():
        token = tokens.get(digest)
        owner = owners.get(token.administrator_id) if token else None
        if token is not None and owner is not None and owner.active and token.usable(now):
            opening[secret] = token, owner, token.scope_within(owner.scope)
    return ShownTokens(opening)


@dataclass(frozen=True)
class ShownTokens:
    """Secret → token, owner and scope, of those that open anything."""

    opening: Mapping[str, tuple[ApiToken, Administrator, Scope]]

    def actor(self, secret: str, address: str) -> Actor | TokenRefused:
        """Whoever comes with this one."""
        if secret not in self.opening:
            return TokenRefused(Words("The API token is missing, or does not open anything."))
        token, owner, scope = self.opening[secret]
        return Actor(ActorKind.TOKEN, token.id, f"{owner.name} ({token.name})", scope, address)

    def note_use(self, transactions: Transactions, now: datetime) -> None:
        """Notes that they were used, once a minute."""
        tokens = [token for token, _, _ in self.opening.values()]
        used = [each.digest for each in tokens if not each.last_used_at or now - each.last_used_at > SEEN_EVERY]
        if used:
            with transactions.write() as tx:
                for token in tx.api_tokens(used):
                    token.last_used_at = now
