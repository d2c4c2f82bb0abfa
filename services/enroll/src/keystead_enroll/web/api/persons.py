"""`/api/v1/persons`.

This module evaluates its annotations when a router is made, because they name what is at hand: no `from __future__
import annotations` here.
"""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.lists import PERSONS
from keystead_enroll.domain.people_inputs import InvitationInput, PersonInput
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.search import PageWanted
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import person_import
from keystead_enroll.usecases.admin import persons as verbs
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.web.api.imports import CSV_OUT, ImportedOut, csv_in
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools
from keystead_enroll.web.csv_download import csv_of_list
from keystead_kit.threads import in_thread

EXPORTED = (
    "id", "name", "email", "organization", "department", "upn", "has_secret_id", "created_at", "invited_at",
)  # fmt: skip
_CSV_IN = csv_in(
    person_import.COLUMNS,
    "`secret_id` has 8 to 128 characters. Organization and department are names. A column that is not there, and an "
    "empty `secret_id`, leave things as they are.",
)


class PersonOut(BaseModel):
    """A person. Their Secret ID cannot be read back."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    organization_id: str
    department_id: str | None
    email: str
    name: str
    upn: str | None
    has_secret_id: bool
    created_at: AwareDatetime | None
    invited_at: AwareDatetime | None


class SecretIdOut(BaseModel):
    """A new Secret ID, told this once."""

    secret_id: str


def shown(person: Person) -> PersonOut:
    """A person as the API tells them."""
    return PersonOut(
        id=person.id,
        organization_id=person.organization_id,
        department_id=person.department_id,
        email=person.email,
        name=person.name,
        upn=person.upn,
        has_secret_id=person.secret_id_hash is not None,
        created_at=person.created_at,
        invited_at=person.invited_at,
    )


def exported(tx: Transaction, person: Person) -> tuple[object, ...]:
    """A person as a row of `EXPORTED`."""
    return (
        person.id,
        person.name,
        person.email,
        tx.organization(person.organization_id).name,
        tx.department(person.department_id).name if person.department_id else None,
        person.upn,
        person.secret_id_hash is not None,
        person.created_at,
        person.invited_at,
    )


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    transactions, clock, passwords = tools.transactions, tools.clock, tools.enroll.passwords
    Asker = Annotated[Actor, Depends(tools.actor)]
    OnceKey = Annotated[Once | None, Depends(tools.once)]
    Wanted = Annotated[PageWanted, Depends(tools.page_wanted(PERSONS))]
    common: dict[str, Any] = {"tags": ["persons"], "responses": PROBLEMS}

    @api.get(
        "/persons/export",
        operation_id="export_persons",
        summary="All persons, or those searched for, as CSV",
        response_class=Response,
        tags=["persons"],
        responses=PROBLEMS | CSV_OUT,
    )
    def export(actor: Asker, wanted: Wanted) -> Response:
        return csv_of_list(transactions, PERSONS, actor, wanted, EXPORTED, exported)

    @api.post(
        "/persons/import",
        operation_id="import_persons",
        summary="Create and change persons by CSV",
        openapi_extra=_CSV_IN,
        **common,
    )
    async def import_csv(
        request: Request,
        actor: Asker,
        dry_run: Annotated[bool, Query(description="Only say what would be done.")] = False,
    ) -> ImportedOut:
        content = await request.body()
        work = partial(
            person_import.import_persons, transactions, clock, actor, content, passwords=passwords, dry_run=dry_run
        )
        return ImportedOut.model_validate(await in_thread(work, request.app.state.threads))

    @api.post(
        "/persons/{id}/secret-id",
        status_code=201,
        operation_id="give_secret_id",
        summary="Make a new Secret ID for a person, told this once",
        **common,
    )
    def give_secret_id(actor: Asker, id: str, response: Response) -> SecretIdOut:
        response.headers["cache-control"] = "no-store"
        secret_id = verbs.give_secret_id(transactions, clock, actor, id, passwords=passwords)
        return SecretIdOut(secret_id=secret_id or "")

    @api.post(
        "/persons/{id}/invitations",
        status_code=204,
        operation_id="invite_person",
        summary="Send a person the address of a form",
        **common,
    )
    def invite(actor: Asker, id: str, body: InvitationInput, once: OnceKey) -> Response:
        origin = tools.enroll.settings.public_origin
        verbs.invite_person(transactions, clock, actor, id, body, once, origin=origin)
        return Response(status_code=204)

    add_routes(
        api,
        tools,
        Resource(
            path="/persons",
            kind="person",
            definition=PERSONS,
            shown=PersonOut,
            given=PersonInput,
            show=lambda _tx, _actor, person: shown(person),
            create=partial(verbs.create_person, passwords=passwords),
            change=partial(verbs.change_person, passwords=passwords),
            delete=verbs.delete_person,
        ),
    )
    return api
