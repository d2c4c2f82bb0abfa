"""End an administrator's session, or all others."""

from __future__ import annotations

from keystead_auth.domain.administrators import SignedInAdministrator
from keystead_auth.ports import Transactions
from keystead_auth.usecases.administrator_desk import (
    AdministratorDesk,
    begin_session,
    sign_out_everywhere,
    signed_in,
    tell_ended,
)
from keystead_kit.secrets import token_digest


def sign_out_administrator(transactions: Transactions, *tokens: str | None) -> None:
    """Ends the session, and what was half begun, of these tokens. An unknown one is no mistake."""
    with transactions.write() as tx:
        for token in tokens:
            if token is not None:
                tx.administrator_sessions.end(token_digest(token))
                tx.half_sessions.take(token_digest(token))


def sign_out_elsewhere(desk: AdministratorDesk, session_token: str | None) -> SignedInAdministrator:
    """Ends every session of theirs but this one, which goes on with a new token. Raises NotSignedIn."""
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        session, administrator = signed_in(desk, tx, session_token, now)
        tx.administrators.get(administrator.id, lock=True)
        sign_out_everywhere(tx, administrator.id, now)
        return begin_session(desk, tx, administrator, session.method, second_factor=session.second_factor, now=now)


def sign_out_session(desk: AdministratorDesk, session_token: str | None, id: str) -> bool:
    """Ends the session of theirs with this id, here and at the console; whether it is the one that asks. One that is
    over or not theirs is no mistake. Raises NotSignedIn."""
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        session, administrator = signed_in(desk, tx, session_token, now)
        if id and tx.administrator_sessions.end_one(administrator.id, id):
            tell_ended(tx, administrator.id, now, id)
    return id == session.id
