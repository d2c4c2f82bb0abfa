"""What can be done with persons besides: export, Secret IDs, invitations.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from collections import Counter
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.lists import FORMS, PERSONS
from keystead_enroll.domain.people_inputs import InvitationInput
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.search import PageWanted, parse_search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import persons as verbs
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.api.persons import EXPORTED, exported
from keystead_enroll.web.console.cells import text
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.mistakes import checked
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.once import PAGE_KEY, once_of, page_key, shown_once
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Crumb,
    DetailPage,
    Notice,
)
from keystead_enroll.web.csv_download import csv_of_list
from keystead_kit.drafts import Draft

NAV, BASE = "persons", f"{HOME}/persons"
TOP = Crumb(Words("Persons"), BASE)


def add_list_pages(pages: APIRouter, tools: ConsoleTools) -> None:
    """The pages about all persons; they come before those about one."""
    Here = Annotated[Visitor, Depends(tools.visitor)]

    @pages.get(f"{BASE}/export.csv")
    def export(visitor: Here, q: str = "") -> Response:
        wanted = PageWanted(parse_search(q, PERSONS.fields, tools.clock.now()))
        return csv_of_list(tools.transactions, PERSONS, visitor.actor, wanted, EXPORTED, exported)


def add_person_pages(pages: APIRouter, tools: ConsoleTools) -> None:
    """The pages about one person."""
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def confirmed(request: Request, visitor: Visitor, id: str, page: ConfirmPage) -> Response:
        with tools.transactions.read() as tx:
            person = verbs.reach_person(tx, visitor.actor, id)
        own = f"{BASE}/{id}"
        placed = replace(page, cancel_url=own, crumbs=(TOP, Crumb(person.name, own)), objects=(text(_named(person)),))
        return tools.render(request, visitor, placed, NAV)

    @pages.get(f"{BASE}/{{id}}/secret-id")
    def show_give(request: Request, visitor: Here, id: str) -> Response:
        consequences = (
            Words(
                "The Secret ID is shown on the next page, this once. Give it to them by a way that only they can read."
            ),
            Words("A Secret ID that they had before no longer works."),
        )
        verb = Words("Make a Secret ID")
        page = ConfirmPage(verb, verb, f"{BASE}/{id}/secret-id", "", consequences=consequences, danger=False)
        page = replace(page, hidden=((PAGE_KEY.name, page_key()),))
        return confirmed(request, visitor, id, page)

    @pages.post(f"{BASE}/{{id}}/secret-id")
    def give(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        secret_id = verbs.give_secret_id(
            tools.transactions,
            tools.clock,
            visitor.actor,
            id,
            once_of(request, posted),
            passwords=tools.enroll.passwords,
        )
        with tools.transactions.read() as tx:
            person = verbs.reach_person(tx, visitor.actor, id)
        own = f"{BASE}/{id}"
        advice = Words("Give it to {name} by a way that only they can read.", name=person.name)
        crumbs = (TOP, Crumb(person.name, own))
        made = shown_once(Words("The new Secret ID"), secret_id, Words("Secret ID"), advice, own, crumbs)
        return tools.render(request, visitor, made, NAV)

    @pages.get(f"{BASE}/{{id}}/secret-id/remove")
    def show_take(request: Request, visitor: Here, id: str) -> Response:
        verb = Words("Take the Secret ID away")
        page = ConfirmPage(
            verb,
            verb,
            f"{BASE}/{id}/secret-id/remove",
            "",
            consequences=(Words("They can no longer sign in with it."),),
        )
        return confirmed(request, visitor, id, page)

    @pages.post(f"{BASE}/{{id}}/secret-id/remove")
    def take(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        verbs.take_secret_id(tools.transactions, tools.clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}", "saved")

    def invite_page(request: Request, visitor: Visitor, id: str, draft: Draft) -> Response:
        with tools.transactions.read() as tx:
            person = verbs.reach_person(tx, visitor.actor, id)
            page = _invite_page(tx, visitor.actor, person, draft)
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{BASE}/{{id}}/invite")
    def show_invite(request: Request, visitor: Here, id: str) -> Response:
        return invite_page(request, visitor, id, tools.draft(request))

    @pages.post(f"{BASE}/{{id}}/invite")
    def invite(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        origin = tools.enroll.settings.public_origin
        try:
            wanted = checked(InvitationInput, {"form_id": posted.text("form_id")})
            verbs.invite_person(tools.transactions, tools.clock, visitor.actor, id, wanted, origin=origin)
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: invite_page(request, visitor, id, draft))
        return tools.done(request, f"{BASE}/{id}", "invited")


def _named(person: Person) -> str:
    return f"{person.name} <{person.email}>"


def _invite_page(tx: Transaction, actor: Actor, person: Person, draft: Draft) -> FormPage | DetailPage:
    own = f"{BASE}/{person.id}"
    forms = tx.page(FORMS, actor.scope, PageWanted(limit=200)).items
    usable = [form for form in forms if form.active and verbs.usable_accounts(tx, form, person)]
    called = Counter(form.name for form in usable)
    options = tuple(
        Option(
            form.id,
            Words("{name}, for all organizations", name=form.name)
            if called[form.name] > 1 and not form.organization_ids
            else form.name,
        )
        for form in usable
    )
    if not options:
        return _nowhere_to_invite(person)
    return FormPage(
        title=Words("Invite to a form"),
        subtitle=_named(person),
        action=f"{own}/invite",
        intro=Words("They get a letter with the form's address."),
        fieldsets=(Fieldset((FormField("form_id", Words("Enrollment form"), "select", options=options),)),),
        submit=Words("Send the invitation"),
        cancel_url=own,
        values=draft.values,
        errors=draft.errors,
        crumbs=(TOP, Crumb(person.name, own)),
    )


def _nowhere_to_invite(person: Person) -> DetailPage:
    own = f"{BASE}/{person.id}"
    told = Words(
        "No form has an account that {name} could use, so there is nothing to invite them to. Add an account for their "
        "organization or department to a form first.",
        name=person.name,
    )
    return DetailPage(
        title=Words("Invite to a form"),
        subtitle=_named(person),
        sections=(),
        crumbs=(TOP, Crumb(person.name, own)),
        actions=(Action(Words("Back"), own),),
        notices=(Notice(told, "warn", action=Action(Words("Enrollment forms"), f"{HOME}/forms")),),
    )
