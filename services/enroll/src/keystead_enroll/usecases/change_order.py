"""What a person or an administrator may do to an order under way: a new link, cancel, approve, decline."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.events import OrderApproved, OrderRejected
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.lists import ORDERS
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.refusals import OrderClosed, OrderUnknown
from keystead_enroll.ports import Clock, Secrets, Transaction, Transactions
from keystead_enroll.usecases.admin.common import note, person_actor, reach
from keystead_enroll.usecases.end_order import order_target, take_back, tell_person
from keystead_enroll.usecases.letterhead import letterhead
from keystead_enroll.usecases.links import add_link, proceed
from keystead_enroll.usecases.visit import Visit, find_visit

BY_PERSON = "by the person"
CANCELLED_BY_ADMINISTRATOR = Words("Your administrator cancelled the request.")


def own_order(tx: Transaction, visit: Visit, order_id: str, *, lock: bool = False) -> Order:
    """The visitor's order at this form. Raises OrderUnknown, also if it is another person's."""
    order = tx.order(order_id, lock=lock)
    if order is None or order.form_id != visit.form.id or order.person_email != visit.session.email:
        raise OrderUnknown(Words("There is no such request."))
    return order


def renew_link(
    transactions: Transactions, clock: Clock, secrets: Secrets, uri_extension: str, token: str | None, order_id: str
) -> None:
    """A fresh enrollment link for an order that waits for its agent. Raises OrderClosed once an agent has begun."""
    with transactions.write() as tx:
        order = own_order(tx, find_visit(tx, clock, uri_extension, token), order_id, lock=True)
        claim = tx.claim_of(order.recipient)
        if order.state is not OrderState.OFFERED or (claim is not None and claim.redeemed_at is not None):
            raise OrderClosed(
                Words("A computer is working on this request already, or it has ended."),
                Words("If that computer cannot finish, cancel the request on its page and ask again."),
            )
        add_link(tx, secrets, order, clock.now())
        tx.wake(f"order:{order.id}")


def cancel_order(
    transactions: Transactions, clock: Clock, uri_extension: str, token: str | None, order_id: str, address: str = ""
) -> None:
    """The person ends an order that is not installed. Raises OrderClosed when it is too late."""
    with transactions.write() as tx:
        order = own_order(tx, find_visit(tx, clock, uri_extension, token), order_id, lock=True)
        now = clock.now()
        _cancel(tx, order, now, BY_PERSON, "The person who asked for it has cancelled the request.")
        note(tx, person_actor(order.person_email, address), now, "request.cancel", order_target(order))


def cancel_any_order(
    transactions: Transactions, clock: Clock, origin: str, actor: Actor, order_id: str, remark: str = ""
) -> None:
    """An administrator ends an order that is not installed; the person is told, with `remark`.

    Raises ThingUnknown, OrderClosed.
    """
    now = clock.now()
    with transactions.write() as tx:
        order = _order_in_reach(tx, actor, order_id)
        reason: str = CANCELLED_BY_ADMINISTRATOR
        if remark:
            reason = Words("Your administrator cancelled the request: {reason}", reason=remark)
        end_by_administrator(tx, order, now, remark, reason, origin)
        note(tx, actor, now, "request.cancel", order_target(order), {"note": remark})


def end_by_administrator(tx: Transaction, order: Order, now: datetime, remark: str, reason: str, origin: str) -> None:
    """Cancels `order`, and tells the person the `reason`. Raises OrderClosed."""
    _cancel(tx, order, now, remark, reason)
    advice = Words("Ask your administrator why, or ask again.")
    order.explain(reason, advice)
    tell_person(tx, order, reason, advice, now, origin)


def _cancel(tx: Transaction, order: Order, now: datetime, note: str, reason: str) -> None:
    if order.state is OrderState.SIGNING:
        raise OrderClosed(Words("The certificate is being signed at this moment."), Words("Try again in a minute."))
    if order.over:
        raise OrderClosed(Words("The request has ended already, or its certificate is installed."))
    order.advance(OrderState.CANCELLED, now, note)
    take_back(tx, order, now, reason)


def _order_in_reach(tx: Transaction, actor: Actor, order_id: str) -> Order:
    order = tx.order(reach(tx, ORDERS, actor, order_id, Words("request")).id, lock=True)
    if order is None:
        raise ThingUnknown(Words("request"))
    return order


def decide_order(
    transactions: Transactions,
    clock: Clock,
    origin: str,
    actor: Actor,
    order_id: str,
    *,
    approve: bool,
    remark: str = "",
) -> Order:
    """An administrator approves or declines an order, and the person gets a letter; `remark` is the reason that they
    will read if it is declined. Answers the order. Raises ThingUnknown, OrderClosed."""
    now = clock.now()
    with transactions.write() as tx:
        order = _order_in_reach(tx, actor, order_id)
        if order.state is not OrderState.AWAITING_APPROVAL:
            raise OrderClosed(
                Words(
                    "The request does not wait for approval: it is {state} since {time} UTC.",
                    state=order.state.value.replace("_", " "),
                    time=f"{order.state_at or order.created_at:%Y-%m-%d %H:%M}",
                ),
                Words("Its history tells what happened to it."),
            )
        if approve:
            proceed(tx, order, now)
        else:
            order.advance(OrderState.REJECTED, now, remark)
            order.failure_advice = remark or "Ask your administrator why."
            tx.wake(f"order:{order.id}")
        letter = _decision(tx, order, now, origin, remark)
        if letter is not None:
            tx.record(letter, destination="notify", trace_id=order.trace_id)
        done = "request.approve" if approve else "request.reject"
        note(tx, actor, now, done, order_target(order), {"note": remark})
    return order


def _decision(
    tx: Transaction, order: Order, now: datetime, origin: str, remark: str
) -> OrderApproved | OrderRejected | None:
    form = tx.form_of(order)
    if form is None:
        return None
    told = OrderApproved(
        **letterhead(order, form, tx.organization(order.organization_id), origin),
        certificate_type=order.certificate_type,
        wanted=order.wanted_name,
        decided_at=now,
    )
    if order.state is OrderState.REJECTED:
        return OrderRejected(**told.model_dump(exclude={"type"}), reason=remark)
    return told
