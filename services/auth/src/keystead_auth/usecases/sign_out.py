"""End a session."""

from __future__ import annotations

from keystead_auth.ports import Transactions
from keystead_kit.secrets import token_digest


def sign_out(transactions: Transactions, session_token: str) -> None:
    """Ends the session, and every other that the same link began. An unknown session is no mistake."""
    with transactions.write() as tx:
        session = tx.sessions.get(token_digest(session_token))
        if session is not None:
            tx.sessions.end(session.link)
