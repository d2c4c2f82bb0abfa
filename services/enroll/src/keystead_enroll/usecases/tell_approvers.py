"""Tell administrators that requests wait for their approval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from keystead_contracts.events import ApprovalsWaiting, WaitingRequest
from keystead_enroll.domain.administration import Administrator
from keystead_enroll.domain.lists import ORDERS
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.search import Comparison, Criterion, Search
from keystead_enroll.ports import Clock, Transaction, Transactions

MOST_AT_ONCE, MOST_LISTED = 1000, 10
WAITING = Search((), (Criterion("state", Comparison.IS, OrderState.AWAITING_APPROVAL),))


def tell_approvers(transactions: Transactions, clock: Clock, origin: str, pause: timedelta) -> int:
    """Has a letter written to each administrator who may decide requests that wait and that they were not told of; how
    many letters those are.

    Nobody gets two within `pause`: what comes meanwhile is in the next one, together. Each is told each request once.
    Safe to repeat, and for several workers at once.
    """
    now = clock.now()
    told = 0
    with transactions.write() as tx:
        for administrator in tx.claim_approvers(now - pause):
            fresh = tx.untold_requests(administrator, MOST_AT_ONCE)
            if fresh:
                tx.record(_letter(tx, administrator, fresh, now, origin), destination="notify")
                tx.note_told(administrator, fresh, now)
                administrator.approvals_told_at = now
                told += 1
    return told


def _letter(
    tx: Transaction, administrator: Administrator, fresh: Sequence[Order], now: datetime, origin: str
) -> ApprovalsWaiting:
    waiting = tx.count(ORDERS, administrator.scope, WAITING)
    only = f"/{fresh[0].id}" if waiting == 1 else f"?q=state:{OrderState.AWAITING_APPROVAL}"
    return ApprovalsWaiting(
        email=administrator.email,
        name=administrator.name,
        waiting=waiting,
        fresh=len(fresh),
        requests=[_told(tx, order) for order in fresh[:MOST_LISTED]],
        told_at=now,
        console_link=f"{origin}/console/requests{only}",
        language=administrator.language,
    )


def _told(tx: Transaction, order: Order) -> WaitingRequest:
    form = tx.form_of(order)
    return WaitingRequest(
        wanted=order.wanted_name,
        person=order.asked_by,
        organization=tx.organization(order.organization_id).name,
        form_name=form.name if form else "",
        certificate_type=order.certificate_type,
        asked_at=order.created_at,
    )
