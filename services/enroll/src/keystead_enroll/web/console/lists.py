"""A list page from a list's definition: search, chips, order, page size, next page, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Request

from keystead_enroll.domain.administration_refusals import CursorInvalid, SearchInvalid
from keystead_enroll.domain.search import USUAL_ROWS, ListDefinition, Page, PageWanted, Search, parse_search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.columns import COOKIE, hidden_columns, with_columns
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.console.widgets import Chip, Column, ListPage, PageSize, Row, SearchBox, SearchField

T = TypeVar("T")
SIZES = (25, 50, 100, 200)


@dataclass(frozen=True)
class Listing(Generic[T]):
    """How a list is shown. `page` has what does not depend on the request; a column whose key is an order of the
    definition can be sorted by. `row` makes a row of an entity; its transaction is still open."""

    definition: ListDefinition[T]
    page: ListPage
    row: Callable[[Transaction, T], Row]
    path: str
    exports: bool = False


def list_page(tools: ConsoleTools, request: Request, visitor: Visitor, listing: Listing[T]) -> ListPage:
    """The page that the request's address asks for. A search that makes no sense is said in the search box."""
    query = request.query_params
    text, error = query.get("q", ""), ""
    definition = listing.definition
    try:
        search = parse_search(text, definition.fields, tools.clock.now())
    except SearchInvalid as refusal:
        search, error = Search(), f"{refusal.detail} {refusal.advice}"
    sort, size = query.get("sort", ""), query.get("limit", "")
    limit = int(size) if size in {str(each) for each in SIZES} else USUAL_ROWS
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    if name not in definition.sorts:
        name, descending, sort = "", False, ""
    wanted = PageWanted(search, name, descending, limit, query.get("after") or None)
    with tools.transactions.read() as tx:
        found, rows, total = _read(tx, visitor, listing, wanted, nothing=bool(error))

    def url(**changes: str) -> str:
        kept = {"q": text, "sort": sort, "limit": size} | changes
        plain = {key: value for key, value in kept.items() if value}
        return f"{listing.path}?{urlencode(plain)}" if plain else listing.path

    remembered = tools.context.cookies.get(request, COOKIE)
    hidden = hidden_columns(request, remembered, definition.name, listing.page.columns)
    kept = tuple((key, value) for key, value in (("q", text), ("sort", sort), ("limit", size)) if value)
    page = replace(
        listing.page,
        columns=tuple(_column(column, definition, name, descending, url) for column in listing.page.columns),
        rows=tuple(rows),
        total=total,
        search=SearchBox(
            action=listing.path,
            text=text,
            fields=tuple(SearchField(n, f"{n}:{f.example}", f.meaning) for n, f in definition.fields.items()),
            chips=_chips(search, text, url),
            hidden=tuple((key, value) for key, value in kept if key != "q"),
            clear_url=url(q=""),
            error=error,
        ),
        next_url=url(after=found.next) if found.next else "",
        first_url=url() if wanted.after else "",
        page_sizes=tuple(PageSize(each, url(limit=str(each)), each == limit) for each in SIZES),
        export_url=f"{listing.path}/export.csv?{urlencode({'q': text})}" if listing.exports else "",
    )
    return with_columns(page, hidden, listing.path, kept, request, remembered, definition.name)


def _read(
    tx: Transaction, visitor: Visitor, listing: Listing[T], wanted: PageWanted, *, nothing: bool
) -> tuple[Page[T], Sequence[Row], int]:
    if nothing:
        return Page((), None), (), 0
    scope = visitor.actor.scope
    try:
        found = tx.page(listing.definition, scope, wanted)
    except CursorInvalid:
        found = tx.page(listing.definition, scope, replace(wanted, after=None))
    total = tx.count(listing.definition, scope, wanted.search)
    return found, [listing.row(tx, item) for item in found.items], total


def _column(
    column: Column, definition: ListDefinition[Any], sort: str, descending: bool, url: Callable[..., str]
) -> Column:
    if column.key not in definition.sorts:
        return column
    current = sort or definition.sorts[0]
    backwards = descending if sort else definition.newest_first
    if column.key != current:
        return replace(column, sort_url=url(sort=column.key))
    turned = column.key if backwards else f"-{column.key}"
    return replace(column, sort_url=url(sort=turned), sorted="descending" if backwards else "ascending")


def _chips(search: Search, text: str, url: Callable[..., str]) -> tuple[Chip, ...]:
    """One for each criterion; taking it away leaves the rest of the text as it is."""
    return tuple(
        Chip(criterion.typed.replace('"', ""), url(q=" ".join(text.replace(criterion.typed, "", 1).split())))
        for criterion in search.criteria
    )
