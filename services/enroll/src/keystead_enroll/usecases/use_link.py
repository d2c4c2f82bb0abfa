"""Use a link instead of the device that was chosen."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import OrderClosed
from keystead_enroll.ports import Clock, Secrets, Transactions
from keystead_enroll.usecases.change_order import own_order
from keystead_enroll.usecases.end_order import take_back
from keystead_enroll.usecases.links import add_first_job, add_link
from keystead_enroll.usecases.visit import find_visit


def use_link(
    transactions: Transactions, clock: Clock, secrets: Secrets, uri_extension: str, token: str | None, order_id: str
) -> None:
    """Takes an order away from a device that has not begun, and makes an enrollment link for it; once only.

    The device removes what it made meanwhile. Raises OrderClosed once it has shown a key, or the order has ended.
    """
    now = clock.now()
    with transactions.write() as tx:
        order = own_order(tx, find_visit(tx, clock, uri_extension, token), order_id, lock=True)
        if order.state is not OrderState.OFFERED:
            raise OrderClosed(Words("A computer is working on this request already, or it has ended."))
        if tx.claim_of(order.recipient) is not None:
            return
        take_back(tx, order, now, "The person who asked for it uses another computer.")
        add_link(tx, secrets, order, now)
        order.machine = ""
        tx.flush()
        add_first_job(tx, order, now)
