"""The audit log in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_enroll.domain.administration import ActorKind, AuditEntry
from keystead_enroll.domain.lists import AUDIT
from keystead_enroll.domain.search import PageWanted, parse_search
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.api.audit import EXPORTED, exported
from keystead_enroll.web.console.cells import code, link, moment, text
from keystead_enroll.web.console.history import entry_of
from keystead_enroll.web.console.lists import Listing, list_page
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.console.widgets import Column, Crumb, DetailPage, Empty, Fact, ListPage, Row, Section
from keystead_enroll.web.csv_download import csv_of_list

NAV, BASE = "audit", f"{HOME}/audit"
KIND = "line of the audit log"
ACTOR_WORDS = {
    ActorKind.ADMINISTRATOR: "Administrator",
    ActorKind.TOKEN: "API token",
    ActorKind.PERSON: "Person",
    ActorKind.SYSTEM: "On the server",
}
_COLUMNS = (
    Column("action", "What"),
    Column("target", "To what"),
    Column("actor", "Who"),
    Column("address", "From", narrow=True),
    Column("at", "When", narrow=True),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    Here = Annotated[Visitor, Depends(tools.visitor)]
    listing = Listing(
        AUDIT,
        ListPage(
            title="Audit",
            intro="Who did what, when, from where, to what. Nobody changes it.",
            columns=_COLUMNS,
            rows=(),
            empty=Empty("Nothing was done yet"),
        ),
        lambda _tx, entry: _row(entry),
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
            page = _detail(reach(tx, AUDIT, visitor.actor, id, KIND))
        return tools.render(request, visitor, page, NAV)

    return pages


def _row(entry: AuditEntry) -> Row:
    return Row(
        f"{BASE}/{entry.id}",
        (
            text(entry.action),
            text(entry.target),
            text(entry.actor, ACTOR_WORDS[entry.actor_kind]),
            text(entry.address),
            moment(entry.at, "datetime"),
        ),
    )


def _detail(entry: AuditEntry) -> DetailPage:
    changes = entry_of(entry).changes
    others = link("All that was done to it", f"{BASE}?q=target_id:{entry.target_id}")
    return DetailPage(
        title=entry.action,
        subtitle=entry.target,
        crumbs=(Crumb("Audit", BASE),),
        sections=(
            Section(
                "What was done",
                facts=(
                    Fact("When", moment(entry.at, "datetime", relative=True)),
                    Fact("Who", text(entry.actor, ACTOR_WORDS[entry.actor_kind])),
                    Fact("From", code(entry.address)),
                    Fact("To what", text(entry.target)),
                    Fact("Its id", code(entry.target_id)),
                    Fact("Reference", code(entry.trace_id), "Pages and logs show it."),
                    Fact("More", others),
                ),
            ),
            Section("What became of it", facts=tuple(Fact(name, text(value)) for name, value in changes)),
        ),
    )
