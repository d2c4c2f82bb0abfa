"""Sign in an administrator who did so a while ago."""

from __future__ import annotations

from keystead_auth.domain.administrator_errors import NotSignedIn
from keystead_auth.domain.administrators import Administrator, AdministratorSession, SignedInAdministrator
from keystead_auth.ports import Transactions
from keystead_auth.usecases.administrator_desk import AdministratorDesk, console_token, signed_in
from keystead_kit.secrets import token_digest


def recognize_administrator(desk: AdministratorDesk, session_token: str | None) -> SignedInAdministrator | None:
    """A fresh console token for the administrator of this session; None if it is over or ended."""
    if session_token is None:
        return None
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        try:
            session, administrator = signed_in(desk, tx, session_token, now)
        except NotSignedIn:
            return None
        tx.administrator_sessions.seen(session.digest, now)
    return SignedInAdministrator(administrator, console_token(desk, administrator, session, now))


def view_administrator(
    desk: AdministratorDesk, session_token: str | None
) -> tuple[AdministratorSession, Administrator, int]:
    """The session, whose it is, and how many recovery codes are left. Raises NotSignedIn."""
    with desk.transactions.read() as tx:
        session, administrator = signed_in(desk, tx, session_token, desk.clock.now())
        return session, administrator, tx.recovery_codes.left(administrator.id)


def view_sessions(desk: AdministratorDesk, session: AdministratorSession) -> list[AdministratorSession]:
    """Where else and here its administrator is signed in: the session first, then those used last."""
    with desk.transactions.read() as tx:
        administrator, now = tx.administrators.get(session.administrator), desk.clock.now()
        theirs = tx.administrator_sessions.of(session.administrator)
    open_ones = [each for each in theirs if each.recognizes(administrator, desk.rules, now)]
    return sorted(open_ones, key=lambda each: each.digest != session.digest)


def note_place(transactions: Transactions, session_token: str, address: str, user_agent: str) -> None:
    """Remembers where this session's browser is, and what it calls itself."""
    with transactions.write() as tx:
        tx.administrator_sessions.came_from(token_digest(session_token), address, user_agent)
