"""End an administrator's session, or all others."""

from __future__ import annotations

from keystead_auth.domain.administrators import SignedInAdministrator
from keystead_auth.ports import Transactions
from keystead_auth.usecases.administrator_desk import (
    AdministratorDesk,
    begin_session,
    sign_out_everywhere,
    signed_in,
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
