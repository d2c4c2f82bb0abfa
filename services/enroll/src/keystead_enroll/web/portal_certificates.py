"""Portal pages of the person's certificates: the list, one of them, its files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import RedirectResponse

from keystead_contracts.words import Words
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.certificates import pem_from_der
from keystead_enroll.domain.refusals import CertificateUnknown, RequestRefused
from keystead_enroll.domain.revocation import OWNERS_REASONS, RevocationReason
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.end_order import device_of
from keystead_enroll.usecases.own_certificates import (
    own_certificate,
    release_own_certificate,
    revoke_own_certificate,
    successor_of,
)
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_enroll.web.context import FormToken, WebContext
from keystead_enroll.web.views import (
    base,
    certificate_row,
    certificate_view,
    fruitless,
    order_row,
    unfinished,
    visit_view,
)
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address

MOST_EARLIER = 20


def router(context: WebContext) -> APIRouter:
    """The pages at and below `/e/<uri_extension>/certificates`."""
    pages = APIRouter(prefix="/e/{uri}/certificates", include_in_schema=False)
    enroll = context.enroll

    @pages.get("")
    def certificates(request: Request, uri: str) -> Response:
        now = enroll.clock.now()
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
            names = {profile.id: profile.name for profile in tx.profiles()}
            issued = tx.certificates_of(visit.form.id, visit.session.email)
            orders = tx.orders_of(visit.form.id, visit.session.email)
            rows = [certificate_row(c, names.get(c.profile_id, ""), visit.form, now) for c in issued]
            under_way, earlier = (
                [order_row(order, names.get(order.profile_id, ""), visit.form) for order in some]
                for some in (unfinished(orders), fruitless(orders)[:MOST_EARLIER])
            )
        return context.render(
            request, "certificates.html", **visit_view(visit), add_url=_add_url(visit),
            certificates=rows, orders=under_way, earlier=earlier, notice=None,
        )  # fmt: skip

    def found_own(tx: Transaction, request: Request, uri: str, certificate_id: str) -> tuple[Visit, Certificate]:
        visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
        return visit, own_certificate(tx, visit, certificate_id)

    @pages.get("/{certificate_id}")
    def certificate(request: Request, uri: str, certificate_id: str) -> Response:
        with enroll.transactions.read() as tx:
            visit, found = found_own(tx, request, uri, certificate_id)
            profile = tx.profile(found.profile_id)
            newer = successor_of(tx, visit, found)
        card = certificate_view(found, profile.name if profile else "", visit.form, enroll.clock.now())
        return context.render(
            request, "certificate.html", **visit_view(visit), certificate=card,
            list_url=f"{base(visit.form)}/certificates", renew_url=_renew_url(visit, found),
            replaced_url=f"{base(visit.form)}/orders/{newer.id}" if newer else None,
            revoke_url=None if card["state"] in ("expired", "revoked") else f"{_address(visit, found)}/revoke",
            release_action=f"{_address(visit, found)}/release" if found.on_hold and found.held_by_owner else None,
        )  # fmt: skip

    @pages.get("/{certificate_id}/revoke")
    def ask(request: Request, uri: str, certificate_id: str) -> Response:
        with enroll.transactions.read() as tx:
            visit, found = found_own(tx, request, uri, certificate_id)
            if not found.revocable:
                return RedirectResponse(_address(visit, found), 303)
            profile, order = tx.profile(found.profile_id), tx.order(found.order_id)
            device = device_of(tx, order.recipient) if order else None
        draft = context.drafts.get(request)
        return context.render(
            request, "certificate_revoke.html", **visit_view(visit),
            certificate={
                "subject": found.subject, "profile": profile.name if profile else "", "serial": found.serial,
                "not_after": found.not_after, "machine": found.machine, "url": _address(visit, found),
            },
            reasons=[
                {"value": r.value, "label": r.label, "note": ""} for r in OWNERS_REASONS
                if not (found.on_hold and r is RevocationReason.CERTIFICATE_HOLD)
            ],
            device=device.name if device else "", renew_url=_renew_url(visit, found),
            action=f"{_address(visit, found)}/revoke", values=draft.values, errors=draft.errors,
        )  # fmt: skip

    @pages.post("/{certificate_id}/revoke")
    def revoke(
        request: Request,
        uri: str,
        certificate_id: str,
        form_token: FormToken = "",
        reason: Annotated[str, Form(max_length=32)] = "",
    ) -> Response:
        context.guard.check(request, form_token)
        try:
            revoke_own_certificate(
                enroll.transactions, enroll.clock, uri, context.session_token(request), certificate_id, reason,
                client_address(request),
            )  # fmt: skip
        except RequestRefused as refusal:
            return context.drafts.send_back(request, Draft({"reason": reason}, refusal.fields))
        return context.taken(request, f"/e/{uri}/certificates/{certificate_id}")

    @pages.post("/{certificate_id}/release")
    def release(request: Request, uri: str, certificate_id: str, form_token: FormToken = "") -> Response:
        context.guard.check(request, form_token)
        release_own_certificate(
            enroll.transactions, enroll.clock, uri, context.session_token(request), certificate_id,
            client_address(request),
        )  # fmt: skip
        return context.taken(request, f"/e/{uri}/certificates/{certificate_id}")

    @pages.get("/{certificate_id}/{name}.pem")
    def download(request: Request, uri: str, certificate_id: str, name: str) -> Response:
        with enroll.transactions.read() as tx:
            _, found = found_own(tx, request, uri, certificate_id)
        content = {
            "certificate": lambda: pem_from_der(found.der),
            "chain": lambda: "".join(found.chain_pem),
            "root": lambda: found.root_pem,
        }.get(name)
        if content is None:
            raise CertificateUnknown(Words("There is no such file."))
        headers = {"content-disposition": f'attachment; filename="{name}.pem"', "cache-control": "no-store"}
        return Response(content(), media_type="application/x-pem-file", headers=headers)

    return pages


def _address(visit: Visit, certificate: Certificate) -> str:
    return f"{base(visit.form)}/certificates/{certificate.id}"


def _add_url(visit: Visit) -> str:
    """Where a new request begins: with the choice of what for, where there is one."""
    return f"{base(visit.form)}/{'account' if len(visit.ways) > 1 else 'request'}"


def _renew_url(visit: Visit, certificate: Certificate) -> str:
    return f"{base(visit.form)}/request?renew={certificate.id}"
