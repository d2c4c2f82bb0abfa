"""Lists as CSV files to download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from fastapi import Response

from keystead_enroll.csv_text import MEDIA_TYPE, write_csv
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.search import MOST_ROWS, ListDefinition, PageWanted
from keystead_enroll.ports import Transaction, Transactions

T = TypeVar("T")
MOST_EXPORTED = 50_000


def csv_response(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Response:
    """The file `name` with these rows."""
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(write_csv(columns, rows), media_type=MEDIA_TYPE, headers=headers)


def csv_of_list(
    transactions: Transactions,
    definition: ListDefinition[T],
    actor: Actor,
    wanted: PageWanted,
    columns: Sequence[str],
    row: Callable[[Transaction, T], Sequence[object]],
) -> Response:
    """All that the actor sees of the list and `wanted` searches for, in its order: the first `MOST_EXPORTED` rows."""
    rows: list[Sequence[object]] = []
    after = wanted.after
    while len(rows) < MOST_EXPORTED:
        with transactions.read() as tx:
            page = tx.page(definition, actor.scope, replace(wanted, limit=MOST_ROWS, after=after))
            rows += [row(tx, item) for item in page.items]
        after = page.next
        if after is None:
            break
    return csv_response(f"{definition.name}.csv", columns, rows)
