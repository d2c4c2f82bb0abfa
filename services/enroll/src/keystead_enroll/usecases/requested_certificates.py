"""Look what became of requests for certificates, many at once."""

from __future__ import annotations

from collections.abc import Sequence

from keystead_enroll.domain.outcomes import Outcome
from keystead_enroll.ports import Transactions


def requested_certificates(transactions: Transactions, order_ids: Sequence[str]) -> list[Outcome | Exception]:
    """The outcome of each order, in their order; LookupError for one that is gone."""
    with transactions.read() as tx:
        found = {outcome.order_id: outcome for outcome in tx.outcomes(set(order_ids))}
    return [found.get(order_id) or LookupError(f"order {order_id} is gone") for order_id in order_ids]
