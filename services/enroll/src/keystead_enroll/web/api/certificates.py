"""`/api/v1/certificates`: search, show, download, revoke, export.

This module evaluates its annotations when a router is made: no `from __future__ import annotations` here.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.certificate_files import CertificateFormat, certificate_file
from keystead_enroll.domain.certificate_record import Certificate, certificate_state
from keystead_enroll.domain.inputs import ReleaseInput, RevocationInput
from keystead_enroll.domain.lists import CERTIFICATES
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.domain.search import LONGEST_SEARCH, parse_search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.export_certificates import export_certificates
from keystead_enroll.usecases.release_certificate import release_certificate
from keystead_enroll.usecases.revoke_certificate import revoke_certificate
from keystead_enroll.usecases.show_evidence import evidence_file
from keystead_enroll.web.api.evidence import EVIDENCE_FILE, FindingOut, evidence_response, findings
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools

CSV = "text/csv; charset=utf-8"
_TOLD = "Relying parties are told at once by OCSP, and by the next revocation list, which is signed within seconds."


class RevocationOut(BaseModel):
    """When and why it was revoked."""

    at: AwareDatetime
    reason: RevocationReason
    note: str


class CertificateOut(BaseModel):
    """A certificate. `state` is what it is worth now: valid, expiring (its renewal is due), expired, on_hold
    or revoked."""

    id: str
    state: str
    subject: str
    names: list[str]
    certificate_type: CertificateType
    owner: str
    organization_id: str
    organization: str
    department_id: str | None
    department: str | None
    form_id: str | None
    form: str | None
    profile_id: str
    profile: str
    request_id: str
    serial: str
    issuer: str
    sha1: str
    sha256: str
    key_algorithm: KeyAlgorithm
    assurance: AssuranceLevel
    evidence: list[FindingOut]
    machine: str
    location: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    renews_at: AwareDatetime
    issued_at: AwareDatetime
    revocation: RevocationOut | None


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    transactions, clock = tools.transactions, tools.clock
    Asker = Annotated[Actor, Depends(tools.actor)]
    common: dict[str, Any] = {"tags": ["certificates"]}

    def shown(tx: Transaction, _actor: Actor, certificate: Certificate) -> CertificateOut:
        department, profile = certificate.department_id, tx.profile(certificate.profile_id)
        form = tx.form_of(certificate)
        revoked_at, reason = certificate.revoked_at, certificate.revocation_reason
        return CertificateOut(
            id=certificate.id,
            state=certificate_state(certificate, clock.now()),
            subject=certificate.subject,
            names=certificate.names,
            certificate_type=certificate.certificate_type,
            owner=certificate.owner,
            organization_id=certificate.organization_id,
            organization=tx.organization(certificate.organization_id).name,
            department_id=department,
            department=tx.department(department).name if department else None,
            form_id=certificate.form_id,
            form=form.name if form else None,
            profile_id=certificate.profile_id,
            profile=profile.name if profile else "",
            request_id=certificate.order_id,
            serial=certificate.serial,
            issuer=certificate.issuer,
            sha1=certificate.sha1,
            sha256=certificate.sha256,
            key_algorithm=certificate.key_algorithm,
            assurance=certificate.assurance,
            evidence=findings(certificate.reasons),
            machine=certificate.machine,
            location=certificate.location,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            renews_at=certificate.renews_at,
            issued_at=certificate.issued_at,
            revocation=RevocationOut(
                at=revoked_at, reason=RevocationReason(reason or "unspecified"), note=certificate.revocation_note
            )
            if revoked_at
            else None,
        )

    @api.get(
        "/certificates/export.csv",
        operation_id="export_certificates",
        summary="All certificates that a search finds, as CSV",
        response_class=StreamingResponse,
        responses={**PROBLEMS, 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
        **common,
    )
    def export(
        actor: Asker, q: Annotated[str, Query(max_length=LONGEST_SEARCH, description="As for the list.")] = ""
    ) -> StreamingResponse:
        """Every row, not a page, newest first. Text that a spreadsheet would take for a formula begins with an
        apostrophe."""
        search = parse_search(q, CERTIFICATES.fields, clock.now())
        lines: Iterator[str] = export_certificates(transactions, clock, actor, search)
        headers = {"content-disposition": 'attachment; filename="certificates.csv"', "cache-control": "no-store"}
        return StreamingResponse(lines, media_type=CSV, headers=headers)

    @api.get(
        "/certificates/{id}/file",
        operation_id="download_certificate",
        summary="Download one certificate",
        response_class=Response,
        responses={
            **PROBLEMS,
            200: {"content": {each.media_type: {"schema": {"type": "string"}} for each in CertificateFormat}},
        },
        **common,
    )
    def download(actor: Asker, id: str, format: CertificateFormat = CertificateFormat.PEM) -> Response:
        """`pem` and `der`: the certificate; `chain`: its issuing CAs, PEM; `root`: the root CA, PEM; `p7b`: the
        certificate, its issuing CAs and the root as PKCS#7 in DER."""
        with transactions.read() as tx:
            found = reach(tx, CERTIFICATES, actor, id, "certificate")
        headers = {
            "content-disposition": f'attachment; filename="{format.file_name(found)}"',
            "cache-control": "no-store",
        }
        return Response(certificate_file(found, format), media_type=format.media_type, headers=headers)

    @api.get(
        "/certificates/{id}/evidence",
        operation_id="download_certificate_evidence",
        summary="Download the evidence that the key of one certificate is in a TPM",
        response_class=Response,
        responses={**PROBLEMS, **EVIDENCE_FILE},
        **common,
    )
    def evidence(actor: Asker, id: str) -> Response:
        """All that was sent, asked and judged, and the certificate: `keystead evidence verify` judges it again,
        anywhere. 404 for certificates of before evidence was kept."""
        with transactions.read() as tx:
            found = reach(tx, CERTIFICATES, actor, id, "certificate")
            order = tx.order(found.order_id)
            if order is None:
                raise ThingUnknown("evidence")
            return evidence_response(evidence_file(tx, order), found.serial)

    @api.post(
        "/certificates/{id}/revocation",
        operation_id="revoke_certificate",
        summary="Revoke one certificate",
        description=f"For the same reason again it answers the same. A registered device is told to remove what it "
        f"installed, and the owner gets a letter. For the reason `certificate_hold` it stays where it is, and may be "
        f"released or revoked for good later. {_TOLD}",
        responses=PROBLEMS,
        **common,
    )
    def revoke(actor: Asker, id: str, body: RevocationInput) -> CertificateOut:
        revoke_certificate(transactions, clock, tools.enroll.settings.public_origin, actor, id, body)
        with transactions.read() as tx:
            return shown(tx, actor, reach(tx, CERTIFICATES, actor, id, "certificate"))

    @api.post(
        "/certificates/{id}/release",
        operation_id="release_certificate",
        summary="Release one certificate that is on hold",
        description=f"If nothing is wrong with it, it answers the same; 409 if it was revoked for good. {_TOLD}",
        responses=PROBLEMS,
        **common,
    )
    def release(actor: Asker, id: str, body: ReleaseInput) -> CertificateOut:
        release_certificate(transactions, clock, actor, id, body)
        with transactions.read() as tx:
            return shown(tx, actor, reach(tx, CERTIFICATES, actor, id, "certificate"))

    add_routes(
        api,
        tools,
        Resource(
            path="/certificates", kind="certificate", definition=CERTIFICATES, shown=CertificateOut,
            given=RevocationInput, show=shown,
        ),
    )  # fmt: skip
    return api
