"""An administrator's visit to the console: come with auth's token, be recognized, go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from keystead_contracts.identity import AdministratorClaims
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, ActorKind, Administrator, ConsoleSession
from keystead_enroll.domain.administration_refusals import ConsoleClosed
from keystead_enroll.domain.refusals import IdentityRefused
from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.admin.common import Target, note
from keystead_kit.secrets import new_token, token_digest

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=1)
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Visitor:
    """Who is at the console, and what they may see and change."""

    administrator: Administrator
    actor: Actor


def open_console(
    transactions: Transactions, clock: Clock, claims: AdministratorClaims, address: str, language: str = ""
) -> str:
    """Starts a session for the verified `claims` and answers its token (256 bits, only its hash is stored). `language`
    is what the administrator is written to in from now on.

    Raises IdentityRefused if the token was used before or its administrator is not active here (any more).
    """
    now, token = clock.now(), new_token()
    with transactions.write() as tx:
        administrator = tx.get(Administrator, claims.sub)
        if administrator is None or not administrator.active or claims.method not in administrator.methods:
            raise IdentityRefused(Words("This administrator may not sign in here."))
        if not tx.burn_identity(claims.jti, now):
            raise IdentityRefused(Words("This sign-in was used already."))
        tx.add(
            ConsoleSession(
                digest=token_digest(token),
                administrator_id=administrator.id,
                method=claims.method,
                second_factor=claims.second_factor,
                created_at=now,
                expires_at=now + LIFETIME,
                seen_at=now,
                address=address[:64],
            )
        )
        administrator.last_seen_at, administrator.language = now, language
        actor = _actor(administrator, address)
        note(tx, actor, now, "console.sign-in", Target(administrator.id, administrator.name), {"method": claims.method})
    return token


def visitor_of(transactions: Transactions, clock: Clock, token: str | None, address: str) -> Visitor:
    """Whose session this is. Raises ConsoleClosed if there is none, or nobody came for an hour, or it is over."""
    now = clock.now()
    with transactions.read() as tx:
        session = tx.console_session(token_digest(token)) if token else None
        administrator = tx.get(Administrator, session.administrator_id) if session else None
    if session is None or administrator is None or not administrator.active:
        raise ConsoleClosed(Words("You are not signed in to the console."))
    if now >= session.expires_at or now - session.seen_at > IDLE:
        raise ConsoleClosed(Words("You were away for a long time, so you have been signed out."))
    if now - session.seen_at > SEEN_EVERY:
        with transactions.write() as tx:
            seen = tx.console_session(session.digest)
            if seen is not None:
                seen.seen_at = now
    return Visitor(administrator, _actor(administrator, address))


def close_console(transactions: Transactions, token: str) -> None:
    """Ends the session. An unknown one is no mistake."""
    with transactions.write() as tx:
        session = tx.console_session(token_digest(token))
        if session is not None:
            tx.remove(session)


def _actor(administrator: Administrator, address: str) -> Actor:
    return Actor(ActorKind.ADMINISTRATOR, administrator.id, administrator.name, administrator.scope, address)
