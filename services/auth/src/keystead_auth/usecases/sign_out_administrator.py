"""End an administrator's session."""

from __future__ import annotations

from keystead_auth.ports import Transactions
from keystead_kit.secrets import token_digest


def sign_out_administrator(transactions: Transactions, *tokens: str | None) -> None:
    """Ends the session, and what was half begun, of these tokens. An unknown one is no mistake."""
    with transactions.write() as tx:
        for token in tokens:
            if token is not None:
                tx.administrator_sessions.end(token_digest(token))
                tx.half_sessions.take(token_digest(token))
