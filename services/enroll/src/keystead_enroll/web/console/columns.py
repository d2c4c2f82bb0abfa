"""Which columns of a list are shown. The browser remembers those that were taken away, list by list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastapi import Request

from keystead_enroll.web.console.widgets import Choice, Column, ColumnPicker, ListPage

COOKIE, PICKED, KEPT_SECONDS = "columns", "picked", 366 * 24 * 3600
_MOST = 1000
"""Characters of the cookie."""


def hidden_columns(request: Request, remembered: str | None, name: str, columns: Sequence[Column]) -> frozenset[str]:
    """The keys of the columns of the list `name` that are not to be shown. The first column always is."""
    optional = {column.key for column in columns[1:]}
    if PICKED in request.query_params:
        return frozenset(optional - set(request.query_params.getlist("columns")))
    return frozenset(optional & set(_read(remembered).get(name, ())))


def with_columns(
    page: ListPage,
    hidden: frozenset[str],
    action: str,
    kept: tuple[tuple[str, str], ...],
    request: Request,
    remembered: str | None,
    name: str,
) -> ListPage:
    """`page` without the hidden columns, with what chooses others, and with what the browser is to remember from now on
    if some were just chosen."""
    shown = [at for at, column in enumerate(page.columns) if column.key not in hidden]
    picker = ColumnPicker(
        action,
        tuple(Choice(column.key, column.label, column.key not in hidden) for column in page.columns[1:]),
        (*kept, (PICKED, "1")),
    )
    return replace(
        page,
        columns=tuple(page.columns[at] for at in shown),
        rows=tuple(replace(row, cells=tuple(row.cells[at] for at in shown)) for row in page.rows),
        picker=picker if len(page.columns) > 2 else None,
        remembered=_written(_read(remembered) | {name: sorted(hidden)}) if PICKED in request.query_params else None,
    )


def _read(remembered: str | None) -> dict[str, Sequence[str]]:
    lists = [each.partition(":") for each in (remembered or "").split("|")]
    return {name: keys.split(".") for name, _, keys in lists if name and keys}


def _written(lists: Mapping[str, Sequence[str]]) -> str:
    return "|".join(f"{name}:{'.'.join(keys)}" for name, keys in lists.items() if keys)[:_MOST]
