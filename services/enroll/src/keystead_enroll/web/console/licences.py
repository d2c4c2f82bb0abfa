"""The licence terms in the console: every version, and a new one.

This module evaluates its annotations when pages are added, because some name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import LicenceTerms
from keystead_enroll.domain.enrollment_inputs import LicenceInput
from keystead_enroll.usecases.admin import licences as verbs
from keystead_enroll.usecases.admin.common import masters_only
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import moment, tag
from keystead_enroll.web.console.form_widgets import Fieldset, FormField, FormPage
from keystead_enroll.web.console.mistakes import checked
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
    def publish(request: Request, visitor: Here, posted: Sent) -> Response:
        values = {"version": posted.text("version"), "text": posted.text("text").replace("\r\n", "\n")}
        try:
            verbs.publish_licence(tools.transactions, tools.clock, visitor.actor, checked(LicenceInput, values))
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: new_page(request, visitor, draft))
        return tools.done(request, BASE, "published")

    def new_page(request: Request, visitor: Visitor, draft: Draft) -> Response:
        masters_only(visitor.actor, Words("publish licence terms"))
        return tools.render(request, visitor, _new(draft), NAV)

    return pages


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
        submit=Words("Publish this version"),
        cancel_url=BASE,
        values=draft.values,
        errors=draft.errors,
        intro=Words("From then on people accept this version with each request."),
        crumbs=(_TOP,),
    )
