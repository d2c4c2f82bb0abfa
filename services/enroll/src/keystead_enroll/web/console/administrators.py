"""Administrators in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.people import AdministratorMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, Administrator, Grant
from keystead_enroll.domain.lists import ADMINISTRATORS, API_TOKENS
from keystead_enroll.domain.people_inputs import AdministratorInput
from keystead_enroll.domain.search import Comparison, Criterion, PageWanted, Search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import administrators as verbs
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import Cell, moment, several, tag, text
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.mistakes import checked
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.places import (
    AT_ROLES,
    given_roles,
    role_cell,
    role_count,
    role_fields,
    role_values,
    typed_roles,
)
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.token_rows import TOKEN_COLUMNS, token_row
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Row,
    Section,
    Table,
)
from keystead_kit.drafts import Draft

NAV, BASE = "administrators", f"{HOME}/administrators"
TOP = Crumb(Words("Administrators"), BASE)
METHOD_WORDS = {
    AdministratorMethod.PASSWORD: Words("Password and one-time code"),
    AdministratorMethod.IDP: Words("Identity provider"),
}
_COLUMNS = (
    Column("name", Words("Name")),
    Column("email", Words("E-mail")),
    Column("roles", Words("Roles")),
    Column("state", Words("State"), narrow=True),
    Column("seen", Words("Last here"), narrow=True),
)
_METHODS = tuple(Option(method.value, words) for method, words in METHOD_WORDS.items())


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]
    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=verbs.KIND,
            definition=ADMINISTRATORS,
            given=AdministratorInput,
            values=_values,
            listing=_listing,
            detail=_detail,
            new=_new,
            change=_change,
            create_verb=verbs.create_administrator,
            change_verb=verbs.change_administrator,
            sound={"name": "-", "email": "any@example.org", "methods": ["password"], "grants": [{"role": "mrao"}]},
            beside=AT_ROLES,
        ),
    )

    @pages.post(f"{BASE}/{{id}}/invite")
    def invite(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        verbs.invite_administrator(tools.transactions, tools.clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}", "invited")

    def switch(visitor: Visitor, id: str, active: bool) -> None:
        with tools.transactions.read() as tx:
            who = reach(tx, ADMINISTRATORS, visitor.actor, id, verbs.KIND)
        wanted = checked(AdministratorInput, _as_stored(who) | {"active": active})
        verbs.change_administrator(tools.transactions, tools.clock, visitor.actor, id, wanted)

    @pages.get(f"{BASE}/{{id}}/deactivate")
    def show_deactivate(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            who = reach(tx, ADMINISTRATORS, visitor.actor, id, verbs.KIND)
        return tools.render(request, visitor, _deactivate(who), NAV)

    @pages.post(f"{BASE}/{{id}}/deactivate")
    def deactivate(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        switch(visitor, id, active=False)
        return tools.done(request, f"{BASE}/{id}", "saved")

    @pages.post(f"{BASE}/{{id}}/activate")
    def activate(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        switch(visitor, id, active=True)
        return tools.done(request, f"{BASE}/{id}", "saved")

    return pages


def _as_stored(who: Administrator) -> dict[str, object]:
    return {
        "email": who.email,
        "name": who.name,
        "methods": [method.value for method in who.methods],
        "grants": who.grants,
        "active": who.active,
    }


def _listing(visitor: Visitor) -> Listing[Administrator]:
    create = Action(Words("New administrator"), f"{BASE}/new", "primary", icon="add")
    return Listing(
        ADMINISTRATORS,
        ListPage(
            title=Words("Administrators"),
            intro=Words("Who may sign in to the console, and what they may do there."),
            columns=_COLUMNS,
            rows=(),
            create=create,
            empty=Empty(Words("No administrators in your sight"), "", create),
        ),
        lambda tx, who: _row(tx, visitor.actor, who),
        BASE,
    )


def _row(tx: Transaction, actor: Actor, who: Administrator) -> Row:
    return Row(
        f"{BASE}/{who.id}",
        (
            text(who.name),
            text(who.email),
            role_cell(tx, verbs.shown_grants(actor.scope, who.grants)),
            _state(who),
            moment(who.last_seen_at, relative=True),
        ),
    )


def _state(who: Administrator) -> Cell:
    if who.active and who.invitation and who.last_seen_at is None and AdministratorMethod.PASSWORD in who.methods:
        return tag("warn", Words("Invited"))
    return tag("good", Words("Active")) if who.active else tag("calm", Words("Not active"))


def _detail(tx: Transaction, actor: Actor, who: Administrator, _request: Request) -> DetailPage:
    own, myself = f"{BASE}/{who.id}", who.id == actor.id
    mine = verbs.manageable(actor, who)
    actions: list[Action] = []
    if mine:
        actions.append(Action(Words("Change"), f"{own}/change"))
        if who.active and AdministratorMethod.PASSWORD in who.methods:
            actions.append(Action(Words("Invite again"), f"{own}/invite", method="post"))
        if not myself:
            deactivate = Action(Words("Deactivate"), f"{own}/deactivate", "danger")
            actions.append(deactivate if who.active else Action(Words("Activate"), f"{own}/activate", method="post"))
    theirs = Search((), (Criterion("administrator_id", Comparison.IS, who.id),))
    tokens = tx.page(API_TOKENS, actor.scope, PageWanted(theirs, limit=50)).items
    return DetailPage(
        title=who.name,
        subtitle=who.email,
        tag=_state(who),
        crumbs=(TOP,),
        actions=tuple(actions),
        sections=(
            Section(
                Words("What they may do"),
                facts=(
                    Fact(Words("Roles"), role_cell(tx, verbs.shown_grants(actor.scope, who.grants))),
                    Fact(Words("Sign in by"), several([METHOD_WORDS[method] for method in who.methods])),
                    Fact(Words("Added"), moment(who.created_at)),
                    Fact(Words("Last here"), moment(who.last_seen_at, "datetime", relative=True)),
                ),
            ),
            Section(
                Words("API tokens"),
                table=Table(TOKEN_COLUMNS, tuple(token_row(tx, token) for token in tokens), Words("They have none.")),
            ),
        ),
        timeline=timeline_of(tx, actor, who.id),
    )


def _form(
    tx: Transaction,
    actor: Actor,
    draft: Draft,
    stored: Mapping[str, str | Sequence[str]],
    grants: Sequence[Grant],
    *,
    myself: bool,
) -> tuple[tuple[Fieldset, ...], dict[str, str | Sequence[str]]]:
    """The questions and their answers. Nobody is asked about their own roles."""
    who = Fieldset(
        (
            FormField("name", Words("Name"), more={"maxlength": 256, "autocomplete": "off"}),
            FormField("email", Words("E-mail address"), "email", more={"maxlength": 254, "autocomplete": "off"}),
            FormField(
                "methods",
                Words("Sign in by"),
                "checks",
                options=_METHODS,
                hint=Words("With a password they get a letter with which to choose it."),
            ),
            FormField("myself" if myself else "roles", "", "hidden"),
        ),
        intro=Words("Your own roles are for others to change.") if myself else "",
    )
    if myself:
        values: dict[str, str | Sequence[str]] = {**stored, **draft.values, "myself": "1"}
        fieldsets: tuple[Fieldset, ...] = (who,)
    else:
        count = role_count(draft.values, grants)
        values = {**stored, **role_values(grants, count)} if not draft.values else typed_roles(draft.values, count)
        values["roles"] = str(count)
        fieldsets = (who, *role_fields(tx, actor, count))
    if draft.values:
        values["methods"] = draft.values.get("methods", "").splitlines()
    return fieldsets, values


def _new(tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    fieldsets, values = _form(tx, actor, draft, {"methods": [AdministratorMethod.PASSWORD.value]}, (), myself=False)
    return FormPage(
        title=Words("New administrator"),
        action=f"{BASE}/new",
        fieldsets=fieldsets,
        submit=Words("Add the administrator"),
        cancel_url=BASE,
        values=values,
        errors=draft.errors,
        crumbs=(TOP,),
    )


def _change(tx: Transaction, actor: Actor, who: Administrator, draft: Draft) -> FormPage:
    own = f"{BASE}/{who.id}"
    stored = {"name": who.name, "email": who.email, "methods": [method.value for method in who.methods]}
    grants = verbs.shown_grants(actor.scope, who.grants)
    fieldsets, values = _form(tx, actor, draft, stored, grants, myself=who.id == actor.id)
    return FormPage(
        title=Words("Change the administrator"),
        subtitle=who.name,
        action=f"{own}/change",
        fieldsets=fieldsets,
        submit=Words("Save"),
        cancel_url=own,
        values=values,
        errors=draft.errors,
        crumbs=(TOP, Crumb(who.name, own)),
    )


def _deactivate(who: Administrator) -> ConfirmPage:
    own = f"{BASE}/{who.id}"
    return ConfirmPage(
        title=Words("Deactivate this administrator"),
        verb=Words("Deactivate this administrator"),
        action=f"{own}/deactivate",
        cancel_url=own,
        question=Words("Deactivate {name} <{email}>?", name=who.name, email=who.email),
        consequences=(
            Words("They are signed out at once and cannot sign in."),
            Words("Their API tokens open nothing as long as they are not active."),
            Words("You can activate them again."),
        ),
        crumbs=(TOP, Crumb(who.name, own)),
    )


def _values(posted: Posted, who: Administrator | None) -> dict[str, object]:
    kept = who is not None and posted.flag("myself")
    return {
        "name": posted.text("name"),
        "email": posted.text("email"),
        "methods": posted.many("methods"),
        "grants": who.grants if who is not None and kept else given_roles(posted),
        "active": who.active if who is not None else True,
    }
