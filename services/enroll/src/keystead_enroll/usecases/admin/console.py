"""An administrator's visit to the console: come with auth's token, be recognized, go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from keystead_contracts.identity import AdministratorClaims
from keystead_contracts.people import AdministratorSeen, AdministratorSignInsEnded
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, ActorKind, Administrator, ConsoleSession
from keystead_enroll.domain.administration_refusals import ConsoleClosed
from keystead_enroll.domain.refusals import IdentityRefused
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Target, note
from keystead_kit.secrets import new_token, token_digest

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=1)
SEEN_EVERY, TOLD_EVERY = timedelta(minutes=1), timedelta(minutes=5)


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
        if claims.session and tx.identity_burned(_ended(claims.session)):
            raise IdentityRefused(Words("This sign-in was ended."))
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
                sign_in=claims.session,
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
                if seen.sign_in and now - _told_at(seen.seen_at) >= TOLD_EVERY:
                    fact = AdministratorSeen(administrator_id=administrator.id, session=seen.sign_in, seen_at=now)
                    tx.record(fact, destination="auth")
                seen.seen_at = now
    return Visitor(administrator, _actor(administrator, address))


def close_console(transactions: Transactions, token: str) -> None:
    """Ends the session. An unknown one is no mistake."""
    with transactions.write() as tx:
        session = tx.console_session(token_digest(token))
        if session is not None:
            tx.remove(session)


def end_consoles(tx: Transaction, fact: AdministratorSignInsEnded, now: datetime) -> None:
    """Closes what an administrator's sign-ins opened, or one of them: nobody comes through that one any more."""
    if not fact.session:
        tx.end_console_sessions(fact.administrator_id, fact.ended_at)
        return
    tx.burn_identity(_ended(fact.session), now)
    tx.end_console_sessions_of(fact.administrator_id, fact.session)


def _ended(sign_in: str) -> str:
    """What is burned of a sign-in that was ended."""
    return f"sign-in:{sign_in}"


def _told_at(seen_at: datetime) -> datetime:
    """When auth was told last of a session that was seen then: at the first use of each five minutes."""
    return seen_at - timedelta(seconds=seen_at.timestamp() % TOLD_EVERY.total_seconds())


def _actor(administrator: Administrator, address: str) -> Actor:
    return Actor(ActorKind.ADMINISTRATOR, administrator.id, administrator.name, administrator.scope, address)
