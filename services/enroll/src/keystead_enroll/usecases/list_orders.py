"""List orders for an administrator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import FormUnknown
from keystead_enroll.ports import Transaction, Transactions


@dataclass(frozen=True)
class OrderLine:
    """An order in a list. `wanted` is the name that the certificate is for."""

    id: str
    state: OrderState
    created_at: datetime
    state_at: datetime
    person: str
    wanted: str
    form: str
    profile: str


def list_orders(
    transactions: Transactions, *, state: OrderState | None, form: str | None, person: str | None, limit: int
) -> list[OrderLine]:
    """The newest `limit` orders, newest first. `form` is a form's name or the end of its address, `person` an e-mail
    address. Raises FormUnknown."""
    with transactions.read() as tx:
        forms = {each.id: each.name for each in tx.forms()}
        profiles = {each.id: each.name for each in tx.profiles()}
        found = tx.find_orders(
            state=state,
            form_id=_form_id(tx, form) if form is not None else None,
            email=person.strip().lower() if person is not None else None,
            limit=limit,
        )
        return [
            OrderLine(
                id=order.id,
                state=order.state,
                created_at=order.created_at,
                state_at=order.state_at or order.created_at,
                person=order.person_email,
                wanted=order.wanted_name,
                form=forms[order.form_id],
                profile=profiles[order.profile_id],
            )
            for order in found
        ]


def _form_id(tx: Transaction, wanted: str) -> str:
    for form in tx.forms():
        if wanted in (form.name, form.uri_extension):
            return form.id
    names = ", ".join(f"“{form.name}”" for form in tx.forms())
    raise FormUnknown(f"There is no form “{wanted}”.", f"There are {names}." if names else "There are none yet.")
