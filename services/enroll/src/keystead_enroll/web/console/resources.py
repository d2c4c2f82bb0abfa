"""The pages that every kind of thing has: its list, one thing, a new one, change, delete.

This module evaluates its annotations when pages are added, because some name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.search import ListDefinition
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormPage
from keystead_enroll.web.console.lists import Listing, list_page
from keystead_enroll.web.console.mistakes import Rehearsal, done_or_told
from keystead_enroll.web.console.tools import ConsoleTools, Posted, Rendered
from keystead_enroll.web.console.widgets import Action, Crumb, DetailPage
from keystead_kit.drafts import Draft

T = TypeVar("T")
R = TypeVar("R")
Values = Mapping[str, str | Sequence[str]]
UNREFERRED, FOR_GOOD = Words("It can only be deleted while nothing refers to it."), Words("This cannot be undone.")


@dataclass(frozen=True)
class Standing:
    """Where a thing is asked about: its own address and name, and the pages above. `back`: where Cancel leads, if not
    to its own page; such a thing has none."""

    own: str
    name: str
    above: tuple[Crumb, ...]
    back: str = ""

    @property
    def crumbs(self) -> tuple[Crumb, ...]:
        """What stands above a page that asks about it."""
        return self.above if self.back else (*self.above, Crumb(self.name, self.own))


def new_page(
    title: str,
    base: str,
    fieldsets: tuple[Fieldset, ...],
    submit: str,
    values: Values,
    draft: Draft,
    above: tuple[Crumb, ...],
    *,
    subtitle: str = "",
    back: str = "",
) -> FormPage:
    """The questions about a new thing below `base`."""
    return FormPage(
        title=title,
        subtitle=subtitle,
        action=f"{base}/new",
        fieldsets=fieldsets,
        submit=submit,
        cancel_url=back or base,
        values=values,
        errors=draft.errors,
        crumbs=above,
    )


def change_page(
    thing: Standing,
    title: str,
    fieldsets: tuple[Fieldset, ...],
    values: Values,
    draft: Draft,
    *,
    delete: str = "",
    subtitle: str = "",
) -> FormPage:
    """The questions about a thing that is there. `delete`: the words that lead to its end."""
    return FormPage(
        title=title,
        subtitle=subtitle or thing.name,
        action=f"{thing.own}/change",
        fieldsets=fieldsets,
        submit=Words("Save"),
        cancel_url=thing.back or thing.own,
        values=values,
        errors=draft.errors,
        crumbs=thing.crumbs,
        danger=Action(delete, f"{thing.own}/delete", "danger") if delete else None,
    )


def asked_once(thing: Standing, verb: str, *effects: str, question: str = "", path: str = "delete") -> ConfirmPage:
    """Asks before `verb` is done to the thing. Without `effects`, those of a deletion."""
    return ConfirmPage(
        title=verb,
        verb=verb,
        action=f"{thing.own}/{path}",
        cancel_url=thing.back or thing.own,
        question=question or Words("Delete “{name}”?", name=thing.name),
        consequences=effects or (UNREFERRED, FOR_GOOD),
        crumbs=thing.crumbs,
    )


@dataclass(frozen=True)
class Place(Generic[T]):
    """A kind of thing below `base` (`/console/persons`); `kind` is its name in words, `nav` its line in the navigation.

    Pages are made from what is stored and, after a mistake, the draft of what was typed. `values` makes the fields of
    the input `given` from a form that was sent; of a change the thing as it is comes with it, None for a new one. What
    is None has no page. `home` is where a thing's own page is, if that is none of this place's: a part of another.

    All mistakes of a form are told at once (`mistakes.done_or_told`): `sound` has a value that is right for every field
    of the input that may be wrong, to look past it; `beside` the question of the page at which a field's mistake
    stands, where that has another name.
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
    create_verb: Callable[..., str] | None = None
    change_verb: Callable[[Transactions, Clock, Actor, str, Any], None] | None = None
    delete_verb: Callable[[Transactions, Clock, Actor, str], None] | None = None
    home: Callable[[T], str] | None = None
    sound: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    more: Callable[[Posted], Mapping[str, Any]] = lambda _posted: {}


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

    def attempt(given: type[BaseModel], typed: Mapping[str, Any], verb: Callable[[Transactions, Any], R]) -> R:
        rehearsal = Rehearsal(tools.transactions)
        return done_or_told(
            given,
            typed,
            lambda wanted: verb(tools.transactions, wanted),
            lambda wanted: verb(rehearsal, wanted),
            sound=place.sound,
            beside=place.beside,
        )

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

        def asking(request: Request, visitor: Visitor, draft: Draft) -> Response:
            with tools.transactions.read() as tx:
                page = new(tx, visitor.actor, draft, request)
            return tools.render(request, visitor, page, nav)

        @pages.get(f"{base}/new")
        def show_new(request: Request, visitor: Here) -> Response:
            return asking(request, visitor, tools.draft(request))

        @pages.post(f"{base}/new")
        def create(request: Request, visitor: Here, posted: Sent) -> Response:
            try:
                made = attempt(
                    given,
                    values(posted, None),
                    lambda where, wanted: create_verb(where, tools.clock, visitor.actor, wanted, **place.more(posted)),
                )
            except InputRefused as refusal:
                return tools.again(request, posted, refusal, lambda draft: asking(request, visitor, draft))
            return tools.done(request, home_of(visitor, made), "created")

    if detail is not None:

        @pages.get(f"{base}/{{id}}")
        def show(request: Request, visitor: Here, id: str) -> Response:
            return shown(request, visitor, id, lambda tx, thing: detail(tx, visitor.actor, thing, request))

    change = place.change
    if change is not None and change_verb is not None and given is not None and values is not None:

        def changing(request: Request, visitor: Visitor, id: str, draft: Draft) -> Response:
            return shown(request, visitor, id, lambda tx, thing: change(tx, visitor.actor, thing, draft))

        @pages.get(f"{base}/{{id}}/change")
        def show_change(request: Request, visitor: Here, id: str) -> Response:
            return changing(request, visitor, id, tools.draft(request))

        @pages.post(f"{base}/{{id}}/change")
        def alter(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
            with tools.transactions.read() as tx:
                thing = reached(tx, visitor, id)
            try:
                attempt(
                    given,
                    values(posted, thing),
                    lambda where, wanted: change_verb(where, tools.clock, visitor.actor, id, wanted),
                )
            except InputRefused as refusal:
                return tools.again(request, posted, refusal, lambda draft: changing(request, visitor, id, draft))
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
