"""The licence terms in the console: every version, and a new one.

This module evaluates its annotations when pages are added, because some name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import LicenceTerms
from keystead_enroll.domain.enrollment_inputs import LicenceInput
from keystead_enroll.ports import Transactions
from keystead_enroll.usecases.admin import licences as verbs
from keystead_enroll.usecases.admin.common import masters_only
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import moment, tag
from keystead_enroll.web.console.form_widgets import ConfirmPage, FieldButton, Fieldset, FormField, FormPage
from keystead_enroll.web.console.mistakes import Rehearsal, done_or_told
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Crumb, DetailPage, Fact, Section
from keystead_kit.drafts import Draft

NAV = "terms"
BASE = f"{HOME}/licence-terms"
_TOP = Crumb(Words("Licence terms"), BASE)
_FIELDS = (
    FormField("version", Words("Version"), short=True, more={"maxlength": 64, "autocomplete": "off"}),
    FormField("text", Words("Text"), "textarea", rows=16, hint=Words("An empty line begins a new paragraph.")),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    @pages.get(BASE)
    def list_all(request: Request, visitor: Here) -> Response:
        found = verbs.list_licences(tools.transactions, visitor.actor)
        return tools.render(request, visitor, _overview(found), NAV)

    @pages.get(f"{BASE}/new")
    def show_new(request: Request, visitor: Here) -> Response:
        return new_page(request, visitor, tools.draft(request))

    @pages.post(f"{BASE}/new")
    def look_at(request: Request, visitor: Here, posted: Sent) -> Response:
        try:
            wanted = _told(posted, lambda wanted: _publish(Rehearsal(tools.transactions), visitor, wanted))
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: new_page(request, visitor, draft))
        with tools.transactions.read() as tx:
            offered = sum(form.active for form in tx.forms())
            page = _preview(wanted, tx.licence(), offered)
        return tools.render(request, visitor, page, NAV)

    @pages.post(f"{BASE}/publish")
    def publish(request: Request, visitor: Here, posted: Sent) -> Response:
        if posted.flag("again"):
            return new_page(request, visitor, posted.draft({}))
        try:
            _told(posted, lambda wanted: _publish(tools.transactions, visitor, wanted))
        except InputRefused as refusal:
            return new_page(request, visitor, posted.draft(refusal.fields), 422)
        return tools.done(request, BASE, "published")

    def _publish(where: Transactions, visitor: Visitor, wanted: LicenceInput) -> LicenceInput:
        verbs.publish_licence(where, tools.clock, visitor.actor, wanted)
        return wanted

    def new_page(request: Request, visitor: Visitor, draft: Draft, status: int = 200) -> Response:
        masters_only(visitor.actor, Words("publish licence terms"))
        return tools.render(request, visitor, _new(draft), NAV, status=status)

    return pages


def _told(posted: Posted, verb: Callable[[LicenceInput], LicenceInput]) -> LicenceInput:
    values = {"version": posted.text("version"), "text": posted.text("text").replace("\r\n", "\n")}
    return done_or_told(LicenceInput, values, verb, verb, sound={"text": "-"}, beside={})


def _preview(wanted: LicenceInput, now: LicenceTerms | None, offered: int) -> ConfirmPage:
    effects = [
        Words.plural(
            "Whoever asks for a certificate accepts it from then on: {n} enrollment form is offered now.",
            "Whoever asks for a certificate accepts it from then on: {n} enrollment forms are offered now.",
            offered,
        ),
        Words("Requests and certificates that are there already keep the version that was accepted with them."),
    ]
    if now is not None:
        effects.append(Words("Version {version} is superseded; you can still read it here.", version=now.version))
    effects.append(Words("It cannot be changed any more: what is wrong in it is put right by another version."))
    return ConfirmPage(
        title=Words("Publish version {version}", version=wanted.version),
        verb=Words("Publish this version"),
        action=f"{BASE}/publish",
        cancel_url=BASE,
        question=Words("People will read this text:"),
        shown=wanted.text,
        consequences=tuple(effects),
        hidden=(("version", wanted.version), ("text", wanted.text)),
        buttons=(FieldButton("again", Words("Change the text")),),
        crumbs=(_TOP, Crumb(Words("New version"), f"{BASE}/new")),
        danger=False,
    )


def _overview(found: list[LicenceTerms]) -> DetailPage:
    sections = tuple(
        Section(
            Words("Version {version}", version=terms.version),
            facts=(
                Fact(
                    Words("State"),
                    tag("good", Words("People accept it now")) if terms.current else tag("calm", Words("Superseded")),
                ),
                Fact(Words("Published"), moment(terms.published_at)),
            ),
            text=terms.text,
        )
        for terms in found
    )
    none = Section(Words("No licence terms yet"), text=Words("People ask for certificates without accepting anything."))
    return DetailPage(
        title=Words("Licence terms"),
        subtitle=Words("Which version somebody accepted is kept with their request; so no version ever changes."),
        actions=(Action(Words("New version"), f"{BASE}/new", "primary"),),
        sections=sections or (none,),
    )


def _new(draft: Draft) -> FormPage:
    return FormPage(
        title=Words("New version of the licence terms"),
        action=f"{BASE}/new",
        fieldsets=(Fieldset(_FIELDS),),
        submit=Words("Go on to the preview"),
        cancel_url=BASE,
        values=draft.values,
        errors=draft.errors,
        intro=Words("From then on people accept this version with each request."),
        crumbs=(_TOP,),
    )
