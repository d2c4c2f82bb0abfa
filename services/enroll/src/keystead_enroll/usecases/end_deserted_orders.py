"""End the orders of agents that went away: a link's agent that began and can no longer go on."""

from __future__ import annotations

from datetime import timedelta

from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.end_order import fail_order
from keystead_kit.logs import get_logger
from keystead_kit.trace import tracing

BATCH = 100
REASON = Words("The computer began, but did not finish within a day.")
ADVICE = Words("Ask again, and open the new link on a computer that stays on until the certificate is installed.")
_log = get_logger()


def end_deserted_orders(transactions: Transactions, clock: Clock, origin: str, token_life: timedelta) -> int:
    """Fails one batch of orders that wait for an agent whose link is past `resumable_until`; how many those were.

    An agent that asked at the last moment works on until its bearer token ends, `token_life` later at most. An order
    for a registered device waits for its device and is left alone; so is a link that nobody has used. Safe to repeat,
    and for several workers at once.
    """
    now = clock.now()
    with transactions.write() as tx:
        orders = tx.claim_deserted_orders(now - token_life, BATCH)
        for order in orders:
            with tracing(order.trace_id):
                fail_order(tx, order, ProblemCode.CLAIM_INVALID, REASON, ADVICE, now, origin)
                _log.warning("order ended, its agent is gone", order_id=order.id)
    return len(orders)
