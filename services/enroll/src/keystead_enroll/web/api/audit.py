"""`/api/v1/audit`: what was done. Nobody changes it.

This module evaluates its annotations when a router is made, because they name what is at hand: no `from __future__
import annotations` here.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from keystead_contracts.base import CertificateType
from keystead_enroll.csv_text import MEDIA_TYPE
from keystead_enroll.domain.administration import Actor, ActorKind, AuditEntry
from keystead_enroll.domain.inputs import Input
from keystead_enroll.domain.lists import AUDIT
from keystead_enroll.domain.search import PageWanted
from keystead_enroll.ports import Transaction
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools
from keystead_enroll.web.csv_download import csv_of_list

EXPORTED = (
    "id", "at", "actor_kind", "actor", "address", "action", "target", "target_id", "details", "trace_id",
)  # fmt: skip
_CSV_OUT: dict[int | str, dict[str, Any]] = {200: {"description": "The file.", "content": {MEDIA_TYPE: {}}}}


class AuditLineOut(BaseModel):
    """Who did what, when, from where, to what; `details` are fields and what they became."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: AwareDatetime
    actor_kind: ActorKind
    actor_id: str
    actor: str
    address: str
    action: str
    target_id: str
    target: str
    organization_id: str | None
    department_id: str | None
    certificate_type: CertificateType | None
    details: dict[str, Any]
    trace_id: str


def exported(_tx: Transaction, entry: AuditEntry) -> tuple[object, ...]:
    """A line as a row of `EXPORTED`."""
    return (
        entry.id, entry.at, entry.actor_kind, entry.actor, entry.address, entry.action, entry.target, entry.target_id,
        json.dumps(entry.details, ensure_ascii=False, sort_keys=True), entry.trace_id,
    )  # fmt: skip


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    Asker = Annotated[Actor, Depends(tools.actor)]
    Wanted = Annotated[PageWanted, Depends(tools.page_wanted(AUDIT))]

    @api.get(
        "/audit/export",
        operation_id="export_audit_lines",
        summary="The audit log, or what is searched for, as CSV",
        response_class=Response,
        tags=["audit"],
        responses=PROBLEMS | _CSV_OUT,
    )
    def export(actor: Asker, wanted: Wanted) -> Response:
        return csv_of_list(tools.transactions, AUDIT, actor, wanted, EXPORTED, exported)

    add_routes(
        api,
        tools,
        Resource(
            path="/audit",
            kind="audit line",
            definition=AUDIT,
            shown=AuditLineOut,
            given=Input,
            show=lambda _tx, _actor, entry: AuditLineOut.model_validate(entry),
        ),
    )
    return api
