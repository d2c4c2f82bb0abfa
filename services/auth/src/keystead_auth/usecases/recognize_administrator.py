"""Sign in an administrator who did so a while ago."""

from __future__ import annotations

from keystead_auth.domain.administrator_errors import NotSignedIn
from keystead_auth.domain.administrators import Administrator, AdministratorSession, SignedInAdministrator
from keystead_auth.usecases.administrator_desk import AdministratorDesk, console_token, signed_in


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
