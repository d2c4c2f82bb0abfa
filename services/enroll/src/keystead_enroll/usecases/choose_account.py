"""Choose which of a form's accounts to use."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.refusals import RequestRefused
from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.visit import find_visit


def choose_account(
    transactions: Transactions, clock: Clock, uri_extension: str, token: str | None, account_id: str
) -> None:
    """Remembers the choice. Raises RequestRefused if the person may not use that account."""
    with transactions.write() as tx:
        visit = find_visit(tx, clock, uri_extension, token)
        if account_id not in {account.id for account in visit.accounts}:
            raise RequestRefused({"account": Words("Choose one of these.")})
        visit.session.account_id = account_id
