"""Enrollment forms in the console: Details, Configuration, Accounts, Preview.

This module evaluates its annotations when pages are added, because some name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.base import CertificateType
from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, Role
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed
from keystead_enroll.domain.enrollment import EnrollmentForm
from keystead_enroll.domain.enrollment_inputs import FormInput
from keystead_enroll.domain.lists import ACCOUNTS, FORMS
from keystead_enroll.domain.search import Comparison, Criterion, Search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import forms as verbs
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.accounts import account_columns, account_row
from keystead_enroll.web.console.cells import copy, link, moment, several, text
from keystead_enroll.web.console.choices import (
    METHODS,
    TYPES,
    delegated_values,
    delegation_cell,
    delegation_fields,
    delegation_mistake,
    delegation_of,
    every,
    kept,
    options,
    state_of,
)
from keystead_enroll.web.console.form_notices import notices_of
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
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
from keystead_kit.drafts import Draft

NAV = "forms"
BASE = f"{HOME}/forms"
ADDRESS = Words("address of the form")
_TOP = Crumb(Words("Enrollment forms"), BASE)
_TABS = (
    ("", Words("Details")),
    ("configuration", Words("Configuration")),
    ("accounts", Words("Accounts")),
    ("preview", Words("Preview")),
)
_CHECKS = ("methods", "organization_ids")


class _Pages:
    def __init__(self, origin: str) -> None:
        self.origin = origin

    def url(self, form: EnrollmentForm) -> str:
        """What people are given."""
        return f"{self.origin}/e/{form.uri_extension}"

    def detail(self, tx: Transaction, actor: Actor, form: EnrollmentForm, tab: str) -> DetailPage:
        """One of the form's tabs."""
        own = f"{BASE}/{form.id}"
        within = Search((), (Criterion("form_id", Comparison.IS, form.id),))
        accounts = every(tx, actor, ACCOUNTS, within)
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
            crumbs=(_TOP,),
            tabs=tuple(
                Tab(label, f"{own}/{key}" if key else own, key == tab, len(accounts) if key == "accounts" else None)
                for key, label in _TABS
            ),
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
            values=_values,
            listing=lambda visitor: _listing(visitor, made),
            detail=lambda tx, actor, form, _request: made.detail(tx, actor, form, ""),
            new=_new,
            change=_change,
            delete=_delete,
            create_verb=verbs.create_form,
            change_verb=verbs.change_form,
            delete_verb=verbs.delete_form,
        ),
    )

    def add_tab(tab: str) -> None:
        @pages.get(f"{BASE}/{{id}}/{tab}")
        def show(request: Request, visitor: Here, id: str) -> Response:
            with tools.transactions.read() as tx:
                page = made.detail(tx, visitor.actor, reached(tx, visitor, id), tab)
            return tools.render(request, visitor, page, NAV)

    for tab, _ in _TABS[1:]:
        add_tab(tab)

    @pages.get(f"{BASE}/{{id}}/uri-extension")
    def ask_to_generate(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            page = _generate(visitor.actor, reached(tx, visitor, id))
        return tools.render(request, visitor, page, NAV)

    @pages.post(f"{BASE}/{{id}}/uri-extension")
    def generate(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        verbs.generate_uri_extension(tools.transactions, tools.clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}", "generated")

    @pages.get(f"{BASE}/{{id}}/withdraw")
    def ask_to_withdraw(request: Request, visitor: Here, id: str) -> Response:
        with tools.transactions.read() as tx:
            page = _withdraw(visitor.actor, reached(tx, visitor, id))
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


def _may_create(actor: Actor) -> bool:
    return actor.scope.everything or any(grant.role is Role.RAO for grant in actor.scope.grants)


def _listing(visitor: Visitor, made: _Pages) -> Listing[EnrollmentForm]:
    create = Action(Words("New enrollment form"), f"{BASE}/new", "primary")
    mine = create if _may_create(visitor.actor) else None
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


def _manages(actor: Actor, form: EnrollmentForm) -> None:
    if not verbs.may_manage(actor, form.organization_ids, form.certificate_type):
        raise NotAllowed(Words("This form is not yours to change."))


def _fieldsets(tx: Transaction, actor: Actor, form: EnrollmentForm | None) -> tuple[Fieldset, ...]:
    client = form is None or form.certificate_type is CertificateType.CLIENT
    methods = {method: words for method, words in METHODS.items() if client or method is not SignInMethod.SECRET_ID}
    details = [FormField("name", Words("Name"), more={"maxlength": 128, "autocomplete": "off"})]
    if form is None:
        details.append(FormField("certificate_type", Words("Type"), "radios", options=options(TYPES)))
    details += delegation_fields(tx, actor, form.organization_ids if form else ())
    return (
        Fieldset(
            tuple(details),
            Words("Details"),
            Words("The address is generated when you create the form.") if form is None else "",
        ),
        Fieldset(
            (
                FormField(
                    "methods",
                    Words("Authentication types"),
                    "checks",
                    options=options(methods),
                    hint=Words("Secret ID is for client forms only.") if form is None else "",
                ),
                FormField("help_text", Words("Help text"), "textarea", required=False, more={"maxlength": 2048}),
                FormField(
                    "help_link",
                    Words("Help link"),
                    "url",
                    required=False,
                    hint=Words("An address that begins with `https://` or `http://`."),
                ),
            ),
            Words("Configuration"),
        ),
    )


def _new(tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    if not _may_create(actor):
        raise NotAllowed(Words("Only administrators of whole organizations create forms."))
    usual: dict[str, str | Sequence[str]] = {"certificate_type": "client", "methods": ["email"], "delegation": "listed"}
    return FormPage(
        title=Words("New enrollment form"),
        action=f"{BASE}/new",
        fieldsets=_fieldsets(tx, actor, None),
        submit=Words("Create the form"),
        cancel_url=BASE,
        values=kept(draft, usual, _CHECKS),
        errors=draft.errors,
        crumbs=(_TOP,),
    )


def _change(tx: Transaction, actor: Actor, form: EnrollmentForm, draft: Draft) -> FormPage:
    _manages(actor, form)
    own = f"{BASE}/{form.id}"
    return FormPage(
        title=Words("Change the enrollment form"),
        subtitle=form.name,
        action=f"{own}/change",
        fieldsets=_fieldsets(tx, actor, form),
        submit=Words("Save"),
        cancel_url=own,
        values=kept(draft, _stored(form), _CHECKS),
        errors=draft.errors,
        crumbs=(_TOP, Crumb(form.name, own)),
        danger=Action(Words("Delete this form"), f"{own}/delete", "danger"),
    )


def _confirm(actor: Actor, form: EnrollmentForm, verb: str, path: str, question: str, *effects: str) -> ConfirmPage:
    _manages(actor, form)
    own = f"{BASE}/{form.id}"
    return ConfirmPage(
        title=verb,
        verb=verb,
        action=f"{own}/{path}",
        cancel_url=own,
        question=question,
        consequences=effects,
        crumbs=(_TOP, Crumb(form.name, own)),
    )


def _generate(actor: Actor, form: EnrollmentForm) -> ConfirmPage:
    return _confirm(
        actor,
        form,
        Words("Generate a new address"),
        "uri-extension",
        Words("Give “{name}” a new address?", name=form.name),
        Words("The address that people have now leads nowhere from then on."),
        Words("Certificates and requests stay."),
    )


def _withdraw(actor: Actor, form: EnrollmentForm) -> ConfirmPage:
    return _confirm(
        actor,
        form,
        Words("Withdraw this form"),
        "withdraw",
        Words("Withdraw “{name}”?", name=form.name),
        Words("Its address leads nowhere until you offer it again."),
        Words("Certificates stay valid."),
    )


def _delete(_tx: Transaction, actor: Actor, form: EnrollmentForm) -> ConfirmPage:
    return _confirm(
        actor,
        form,
        Words("Delete this form"),
        "delete",
        Words("Delete “{name}”?", name=form.name),
        Words("It can only be deleted while nothing refers to it."),
        Words("This cannot be undone."),
    )


def _values(posted: Posted, form: EnrollmentForm | None) -> Mapping[str, object]:
    mistakes = delegation_mistake(posted)
    if mistakes:
        raise InputRefused(mistakes)
    return {
        "name": posted.text("name"),
        "certificate_type": form.certificate_type.value if form else posted.text("certificate_type"),
        "methods": posted.many("methods"),
        "help_text": posted.text("help_text").replace("\r\n", "\n"),
        "help_link": posted.optional("help_link"),
        "organization_ids": delegation_of(posted),
        "active": form.active if form else True,
    }


def _stored(form: EnrollmentForm) -> dict[str, str | Sequence[str]]:
    return {
        "name": form.name,
        "methods": [method.value for method in form.methods],
        "help_text": form.help_text,
        "help_link": form.help_link or "",
        **delegated_values(form.organization_ids),
    }
