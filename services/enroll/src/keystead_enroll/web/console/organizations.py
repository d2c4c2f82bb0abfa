"""Organizations and departments in the console."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.enrollment import Department, Organization
from keystead_enroll.domain.inputs import DepartmentInput, OrganizationInput
from keystead_enroll.domain.lists import DEPARTMENTS, ORGANIZATIONS
from keystead_enroll.domain.search import Comparison, Criterion, PageWanted, Search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import organizations as verbs
from keystead_enroll.usecases.admin.common import masters_only, reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import code, moment, several, text
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, Standing, add_pages, asked_once, change_page, new_page
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

NAV = "organizations"
BASE, DEPARTMENT_BASE = f"{HOME}/organizations", f"{HOME}/departments"
_TOP = Crumb(Words("Organizations"), BASE)
_COLUMNS = (
    Column("name", Words("Name")),
    Column("email", Words("E-mail domains")),
    Column("dns", Words("DNS domains")),
)
_FIELDS = (
    FormField("name", Words("Name"), more={"maxlength": 128, "autocomplete": "off"}),
    FormField(
        "email_domains",
        Words("E-mail domains"),
        "textarea",
        required=False,
        code=True,
        hint=Words("One a line. With “*.” in front, a line stands for every domain below it."),
    ),
    FormField(
        "dns_domains",
        Words("DNS domains"),
        "textarea",
        required=False,
        code=True,
        hint=Words("One a line. Servers and devices may have names in them and below."),
    ),
    FormField(
        "home_organization",
        Words("Sent by identity providers as"),
        required=False,
        code=True,
        hint=Words("The value of schacHomeOrganization that stands for it."),
    ),
)
_SOUND: Mapping[str, object] = {"name": "-", "email_domains": [], "dns_domains": [], "home_organization": None}
_INHERITS = Words("Without domains of its own it has those of the organization.")


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=Words("organization"),
            definition=ORGANIZATIONS,
            given=OrganizationInput,
            values=lambda posted, _organization: _place_values(posted),
            listing=_listing,
            detail=_detail,
            new=_new,
            change=_change,
            delete=_delete,
            create_verb=verbs.create_organization,
            change_verb=verbs.change_organization,
            delete_verb=verbs.delete_organization,
            sound=_SOUND,
        ),
    )
    add_pages(
        pages,
        tools,
        Place(
            base=DEPARTMENT_BASE,
            nav=NAV,
            kind=Words("department"),
            definition=DEPARTMENTS,
            given=DepartmentInput,
            values=_department_values,
            new=_new_department,
            change=_change_department,
            delete=_delete_department,
            create_verb=verbs.create_department,
            change_verb=verbs.change_department,
            delete_verb=verbs.delete_department,
            sound=_SOUND,
            home=lambda department: f"{BASE}/{department.organization_id}",
        ),
    )
    return pages


def _listing(visitor: Visitor) -> Listing[Organization]:
    create = Action(Words("New organization"), f"{BASE}/new", "primary") if visitor.actor.scope.everything else None
    return Listing(
        ORGANIZATIONS,
        ListPage(
            title=Words("Organizations"),
            intro=Words("Whose people and machines get certificates, and which domains are theirs."),
            columns=_COLUMNS,
            rows=(),
            create=create,
            empty=Empty(
                Words("No organizations yet"), Words("An organization comes first: all else belongs to one."), create
            ),
        ),
        lambda _tx, organization: _row(organization, f"{BASE}/{organization.id}"),
        BASE,
    )


def _row(place: Organization | Department, url: str) -> Row:
    return Row(url, (text(place.name), several(place.email_domains), several(place.dns_domains)))


def _detail(tx: Transaction, actor: Actor, organization: Organization, _request: Request) -> DetailPage:
    own = f"{BASE}/{organization.id}"
    within = Search((), (Criterion("organization_id", Comparison.IS, organization.id),))
    departments = tx.page(DEPARTMENTS, actor.scope, PageWanted(within, limit=200)).items
    rules = actor.scope.rules_organization(organization.id)
    new = Action(Words("New department"), f"{DEPARTMENT_BASE}/new?organization={organization.id}")
    return DetailPage(
        title=organization.name,
        crumbs=(_TOP,),
        actions=(Action(Words("Change"), f"{own}/change"),) if actor.scope.everything else (),
        sections=(
            Section(
                Words("Delegated to it"),
                facts=(
                    Fact(Words("E-mail domains"), several([code(domain) for domain in organization.email_domains])),
                    Fact(Words("DNS domains"), several([code(domain) for domain in organization.dns_domains])),
                    Fact(Words("Sent by identity providers as"), code(organization.home_organization or "")),
                    Fact(Words("Created"), moment(organization.created_at)),
                ),
            ),
            Section(
                Words("Departments"),
                table=Table(
                    _COLUMNS,
                    tuple(_row(each, f"{DEPARTMENT_BASE}/{each.id}/change") for each in departments),
                    Words("It has no departments."),
                ),
                actions=(new,) if rules else (),
            ),
        ),
        timeline=timeline_of(tx, actor, organization.id),
    )


def _new(_tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    masters_only(actor, Words("create organizations"))
    return new_page(
        Words("New organization"),
        BASE,
        (Fieldset(_FIELDS),),
        Words("Create the organization"),
        draft.values,
        draft,
        (_TOP,),
    )


def _change(_tx: Transaction, actor: Actor, organization: Organization, draft: Draft) -> FormPage:
    masters_only(actor, Words("change an organization's name and domains"))
    return change_page(
        _standing(organization),
        Words("Change the organization"),
        (Fieldset(_FIELDS),),
        draft.values or _stored(organization),
        draft,
        delete=Words("Delete this organization"),
    )


def _delete(_tx: Transaction, actor: Actor, organization: Organization) -> ConfirmPage:
    masters_only(actor, Words("delete organizations"))
    return asked_once(_standing(organization), Words("Delete this organization"))


def _standing(organization: Organization) -> Standing:
    return Standing(f"{BASE}/{organization.id}", organization.name, (_TOP,))


def _new_department(tx: Transaction, actor: Actor, draft: Draft, request: Request) -> FormPage:
    above_id = draft.values.get("organization_id") or request.query_params.get("organization", "")
    above = _standing(reach(tx, ORGANIZATIONS, actor, above_id, Words("organization")))
    return new_page(
        Words("New department"),
        DEPARTMENT_BASE,
        (Fieldset((FormField("organization_id", "", "hidden"), *_FIELDS), intro=_INHERITS),),
        Words("Create the department"),
        {**draft.values, "organization_id": above_id},
        draft,
        above.crumbs,
        subtitle=above.name,
        back=above.own,
    )


def _change_department(tx: Transaction, _actor: Actor, department: Department, draft: Draft) -> FormPage:
    above = tx.organization(department.organization_id)
    return change_page(
        _within(above, department, f"{BASE}/{above.id}"),
        Words("Change the department"),
        (Fieldset(_FIELDS, intro=_INHERITS),),
        draft.values or _stored(department),
        draft,
        delete=Words("Delete this department"),
        subtitle=f"{department.name}, {above.name}",
    )


def _delete_department(tx: Transaction, _actor: Actor, department: Department) -> ConfirmPage:
    above = tx.organization(department.organization_id)
    back = f"{DEPARTMENT_BASE}/{department.id}/change"
    return asked_once(_within(above, department, back), Words("Delete this department"))


def _within(above: Organization, department: Department, back: str) -> Standing:
    return Standing(f"{DEPARTMENT_BASE}/{department.id}", department.name, _standing(above).crumbs, back)


def _place_values(posted: Posted) -> dict[str, object]:
    return {
        "name": posted.text("name"),
        "email_domains": posted.lines("email_domains"),
        "dns_domains": posted.lines("dns_domains"),
        "home_organization": posted.optional("home_organization"),
    }


def _department_values(posted: Posted, department: Department | None) -> dict[str, object]:
    above = department.organization_id if department else posted.text("organization_id")
    return _place_values(posted) | {"organization_id": above}


def _stored(place: Organization | Department) -> Mapping[str, str]:
    return {
        "name": place.name,
        "email_domains": "\n".join(place.email_domains),
        "dns_domains": "\n".join(place.dns_domains),
        "home_organization": place.home_organization or "",
    }
