"""Portal pages of the person's certificates: the list, one of them, its files."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.certificates import pem_from_der
from keystead_enroll.domain.refusals import CertificateUnknown
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_enroll.web.context import WebContext
from keystead_enroll.web.views import (
    base,
    certificate_row,
    certificate_view,
    fruitless,
    order_row,
    unfinished,
    visit_view,
)

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
            request, "certificates.html", **visit_view(visit), add_url=f"{base(visit.form)}/request",
            certificates=rows, orders=under_way, earlier=earlier, notice=None,
        )  # fmt: skip

    def own_certificate(tx: Transaction, request: Request, uri: str, certificate_id: str) -> tuple[Visit, Certificate]:
        visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
        certificate = tx.certificate(certificate_id)
        if certificate is None or certificate.form_id != visit.form.id or certificate.owner != visit.session.email:
            raise CertificateUnknown(Words("There is no such certificate."))
        return visit, certificate

    @pages.get("/{certificate_id}")
    def certificate(request: Request, uri: str, certificate_id: str) -> Response:
        with enroll.transactions.read() as tx:
            visit, found = own_certificate(tx, request, uri, certificate_id)
            profile = tx.profile(found.profile_id)
        card = certificate_view(found, profile.name if profile else "", visit.form, enroll.clock.now())
        ended = card["state"] in ("expired", "revoked")
        return context.render(
            request, "certificate.html", **visit_view(visit), certificate=card,
            list_url=f"{base(visit.form)}/certificates", add_url=f"{base(visit.form)}/request" if ended else None,
        )  # fmt: skip

    @pages.get("/{certificate_id}/{name}.pem")
    def download(request: Request, uri: str, certificate_id: str, name: str) -> Response:
        with enroll.transactions.read() as tx:
            _, found = own_certificate(tx, request, uri, certificate_id)
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
