"""Persons in the console."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.lists import PERSONS
from keystead_enroll.domain.people_inputs import PersonInput
from keystead_enroll.domain.persons import Person
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import persons as verbs
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console import persons_more
from keystead_enroll.web.console.cells import Cell, code, link, moment, tag, text
from keystead_enroll.web.console.csv_import import add_import_pages
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.person_import import person_imports
from keystead_enroll.web.console.places import AT_PLACE, PLACE, place_ids, place_name, place_options, place_value
from keystead_enroll.web.console.resources import Place, Standing, add_pages, asked_once, change_page, new_page
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Column, Crumb, DetailPage, Empty, Fact, ListPage, Row, Section
from keystead_kit.drafts import Draft

NAV, BASE = "persons", f"{HOME}/persons"
TOP = Crumb(Words("Persons"), BASE)
_COLUMNS = (
    Column("name", Words("Name")),
    Column("email", Words("E-mail")),
    Column("place", Words("Organization")),
    Column("secret", Words("Secret ID"), narrow=True),
    Column("created", Words("Since"), narrow=True),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    passwords = tools.enroll.passwords
    persons_more.add_list_pages(pages, tools)
    add_import_pages(pages, tools, person_imports(tools))
    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=verbs.KIND,
            definition=PERSONS,
            given=PersonInput,
            values=_values,
            listing=_listing,
            detail=_detail,
            new=_new,
            change=_change,
            delete=_delete,
            create_verb=partial(verbs.create_person, passwords=passwords),
            change_verb=partial(verbs.change_person, passwords=passwords),
            delete_verb=verbs.delete_person,
            sound={"name": "-", "email": "any@example.org", "upn": None, "organization_id": "", "department_id": None},
            beside=AT_PLACE,
        ),
    )
    persons_more.add_person_pages(pages, tools)
    return pages


def _listing(_visitor: Visitor) -> Listing[Person]:
    create = Action(Words("New person"), f"{BASE}/new", "primary", icon="add")
    upload = Action(Words("Import"), f"{BASE}/import")
    return Listing(
        PERSONS,
        ListPage(
            title=Words("Persons"),
            intro=Words("People whom you know by name. They may sign in with a Secret ID, and be invited to a form."),
            columns=_COLUMNS,
            rows=(),
            create=create,
            actions=(upload,),
            empty=Empty(Words("No persons yet"), Words("Add them one by one, or import a CSV file."), create),
        ),
        _row,
        BASE,
        exports=True,
    )


def _row(tx: Transaction, person: Person) -> Row:
    return Row(
        f"{BASE}/{person.id}",
        (
            text(person.name),
            text(person.email),
            text(place_name(tx, person.organization_id, person.department_id)),
            tag("good", Words("Yes")) if person.secret_id_hash else tag("calm", Words("No")),
            moment(person.created_at),
        ),
    )


def _detail(tx: Transaction, actor: Actor, person: Person, _request: Request) -> DetailPage:
    own = f"{BASE}/{person.id}"
    mine = verbs.may_manage(actor, person.organization_id, person.department_id)
    has_secret = person.secret_id_hash is not None
    give = Action(Words("Make a new Secret ID") if has_secret else Words("Make a Secret ID"), f"{own}/secret-id")
    take = Action(Words("Take it away"), f"{own}/secret-id/remove", "danger")
    return DetailPage(
        title=person.name,
        subtitle=person.email,
        crumbs=(TOP,),
        actions=(Action(Words("Change"), f"{own}/change"), Action(Words("Invite"), f"{own}/invite")) if mine else (),
        sections=(
            Section(
                Words("Who they are"),
                facts=(
                    Fact(Words("Organization"), _place_link(tx, person)),
                    Fact(
                        Words("User principal name"),
                        code(person.upn) if person.upn else text(Words("The e-mail address")),
                    ),
                    Fact(Words("Added"), moment(person.created_at)),
                    Fact(Words("Invited"), moment(person.invited_at, "datetime", relative=True)),
                ),
            ),
            Section(
                Words("Secret ID"),
                text=Words("They have one. Nobody can read it back.") if has_secret else Words("They have none."),
                actions=((give, take) if has_secret else (give,)) if mine else (),
            ),
        ),
        timeline=timeline_of(tx, actor, person.id),
    )


def _place_link(tx: Transaction, person: Person) -> Cell:
    name = place_name(tx, person.organization_id, person.department_id)
    return link(name, f"{HOME}/organizations/{person.organization_id}")


def _fields(tx: Transaction, actor: Actor, *, stays_in: str = "") -> tuple[FormField, ...]:
    def fits(organization_id: str, department_id: str | None) -> bool:
        here = not stays_in or organization_id == stays_in
        return here and verbs.may_manage(actor, organization_id, department_id)

    return (
        FormField("name", Words("Name"), more={"maxlength": 256, "autocomplete": "off"}),
        FormField("email", Words("E-mail address"), "email", more={"maxlength": 254, "autocomplete": "off"}),
        FormField(
            PLACE,
            Words("Organization or department"),
            "select",
            options=place_options(tx, fits),
            hint=Words("A person stays in their organization.") if stays_in else "",
        ),
        FormField(
            "upn",
            Words("User principal name"),
            required=False,
            code=True,
            hint=Words("For certificates that Windows signs in with. Without one the e-mail address stands for it."),
            more={"maxlength": 254, "autocomplete": "off", "spellcheck": "false"},
        ),
    )


def _new(tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    return new_page(
        Words("New person"),
        BASE,
        (Fieldset(_fields(tx, actor)),),
        Words("Add the person"),
        draft.values,
        draft,
        (TOP,),
    )


def _change(tx: Transaction, actor: Actor, person: Person, draft: Draft) -> FormPage:
    stored = {
        "name": person.name,
        "email": person.email,
        "upn": person.upn or "",
        PLACE: place_value(person.organization_id, person.department_id),
    }
    return change_page(
        _standing(person),
        Words("Change the person"),
        (Fieldset(_fields(tx, actor, stays_in=person.organization_id)),),
        draft.values or stored,
        draft,
        delete=Words("Delete this person"),
    )


def _delete(_tx: Transaction, _actor: Actor, person: Person) -> ConfirmPage:
    return asked_once(
        _standing(person),
        Words("Delete this person"),
        Words("They can no longer sign in with their Secret ID."),
        Words("Certificates that they have stay valid."),
        question=Words("Delete {name} <{email}>?", name=person.name, email=person.email),
    )


def _standing(person: Person) -> Standing:
    return Standing(f"{BASE}/{person.id}", person.name, (TOP,))


def _values(posted: Posted, _person: Person | None) -> dict[str, object]:
    return {
        "name": posted.text("name"),
        "email": posted.text("email"),
        "upn": posted.optional("upn"),
        **place_ids(posted.text(PLACE)),
    }
