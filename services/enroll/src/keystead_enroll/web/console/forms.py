"""Enrollment forms in the console: Details, Configuration, Accounts, Preview.

This module evaluates its annotations when pages are added, because some name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import EnrollmentForm, WebFormAccount
from keystead_enroll.domain.enrollment_inputs import FormInput
from keystead_enroll.domain.lists import ACCOUNTS, FORMS
from keystead_enroll.domain.search import Comparison, Criterion, Search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import forms as verbs
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console import form_questions as questions
from keystead_enroll.web.console.accounts import account_columns, account_row
from keystead_enroll.web.console.cells import copy, link, moment, several, text
from keystead_enroll.web.console.choices import (
    METHODS,
    TYPES,
    delegation_cell,
    every,
    state_of,
)
from keystead_enroll.web.console.form_notices import notices_of
from keystead_enroll.web.console.form_questions import BASE, TOP
from keystead_enroll.web.console.form_trial import TAB, add_trial_pages
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Preview,
    Row,
    Section,
    Tab,
    Table,
)

NAV = "forms"
ADDRESS = Words("address of the form")
_TABS = (
    ("", Words("Details")),
    ("configuration", Words("Configuration")),
    ("accounts", Words("Accounts")),
    ("preview", Words("Preview")),
    (TAB, Words("Test run")),
)


def tabs_of(form: EnrollmentForm, current: str, accounts: Sequence[WebFormAccount]) -> tuple[Tab, ...]:
    """The form's pages."""
    own = f"{BASE}/{form.id}"
    return tuple(
        Tab(label, f"{own}/{key}" if key else own, key == current, len(accounts) if key == "accounts" else None)
        for key, label in _TABS
    )


def _seen(tx: Transaction, actor: Actor, form: EnrollmentForm) -> list[WebFormAccount]:
    return every(tx, actor, ACCOUNTS, Search((), (Criterion("form_id", Comparison.IS, form.id),)))


