"""Requests in words, and the two pages on which several of them are decided."""

from __future__ import annotations

from collections.abc import Sequence

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.lists import ORDERS
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.decisions import Decided
from keystead_enroll.web.console.cells import Tone, code, tag, text
from keystead_enroll.web.console.form_widgets import ConfirmPage, FormField
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import Posted
from keystead_enroll.web.console.widgets import Action, Column, Crumb, DetailPage, Notice, Row, Section, Table

BASE = f"{HOME}/requests"
TOP = Crumb(Words("Requests"), BASE)
TYPED_FROM = 11
"""From how many requests on the number has to be typed."""
STATES: dict[OrderState, tuple[Tone, Words]] = {
    OrderState.SUBMITTED: ("calm", Words("Received")),
    OrderState.AWAITING_APPROVAL: ("warn", Words("Waits for approval")),
    OrderState.OFFERED: ("calm", Words("Waits for the computer")),
    OrderState.CSR_ACCEPTED: ("calm", Words("Checked")),
    OrderState.SIGNING: ("calm", Words("Being signed")),
    OrderState.ISSUED: ("calm", Words("Issued")),
    OrderState.INSTALLED: ("good", Words("Installed")),
    OrderState.REJECTED: ("bad", Words("Declined")),
    OrderState.FAILED: ("bad", Words("Failed")),
    OrderState.CANCELLED: ("calm", Words("Cancelled")),
}
WAITING = f"state:{OrderState.AWAITING_APPROVAL}"
NOTE = FormField(
    "note",
    Words("Note"),
    "textarea",
    required=False,
    hint=Words("Kept in the audit log; the person does not see it."),
    more={"maxlength": 1000},
)
REASON = FormField(
    "note",
    Words("Reason"),
    "textarea",
    hint=Words("The person reads it, in the letter and on the request's page."),
    more={"maxlength": 1000},
)


def confirm_several(orders: Sequence[Order], posted: Posted, errors: dict[str, str], *, approve: bool) -> ConfirmPage:
    count = len(orders)
    verb = (
        Words.plural("Approve {n} request", "Approve {n} requests", count)
        if approve
        else Words.plural("Decline {n} request", "Decline {n} requests", count)
    )
    return ConfirmPage(
        title=verb,
        verb=verb,
        action=f"{BASE}/decided",
        cancel_url=f"{BASE}?q={WAITING}",
        consequences=(Words("Each person gets a letter."),),
        objects=tuple(text(order.wanted_name, order.person_email) for order in orders),
        typed_word=str(count) if count >= TYPED_FROM else None,
        fields=(NOTE if approve else REASON,),
        hidden=(("decision", "approve" if approve else "reject"), *(("chosen", order.id) for order in orders)),
        values={"note": posted.text("note")},
        errors=errors,
        crumbs=(TOP,),
        danger=not approve,
    )


def results_page(tx: Transaction, actor: Actor, results: Sequence[Decided], *, approve: bool) -> DetailPage:
    """What became of each."""
    rows = []
    for each in results:
        order = tx.in_reach(ORDERS, actor.scope, each.id)
        name = text(order.wanted_name, order.person_email) if order else code(each.id)
        became = tag(*STATES[each.state]) if each.state else tag("bad", Words("Not decided"))
        why = text(each.refusal.detail if each.refusal else "")
        rows.append(Row(f"{BASE}/{each.id}" if order else BASE, (name, became, why)))
    done = sum(each.refusal is None for each in results)
    said = (
        Words.plural("{n} request was approved.", "{n} requests were approved.", done)
        if approve
        else Words.plural("{n} request was declined.", "{n} requests were declined.", done)
    )
    return DetailPage(
        title=Words("Requests decided"),
        crumbs=(TOP,),
        actions=(Action(Words("Back to those that wait"), f"{BASE}?q={WAITING}", "primary"),),
        notices=(Notice(said, "good" if done == len(results) else "warn"),),
        sections=(
            Section(
                Words("Results"),
                table=Table(
                    (
                        Column("request", Words("Request")),
                        Column("became", Words("Now"), narrow=True),
                        Column("why", Words("Why")),
                    ),
                    tuple(rows),
                ),
            ),
        ),
    )
