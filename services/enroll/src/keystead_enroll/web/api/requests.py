"""`/api/v1/requests`: what persons asked for, and what becomes of it.

This module evaluates its annotations when a router is made: no `from __future__ import annotations` here.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.inputs import (
    ApprovalInput,
    CancellationInput,
    DecisionsInput,
    RejectionInput,
)
from keystead_enroll.domain.lists import ORDERS
from keystead_enroll.domain.orders import Channel, Order, OrderState
from keystead_enroll.domain.progress import progress_of
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.decisions import Decided, decide_several
from keystead_enroll.usecases.change_order import cancel_any_order, decide_order
from keystead_enroll.usecases.show_evidence import evidence_file
from keystead_enroll.usecases.show_order import describe_order
from keystead_enroll.web.api.evidence import EVIDENCE_FILE, FindingOut, evidence_response, findings
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class StepOut(BaseModel):
    """A line of the transition log."""

    at: AwareDatetime
    state: OrderState
    note: str


class RequestOut(BaseModel):
    """A request for a certificate. `failure` says why it ended without one; `trace_id` is the reference on pages and
    in logs; `certificate_id` is set once a certificate was issued."""

    id: str
    state: OrderState
    created_at: AwareDatetime
    state_at: AwareDatetime
    certificate_type: CertificateType
    person_email: str
    person_name: str | None
    organization_id: str
    organization: str
    department_id: str | None
    channel: Channel
    requested_by: str
    form_id: str | None
    form: str
    account_id: str | None
    account: str
    profile_id: str
    profile: str
    names: list[str]
    key_algorithm: KeyAlgorithm
    term_days: int
    csr_method: str
    delivery: str
    machine: str
    assurance: AssuranceLevel | None
    licence_version: str | None
    certificate_id: str | None
    evidence: list[FindingOut]
    failure: str
    advice: str
    trace_id: str
    history: list[StepOut]


class DecisionOut(BaseModel):
    """What became of one request. `state` if it was decided; else `problem`, as a problem document would say it."""

    id: str
    state: OrderState | None
    problem: str | None
    advice: str | None


class DecisionsOut(BaseModel):
    """One result for each id, in their order."""

    results: list[DecisionOut]


def shown(tx: Transaction, _actor: Actor, order: Order) -> RequestOut:
    """The request as the API answers it."""
    told, certificate = describe_order(tx, order), tx.certificate_of(order.id)
    failure = progress_of(order).failure
    return RequestOut(
        id=order.id,
        state=order.state,
        created_at=order.created_at,
        state_at=order.state_at or order.created_at,
        certificate_type=order.certificate_type,
        person_email=order.person_email,
        person_name=order.person_name,
        organization_id=order.organization_id,
        organization=told.organization,
        department_id=order.department_id,
        channel=order.channel,
        requested_by=order.asked_by,
        form_id=order.form_id,
        form=told.form,
        account_id=order.account_id,
        account=told.account,
        profile_id=order.profile_id,
        profile=told.profile,
        names=told.names,
        key_algorithm=order.key_algorithm,
        term_days=order.term_days,
        csr_method=order.csr_method,
        delivery=told.delivery,
        machine=order.machine,
        assurance=order.assurance,
        licence_version=order.licence_version,
        certificate_id=certificate.id if certificate else None,
        evidence=findings(_reasons(order)),
        failure=failure.title if failure else "",
        advice=failure.advice if failure else "",
        trace_id=order.trace_id,
        history=[StepOut(at=step.at, state=step.state, note=step.note) for step in told.history],
    )


def _reasons(order: Order) -> list[dict[str, object]]:
    reasons = (order.evidence or {}).get("reasons")
    return reasons if isinstance(reasons, list) else []


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    transactions, clock, origin = tools.transactions, tools.clock, tools.enroll.settings.public_origin
    Asker = Annotated[Actor, Depends(tools.actor)]
    common: dict[str, Any] = {"tags": ["requests"], "responses": PROBLEMS}

    def show(actor: Actor, id: str) -> RequestOut:
        with transactions.read() as tx:
            return shown(tx, actor, reach(tx, ORDERS, actor, id, "request"))

    @api.post("/requests/decisions", operation_id="decide_requests", summary="Decide several requests", **common)
    def decide(actor: Asker, body: DecisionsInput) -> DecisionsOut:
        """Each request is judged by itself: one that cannot be decided does not keep the others."""
        return DecisionsOut(
            results=[_decision(each) for each in decide_several(transactions, clock, origin, actor, body)]
        )

    @api.get(
        "/requests/{id}/evidence",
        operation_id="download_request_evidence",
        summary="Download the evidence that came with the key of one request",
        response_class=Response,
        tags=["requests"],
        responses={**PROBLEMS, **EVIDENCE_FILE},
    )
    def evidence(actor: Asker, id: str) -> Response:
        """As for certificates; also where the evidence was refused. 404 before there is a key."""
        with transactions.read() as tx:
            return evidence_response(evidence_file(tx, reach(tx, ORDERS, actor, id, "request")), id)

    @api.post("/requests/{id}/approval", operation_id="approve_request", summary="Approve a request", **common)
    def approve(actor: Asker, id: str, body: ApprovalInput) -> RequestOut:
        """The person gets a letter, and the request goes on."""
        decide_order(transactions, clock, origin, actor, id, approve=True, remark=body.note)
        return show(actor, id)

    @api.post("/requests/{id}/rejection", operation_id="reject_request", summary="Decline a request", **common)
    def reject(actor: Asker, id: str, body: RejectionInput) -> RequestOut:
        """The person gets a letter with the note."""
        decide_order(transactions, clock, origin, actor, id, approve=False, remark=body.note)
        return show(actor, id)

    @api.post("/requests/{id}/cancellation", operation_id="cancel_request", summary="Cancel a request", **common)
    def cancel(actor: Asker, id: str, body: CancellationInput) -> RequestOut:
        """Ends a request whose certificate is not installed; a certificate that was issued is revoked. The person
        gets a letter."""
        cancel_any_order(transactions, clock, origin, actor, id, body.note)
        return show(actor, id)

    add_routes(
        api,
        tools,
        Resource(
            path="/requests", kind="request", definition=ORDERS, shown=RequestOut, given=ApprovalInput, show=shown
        ),
    )
    return api


def _decision(decided: Decided) -> DecisionOut:
    refusal = decided.refusal
    return DecisionOut(
        id=decided.id,
        state=decided.state,
        problem=refusal.detail if refusal else None,
        advice=refusal.advice if refusal else None,
    )
