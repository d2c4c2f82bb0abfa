"""The pages that every kind of thing has: its list, one thing, a new one, change, delete.

This module evaluates its annotations when pages are added, because some name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.search import ListDefinition
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.form_widgets import ConfirmPage, FormPage
from keystead_enroll.web.console.lists import Listing, list_page
from keystead_enroll.web.console.mistakes import checked
from keystead_enroll.web.console.tools import ConsoleTools, Posted, Rendered
from keystead_enroll.web.console.widgets import DetailPage
from keystead_kit.drafts import Draft

T = TypeVar("T")


@dataclass(frozen=True)
class Place(Generic[T]):
    """A kind of thing below `base` (`/console/persons`); `kind` is its name in words, `nav` its line in the navigation.

    Pages are made from what is stored and, after a mistake, the draft of what was typed. `values` makes the fields of
    the input `given` from a form that was sent; of a change the thing as it is comes with it, None for a new one. What
    is None has no page. `home` is where a thing's own page is, if that is none of this place's: a part of another.
    """

    base: str
    nav: str
    kind: str
    definition: ListDefinition[T]
    given: type[BaseModel] | None = None
    values: Callable[[Posted, T | None], Mapping[str, Any]] | None = None
    listing: Callable[[Visitor], Listing[T]] | None = None
    detail: Callable[[Transaction, Actor, T, Request], DetailPage] | None = None
    new: Callable[[Transaction, Actor, Draft, Request], FormPage] | None = None
    change: Callable[[Transaction, Actor, T, Draft], FormPage] | None = None
    delete: Callable[[Transaction, Actor, T], ConfirmPage] | None = None
    create_verb: Callable[[Transactions, Clock, Actor, Any], str] | None = None
    change_verb: Callable[[Transactions, Clock, Actor, str, Any], None] | None = None
    delete_verb: Callable[[Transactions, Clock, Actor, str], None] | None = None
    home: Callable[[T], str] | None = None


def add_pages(pages: APIRouter, tools: ConsoleTools, place: Place[Any]) -> None:
    """Adds the pages of `place`. The order matters: `/new` before `/{id}`."""
    base, nav = place.base, place.nav
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def reached(tx: Transaction, visitor: Visitor, id: str) -> Any:
        return reach(tx, place.definition, visitor.actor, id, place.kind)

    def shown(request: Request, visitor: Visitor, id: str, page: Callable[[Transaction, Any], Rendered]) -> Response:
        with tools.transactions.read() as tx:
            made = page(tx, reached(tx, visitor, id))
        return tools.render(request, visitor, made, nav)

    def home_of(visitor: Visitor, id: str) -> str:
        if place.home is None:
            return f"{base}/{id}"
        with tools.transactions.read() as tx:
            return place.home(reached(tx, visitor, id))

    listing, new, detail = place.listing, place.new, place.detail
    given, values = place.given, place.values
    create_verb, change_verb, delete_verb = place.create_verb, place.change_verb, place.delete_verb

    if listing is not None:

        @pages.get(base)
        def list_all(request: Request, visitor: Here) -> Response:
            return tools.render(request, visitor, list_page(tools, request, visitor, listing(visitor)), nav)

    if new is not None and create_verb is not None and given is not None and values is not None:

        def new_page(request: Request, visitor: Visitor, draft: Draft) -> Response:
            with tools.transactions.read() as tx:
                page = new(tx, visitor.actor, draft, request)
            return tools.render(request, visitor, page, nav)

        @pages.get(f"{base}/new")
        def show_new(request: Request, visitor: Here) -> Response:
            return new_page(request, visitor, tools.draft(request))

        @pages.post(f"{base}/new")
        def create(request: Request, visitor: Here, posted: Sent) -> Response:
            try:
                made = create_verb(tools.transactions, tools.clock, visitor.actor, checked(given, values(posted, None)))
            except InputRefused as refusal:
                return tools.again(request, posted, refusal, lambda draft: new_page(request, visitor, draft))
            return tools.done(request, home_of(visitor, made), "created")

    if detail is not None:

        @pages.get(f"{base}/{{id}}")
        def show(request: Request, visitor: Here, id: str) -> Response:
            return shown(request, visitor, id, lambda tx, thing: detail(tx, visitor.actor, thing, request))

    change = place.change
    if change is not None and change_verb is not None and given is not None and values is not None:

        def change_page(request: Request, visitor: Visitor, id: str, draft: Draft) -> Response:
            return shown(request, visitor, id, lambda tx, thing: change(tx, visitor.actor, thing, draft))

        @pages.get(f"{base}/{{id}}/change")
        def show_change(request: Request, visitor: Here, id: str) -> Response:
            return change_page(request, visitor, id, tools.draft(request))

        @pages.post(f"{base}/{{id}}/change")
        def alter(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
            with tools.transactions.read() as tx:
                thing = reached(tx, visitor, id)
            try:
                wanted = checked(given, values(posted, thing))
                change_verb(tools.transactions, tools.clock, visitor.actor, id, wanted)
            except InputRefused as refusal:
                return tools.again(request, posted, refusal, lambda draft: change_page(request, visitor, id, draft))
            return tools.done(request, home_of(visitor, id), "saved")

    delete = place.delete
    if delete is not None and delete_verb is not None:

        @pages.get(f"{base}/{{id}}/delete")
        def show_delete(request: Request, visitor: Here, id: str) -> Response:
            return shown(request, visitor, id, lambda tx, thing: delete(tx, visitor.actor, thing))

        @pages.post(f"{base}/{{id}}/delete")
        def remove(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
            onwards = base if place.home is None else home_of(visitor, id)
            delete_verb(tools.transactions, tools.clock, visitor.actor, id)
            return tools.done(request, onwards, "deleted")
