"""What needs an administrator, and how things go."""

from __future__ import annotations

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.figures import Figures
from keystead_enroll.ports import Clock, Transactions


def show_dashboard(transactions: Transactions, clock: Clock, actor: Actor) -> Figures:
    """The numbers of what is in the actor's scope."""
    with transactions.read() as tx:
        return tx.figures(actor.scope, clock.now())
