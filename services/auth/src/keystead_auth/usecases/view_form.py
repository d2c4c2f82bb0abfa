"""Show the form that somebody wants to sign in to."""

from __future__ import annotations

from keystead_auth.domain.sign_in import Form, open_form
from keystead_auth.ports import Transactions


def view_form(transactions: Transactions, uri: str) -> Form:
    """The form. Raises FormUnknown."""
    with transactions.read() as tx:
        return open_form(tx.forms.get(uri))
