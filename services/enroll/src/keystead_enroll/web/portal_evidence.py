"""Portal page that says why it is believed that a request's key is in a TPM, and the evidence as a file.

Of evidence that was refused it says what the agent was told, and no more: whoever forges some learns elsewhere which
checks it passes.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.orders import Order
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.change_order import own_order
from keystead_enroll.usecases.show_evidence import EvidenceGroup, ShownEvidence, ShownTpm, evidence_file, show_evidence
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_enroll.web.api.evidence import evidence_response
from keystead_enroll.web.context import WebContext
from keystead_enroll.web.evidence_words import (
    ABOUT,
    LEVELS,
    NO_LEVEL,
    firmware,
    manufacturer,
    order_belief,
    refusal_of,
)
from keystead_enroll.web.views import Context, base, visit_view


def router(context: WebContext) -> APIRouter:
    """The pages."""
    pages = APIRouter(prefix="/e/{uri}/orders/{order_id}", include_in_schema=False)
    enroll = context.enroll

    def found(tx: Transaction, request: Request, uri: str, order_id: str) -> tuple[Visit, Order]:
        visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
        return visit, own_order(tx, visit, order_id)

    @pages.get("/evidence")
    def show(request: Request, uri: str, order_id: str) -> Response:
        with enroll.transactions.read() as tx:
            visit, order = found(tx, request, uri, order_id)
            certificate = tx.certificate_of(order.id)
            address = f"{base(visit.form)}/orders/{order.id}"
            evidence = evidence_view(order, show_evidence(tx, order), f"{address}/evidence.json")
        back = {"label": Words("Your request"), "url": address}
        if certificate is not None:
            back = {"label": Words("Your certificate"), "url": f"{base(visit.form)}/certificates/{certificate.id}"}
        return context.render(request, "evidence.html", **visit_view(visit), evidence=evidence, back=back)

    @pages.get("/evidence.json")
    def download(request: Request, uri: str, order_id: str) -> Response:
        with enroll.transactions.read() as tx:
            _, order = found(tx, request, uri, order_id)
            if refusal_of(order) is not None:
                raise ThingUnknown(Words("evidence"))
            return evidence_response(evidence_file(tx, order), order.id)

    return pages


def evidence_view(order: Order, shown: ShownEvidence | None, file_url: str) -> Context:
    """The evidence as `evidence.html` wants it."""
    level = shown.level if shown else None
    belief, refusal = order_belief(order, level), refusal_of(order)
    told = shown if refusal is None else None
    return {
        "headline": belief.headline,
        "how": belief.how,
        "tag": (LEVELS[level] if level else NO_LEVEL) if shown else None,
        "refusal": refusal,
        "machine": order.machine,
        "judged_at": shown.judged_at if shown else None,
        "tpm": _tpm(told.tpm, level) if told and told.tpm else None,
        "groups": [_group(each) for each in told.groups] if told else [],
        "file_url": file_url if told and told.complete else None,
        "file_name": f"{order.id}.evidence.json",
    }


def _tpm(tpm: ShownTpm, level: AssuranceLevel | None) -> Context:
    return {
        "manufacturer": manufacturer(tpm.manufacturer),
        "model": tpm.model,
        "firmware": firmware(tpm.version),
        "vouched": level is AssuranceLevel.VENDOR,
        "listed": tpm.listed,
        "sha256": tpm.sha256,
        "authorities": [{"name": each.name, "sha256": each.sha256} for each in tpm.authorities],
    }


def _group(group: EvidenceGroup) -> Context:
    return {
        "subject": group.subject,
        "about": ABOUT.get(group.subject, ""),
        "lines": [{"mark": line.mark.value, "text": line.text, "code": line.code} for line in group.lines],
    }
