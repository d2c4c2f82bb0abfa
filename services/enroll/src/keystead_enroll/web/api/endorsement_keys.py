"""`/api/v1/endorsement-keys`.

This module evaluates its annotations when a router is made, because they name what is at hand: no `from __future__
import annotations` here.
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.endorsement_inputs import EndorsementKeyInput
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.lists import ENDORSEMENT_KEYS
from keystead_enroll.domain.search import PageWanted
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import endorsement_key_import as files
from keystead_enroll.usecases.admin import endorsement_keys as verbs
from keystead_enroll.web.api.imports import CSV_OUT, ImportedOut, csv_in
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools
from keystead_enroll.web.csv_download import csv_of_list
from keystead_kit.threads import in_thread

PATH = "/endorsement-keys"
EXPORTED = (
    "id", "sha256", "organization", "ruling", "label", "serial_number", "model", "note", "created_at", "created_by",
)  # fmt: skip
_CSV_IN = csv_in(
    files.COLUMNS,
    "`organization` is a name; where it is empty the row goes for all organizations. `ruling` is `deny`, or `allow` as "
    "without it. A column that is not there leaves things as they are.",
)


class EndorsementKeyOut(BaseModel):
    """A TPM that is known. `organization_id` null: what is said goes for all organizations."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    organization_id: str | None
    sha256: str
    ruling: Ruling
    label: str
    serial_number: str
    model: str
    note: str
    created_at: AwareDatetime
    created_by: str


def exported(tx: Transaction, entry: EndorsementKey) -> tuple[object, ...]:
    """An entry as a row of `EXPORTED`."""
    organization = tx.organization(entry.organization_id).name if entry.organization_id else None
    plain = {name: getattr(entry, name) for name in EXPORTED if name != "organization"}
    return tuple((plain | {"organization": organization})[name] for name in EXPORTED)


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["endorsement-keys"], responses=PROBLEMS)
    transactions, clock = tools.transactions, tools.clock
    Asker = Annotated[Actor, Depends(tools.actor)]
    Wanted = Annotated[PageWanted, Depends(tools.page_wanted(ENDORSEMENT_KEYS))]

    @api.get(
        f"{PATH}/export",
        operation_id="export_endorsement_keys",
        summary="All known TPMs, or those searched for, as CSV",
        response_class=Response,
        responses=CSV_OUT,
    )
    def export(actor: Asker, wanted: Wanted) -> Response:
        return csv_of_list(transactions, ENDORSEMENT_KEYS, actor, wanted, EXPORTED, exported)

    @api.post(
        f"{PATH}/import",
        operation_id="import_endorsement_keys",
        summary="Add and change known TPMs by CSV",
        openapi_extra=_CSV_IN,
    )
    async def import_csv(
        request: Request,
        actor: Asker,
        dry_run: Annotated[bool, Query(description="Only say what would be done.")] = False,
    ) -> ImportedOut:
        content = await request.body()
        work = partial(files.import_endorsement_keys, transactions, clock, actor, content, dry_run=dry_run)
        return ImportedOut.model_validate(await in_thread(work, request.app.state.threads))

    add_routes(
        api,
        tools,
        Resource(
            path=PATH,
            kind="endorsement key",
            definition=ENDORSEMENT_KEYS,
            shown=EndorsementKeyOut,
            given=EndorsementKeyInput,
            show=lambda _tx, _actor, entry: EndorsementKeyOut.model_validate(entry),
            create=verbs.create_endorsement_key,
            change=verbs.change_endorsement_key,
            delete=verbs.delete_endorsement_key,
        ),
    )
    return api
