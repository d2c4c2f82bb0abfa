"""What a person or an administrator may do to an order under way: a new link, cancel, approve, decline."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.agent import Remove
from keystead_contracts.events import OrderApproved, OrderRejected
from keystead_enroll.domain.jobs import Job, JobState
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.refusals import OrderClosed, OrderUnknown
from keystead_enroll.ports import Clock, Secrets, Transaction, Transactions
from keystead_enroll.usecases.links import add_link, offer
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_kit.secrets import new_id


def own_order(tx: Transaction, visit: Visit, order_id: str, *, lock: bool = False) -> Order:
    """The visitor's order at this form. Raises OrderUnknown, also if it is another person's."""
    order = tx.order(order_id, lock=lock)
    if order is None or order.form_id != visit.form.id or order.person_email != visit.session.email:
        raise OrderUnknown("There is no such request.")
    return order


def renew_link(
    transactions: Transactions, clock: Clock, secrets: Secrets, uri_extension: str, token: str | None, order_id: str
) -> None:
    """A fresh enrollment link for an order that waits for its agent. Raises OrderClosed once an agent has begun."""
    with transactions.write() as tx:
        order = own_order(tx, find_visit(tx, clock, uri_extension, token), order_id, lock=True)
        claim = tx.claim_of(order.recipient)
        if order.state is not OrderState.OFFERED or (claim is not None and claim.redeemed_at is not None):
            raise OrderClosed("A computer is working on this request already, or it has ended.")
        add_link(tx, secrets, order, clock.now())
        tx.wake(f"order:{order.id}")


def cancel_order(
    transactions: Transactions, clock: Clock, uri_extension: str, token: str | None, order_id: str
) -> None:
    """Ends an order before its certificate is signed. Raises OrderClosed when it is too late."""
    with transactions.write() as tx:
        order = own_order(tx, find_visit(tx, clock, uri_extension, token), order_id, lock=True)
        order.advance(OrderState.CANCELLED, clock.now(), "by the person")
        withdraw(tx, order, clock.now(), "The person who asked for it has cancelled the request.")
        tx.wake(f"order:{order.id}")


def decide_order(
    transactions: Transactions, clock: Clock, origin: str, order_id: str, *, approve: bool, note: str = ""
) -> Order:
    """An administrator approves or declines an order, and the person gets a letter; `note` is the reason that they
    will read. Answers the order. Raises OrderUnknown, OrderClosed."""
    now = clock.now()
    with transactions.write() as tx:
        order = tx.order(order_id, lock=True)
        if order is None:
            raise OrderUnknown(f"There is no request {order_id}.", "`keystead order list` shows those that there are.")
        if order.state is not OrderState.AWAITING_APPROVAL:
            raise OrderClosed(
                f"The request does not wait for approval: it is {order.state.value.replace('_', ' ')} since "
                f"{order.state_at or order.created_at:%Y-%m-%d %H:%M} UTC.",
                f"`keystead order show {order.id}` tells what happened to it.",
            )
        if approve:
            offer(tx, order, now)
        else:
            order.advance(OrderState.REJECTED, now, note)
            order.failure_advice = note or "Ask your administrator why."
            tx.wake(f"order:{order.id}")
        tx.record(_decision(tx, order, now, origin, note), destination="notify", trace_id=order.trace_id)
    return order


def _decision(tx: Transaction, order: Order, now: datetime, origin: str, note: str) -> OrderApproved | OrderRejected:
    form = tx.form(order.form_id)
    told = OrderApproved(
        email=order.person_email,
        organization=tx.organization(order.organization_id).name,
        form_name=form.name,
        order_id=order.id,
        certificate_type=order.certificate_type,
        wanted=order.wanted_name,
        decided_at=now,
        portal_link=f"{origin}/e/{form.uri_extension}/orders/{order.id}",
        help_link=form.help_link,
    )
    if order.state is OrderState.REJECTED:
        return OrderRejected(**told.model_dump(exclude={"type"}), reason=note)
    return told


def withdraw(tx: Transaction, order: Order, now: datetime, reason: str) -> None:
    """Takes an ended order's open jobs back, and has an agent that began on it remove what it made for it."""
    for job in tx.open_jobs_of_order(order.id):
        job.state = JobState.VOID
    if order.agent_seen_at is None and order.recipient.startswith("claim:"):
        return
    payload = Remove(reason=reason)
    tx.add(
        Job(
            id=new_id(),
            recipient=order.recipient,
            order_id=order.id,
            trace_id=order.trace_id,
            kind=payload.kind,
            payload=payload.model_dump(mode="json"),
            created_at=now,
            organization=tx.organization(order.organization_id).name,
        )
    )
    tx.wake(f"recipient:{order.recipient}")
