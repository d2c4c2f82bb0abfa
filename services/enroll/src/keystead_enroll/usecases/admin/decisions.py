"""Approve or decline several requests."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.inputs import DecisionsInput
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.usecases.change_order import decide_order


@dataclass(frozen=True)
class Decided:
    """What became of one request: where it stands now, or why it was not decided."""

    id: str
    state: OrderState | None
    refusal: Refusal | None = None


def decide_several(
    transactions: Transactions, clock: Clock, origin: str, actor: Actor, wanted: DecisionsInput
) -> list[Decided]:
    """Decides each request by itself, in the given order; an id that comes twice is decided once."""
    results = []
    for order_id in dict.fromkeys(wanted.ids):
        try:
            order = decide_order(
                transactions, clock, origin, actor, order_id, approve=wanted.approve, remark=wanted.note
            )
            results.append(Decided(order_id, order.state))
        except Refusal as refusal:
            results.append(Decided(order_id, None, refusal))
    return results