class _Pages:
    def __init__(self, origin: str) -> None:
        self.origin = origin

    def url(self, form: EnrollmentForm) -> str:
        """What people are given."""
        return f"{self.origin}/e/{form.uri_extension}"

    def detail(self, tx: Transaction, actor: Actor, form: EnrollmentForm, tab: str) -> DetailPage:
        """One of the form's tabs."""
        own = f"{BASE}/{form.id}"
        accounts = _seen(tx, actor, form)
        manages = verbs.may_manage(actor, form.organization_ids, form.certificate_type)
        sections: Mapping[str, tuple[Section, ...]] = {
            "": self._details(tx, actor, form, manages),
            "configuration": _configuration(form),
            "accounts": (_accounts(tx, form, accounts),),
            "preview": (self._preview(form),),
        }
        actions = (Action(Words("Change"), f"{own}/change"), _switch(form)) if manages else ()
        return DetailPage(
            title=form.name,
            subtitle=Words("{type} certificates", type=TYPES[form.certificate_type]),
            tag=state_of(form.active),
            crumbs=(TOP,),
            tabs=tabs_of(form, tab, accounts),
            actions=actions,
            notices=notices_of(tx, actor, form, accounts),
            sections=sections[tab],
            timeline=timeline_of(tx, actor, form.id) if not tab else None,
        )

    def _details(self, tx: Transaction, actor: Actor, form: EnrollmentForm, manages: bool) -> tuple[Section, ...]:
        generate = Action(Words("Generate a new address"), f"{BASE}/{form.id}/uri-extension", "danger")
        return (
            Section(
                Words("Address"),
                intro=Words("Send it by mail, group policy or script. Nobody finds it by guessing."),
                facts=(
                    Fact(Words("Whole URL"), copy(self.url(form), ADDRESS)),
                    Fact(Words("URI extension"), copy(form.uri_extension, Words("URI extension"))),
                ),
                actions=(generate,) if manages else (),
            ),
            Section(
                Words("Form"),
                facts=(
                    Fact(Words("Name"), text(form.name)),
                    Fact(Words("Type"), text(TYPES[form.certificate_type])),
                    Fact(Words("Delegated to"), delegation_cell(tx, actor, form.organization_ids)),
                    Fact(Words("Created"), moment(form.created_at)),
                ),
            ),
        )

    def _preview(self, form: EnrollmentForm) -> Section:
        return Section(
            Words("What a person sees first"),
            preview=Preview(
                organization=str(form.published.get("organization", "Keystead")),
                name=form.name,
                methods=tuple(method.value for method in form.methods),
                help_text=form.help_text,
                help_link=form.help_link or "",
                url=self.url(form) if form.active else "",
            ),
        )


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    made = _Pages(tools.enroll.settings.public_origin)
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def reached(tx: Transaction, visitor: Visitor, id: str) -> EnrollmentForm:
        return reach(tx, FORMS, visitor.actor, id, Words("enrollment form"))

    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=Words("enrollment form"),
            definition=FORMS,
            given=FormInput,
            values=questions.form_values,
            listing=lambda visitor: _listing(visitor, made),
            detail=lambda tx, actor, form, _request: made.detail(tx, actor, form, ""),
            new=questions.new_form,
            change=questions.change_form,
            delete=questions.delete_form,
            create_verb=verbs.create_form,
            change_verb=verbs.change_form,
            delete_verb=verbs.delete_form,
            sound=questions.SOUND,
        ),
    )

    def add_tab(tab: str) -> None:
        @pages.get(f"{BASE}/{{id}}/{tab}")
        def show(request: Request, visitor: Here, id: str) -> Response:
            with tools.transactions.read() as tx:
                page = made.detail(tx, visitor.actor, reached(tx, visitor, id), tab)
            return tools.render(request, visitor, page, NAV)

    for tab, _ in _TABS[1:-1]:
        add_tab(tab)
    add_trial_pages(pages, tools, reached, lambda tx, visitor, form: tabs_of(form, TAB, _seen(tx, visitor.actor, form)))

    @pages.get(f"{BASE}/{{id}}/uri-extension")
    def ask_to_generate(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            page = questions.generate(visitor.actor, reached(tx, visitor, id))
        return tools.render(request, visitor, page, NAV)

    @pages.post(f"{BASE}/{{id}}/uri-extension")
    def generate(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        verbs.generate_uri_extension(tools.transactions, tools.clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}", "generated")

    @pages.get(f"{BASE}/{{id}}/withdraw")
    def ask_to_withdraw(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            page = questions.withdraw(visitor.actor, reached(tx, visitor, id))
        return tools.render(request, visitor, page, NAV)

    def switch(request: Request, visitor: Visitor, id: str, active: bool) -> Response:
        with tools.transactions.read() as tx:
            form = reached(tx, visitor, id)
            wanted = FormInput.model_validate({name: getattr(form, name) for name in FormInput.model_fields})
        verbs.change_form(
            tools.transactions, tools.clock, visitor.actor, id, wanted.model_copy(update={"active": active})
        )
        return tools.done(request, f"{BASE}/{id}", "offered" if active else "withdrawn")

    @pages.post(f"{BASE}/{{id}}/withdraw")
    def withdraw(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        return switch(request, visitor, id, False)

    @pages.post(f"{BASE}/{{id}}/offer")
    def offer(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        return switch(request, visitor, id, True)

    return pages


def _listing(visitor: Visitor, made: _Pages) -> Listing[EnrollmentForm]:
    create = Action(Words("New enrollment form"), f"{BASE}/new", "primary")
    mine = create if questions.may_create(visitor.actor) else None
    return Listing(
        FORMS,
        ListPage(
            title=Words("Enrollment forms"),
            intro=Words("Pages on which people ask for certificates. Each has an address that you give them."),
            columns=(
                Column("name", Words("Name")),
                Column("type", Words("Type"), narrow=True),
                Column("methods", Words("Sign-in")),
                Column("address", Words("Address")),
                Column("state", Words("State"), narrow=True),
            ),
            rows=(),
            create=mine,
            empty=Empty(Words("No enrollment forms yet"), Words("Begin with one for your own organization."), mine),
        ),
        lambda _tx, form: Row(
            f"{BASE}/{form.id}",
            (
                text(form.name),
                text(TYPES[form.certificate_type]),
                several([METHODS[method] for method in form.methods]),
                copy(made.url(form), ADDRESS),
                state_of(form.active),
            ),
        ),
        BASE,
    )


def _configuration(form: EnrollmentForm) -> tuple[Section, ...]:
    return (
        Section(
            Words("Authentication types"),
            facts=(Fact(Words("People sign in by"), several([METHODS[method] for method in form.methods])),),
        ),
        Section(
            Words("Help"),
            facts=(
                Fact(Words("Help text"), text(form.help_text)),
                Fact(Words("Help link"), link(form.help_link, form.help_link) if form.help_link else text("")),
            ),
        ),
    )


def _accounts(tx: Transaction, form: EnrollmentForm, accounts: Sequence[Any]) -> Section:
    return Section(
        Words("Web form accounts"),
        intro=Words("Each lets people of one organization or department through, to the profiles that it names."),
        table=Table(
            account_columns(),
            tuple(account_row(tx, account) for account in accounts),
            Words("It has no accounts that you see. Without one nobody can use it."),
        ),
        actions=(Action(Words("Add an account"), f"{HOME}/accounts/new?form={form.id}", "primary"),),
    )


def _switch(form: EnrollmentForm) -> Action:
    own = f"{BASE}/{form.id}"
    if form.active:
        return Action(Words("Withdraw"), f"{own}/withdraw", "danger")
    return Action(Words("Offer again"), f"{own}/offer", method="post")
