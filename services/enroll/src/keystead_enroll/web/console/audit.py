"""The audit log in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, ActorKind, AuditEntry
from keystead_enroll.domain.lists import AUDIT
from keystead_enroll.domain.search import PageWanted, parse_search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.api.audit import EXPORTED, exported
from keystead_enroll.web.console.audit_words import ACTIONS
from keystead_enroll.web.console.cells import code, link, moment, text
from keystead_enroll.web.console.history import entry_of
from keystead_enroll.web.console.lists import Listing, list_page
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.console.widgets import Column, Crumb, DetailPage, Empty, Fact, ListPage, Row, Section
from keystead_enroll.web.csv_download import csv_of_list

NAV, BASE = "audit", f"{HOME}/audit"
KIND = Words("line of the audit log")
ACTOR_WORDS = {
    ActorKind.ADMINISTRATOR: Words("Administrator"),
    ActorKind.TOKEN: Words("API token"),
    ActorKind.PERSON: Words("Person"),
    ActorKind.SYSTEM: Words("On the server"),
}
PAGE = ListPage(
    title=Words("Audit"),
    intro=Words("Who did what, when, from where, to what. Nobody changes it."),
    columns=(
        Column("at", Words("When"), narrow=True),
        Column("action", Words("What")),
        Column("target", Words("To what")),
        Column("actor", Words("Who")),
    ),
    rows=(),
    empty=Empty(Words("Nothing was done yet")),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    Here = Annotated[Visitor, Depends(tools.visitor)]
    listing = Listing(
        AUDIT,
        PAGE,
        lambda _tx, entry: row_of(entry),
        BASE,
        exports=True,
    )

    @pages.get(BASE)
    def list_all(request: Request, visitor: Here) -> Response:
        return tools.render(request, visitor, list_page(tools, request, visitor, listing), NAV)

    @pages.get(f"{BASE}/export.csv")
    def export(visitor: Here, q: str = "") -> Response:
        wanted = PageWanted(parse_search(q, AUDIT.fields, tools.clock.now()))
        return csv_of_list(tools.transactions, AUDIT, visitor.actor, wanted, EXPORTED, exported)

    @pages.get(f"{BASE}/{{id}}")
    def show(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            page = _detail(tx, visitor.actor, reach(tx, AUDIT, visitor.actor, id, KIND))
        return tools.render(request, visitor, page, NAV)

    return pages


def row_of(entry: AuditEntry) -> Row:
    """A line of the list."""
    kind = ACTOR_WORDS[entry.actor_kind]
    return Row(
        f"{BASE}/{entry.id}",
        (
            moment(entry.at, "stacked"),
            text(ACTIONS.get(entry.action, "") or entry.action, entry.action),
            text(entry.target),
            text(entry.actor, Words("{kind}, {address}", kind=kind, address=entry.address) if entry.address else kind),
        ),
    )


def _detail(tx: Transaction, actor: Actor, entry: AuditEntry) -> DetailPage:
    changes = entry_of(tx, actor, entry).changes
    others = link(Words("All that was done to it"), f"{BASE}?q=target_id:{entry.target_id}")
    return DetailPage(
        title=ACTIONS.get(entry.action, "") or entry.action,
        subtitle=entry.target,
        crumbs=(Crumb(Words("Audit"), BASE),),
        sections=(
            Section(
                Words("What was done"),
                facts=(
                    Fact(Words("When"), moment(entry.at, "datetime", relative=True)),
                    Fact(Words("What, in searches"), code(f"action:{entry.action}")),
                    Fact(Words("Who"), text(entry.actor, ACTOR_WORDS[entry.actor_kind])),
                    Fact(Words("From"), code(entry.address)),
                    Fact(Words("To what"), text(entry.target)),
                    Fact(Words("Its id"), code(entry.target_id)),
                    Fact(Words("Reference"), code(entry.trace_id), Words("Pages and logs show it.")),
                    Fact(Words("More"), others),
                ),
            ),
            Section(Words("What became of it"), facts=tuple(Fact(name, text(value)) for name, value in changes)),
        ),
    )
