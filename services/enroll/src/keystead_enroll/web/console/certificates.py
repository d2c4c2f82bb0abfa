"""Certificates in the console: search, show, download, revoke, export.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.responses import RedirectResponse

from keystead_contracts.words import Words
from keystead_enroll.csv_text import MEDIA_TYPE
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.certificate_files import CertificateFormat, certificate_file
from keystead_enroll.domain.certificate_record import Certificate, certificate_state
from keystead_enroll.domain.inputs import ReleaseInput, RevocationInput
from keystead_enroll.domain.lists import CERTIFICATES
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.domain.search import parse_search
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.export_certificates import export_certificates
from keystead_enroll.usecases.end_order import device_of
from keystead_enroll.usecases.release_certificate import release_certificate
from keystead_enroll.usecases.revoke_certificate import revoke_certificate
from keystead_enroll.web.console.cells import Cell, Tone, code, link, moment, several, tag, text
from keystead_enroll.web.console.choices import KEYS
from keystead_enroll.web.console.evidence import level_tag, why_facts
from keystead_enroll.web.console.form_widgets import ConfirmPage, FormField, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.mistakes import checked
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Notice,
    Row,
    Section,
)
from keystead_enroll.web.evidence_words import LEVELS
from keystead_kit.drafts import Draft

NAV = "certificates"
BASE, REQUESTS = f"{HOME}/certificates", f"{HOME}/requests"
_TOP = Crumb(Words("Certificates"), BASE)
STATES: dict[str, tuple[Tone, Words]] = {
    "valid": ("good", Words("Valid")),
    "expiring": ("warn", Words("Expires soon")),
    "expired": ("calm", Words("Expired")),
    "on_hold": ("warn", Words("On hold")),
    "revoked": ("bad", Words("Revoked")),
}
FORMATS = (
    (CertificateFormat.PEM, Words("Certificate (PEM)")),
    (CertificateFormat.DER, Words("Certificate (DER)")),
    (CertificateFormat.CHAIN, Words("Chain (PEM)")),
    (CertificateFormat.P7B, Words("All (PKCS#7)")),
    (CertificateFormat.ROOT, Words("Root (PEM)")),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    transactions, clock = tools.transactions, tools.clock
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def reached(tx: Transaction, visitor: Visitor, id: str) -> Certificate:
        return reach(tx, CERTIFICATES, visitor.actor, id, Words("certificate"))

    def row(tx: Transaction, certificate: Certificate) -> Row:
        return row_of(tx, certificate, state_tag(certificate, tools))

    def detail(tx: Transaction, actor: Actor, certificate: Certificate, _request: Request) -> DetailPage:
        return _detail(tx, actor, certificate, state_tag(certificate, tools))

    @pages.get(f"{BASE}/export.csv")
    def export(visitor: Here, q: str = "") -> Response:
        search = parse_search(q, CERTIFICATES.fields, clock.now())
        lines = export_certificates(transactions, clock, visitor.actor, search)
        headers = {"content-disposition": 'attachment; filename="certificates.csv"', "cache-control": "no-store"}
        return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=headers)

    @pages.get(f"{BASE}/{{id}}/file")
    def download(visitor: Here, id: str, format: CertificateFormat = CertificateFormat.PEM) -> Response:
        with transactions.read() as tx:
            found = reached(tx, visitor, id)
        name = f'attachment; filename="{format.file_name(found)}"'
        headers = {"content-disposition": name, "cache-control": "no-store"}
        return Response(certificate_file(found, format), media_type=format.media_type, headers=headers)

    def ask_page(request: Request, visitor: Visitor, id: str, draft: Draft) -> Response:
        with transactions.read() as tx:
            found = reached(tx, visitor, id)
            if not found.revocable:
                return RedirectResponse(f"{BASE}/{id}", 303)
            page = _confirm(tx, found, draft)
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{BASE}/{{id}}/revoke")
    def ask(request: Request, visitor: Here, id: str) -> Response:
        return ask_page(request, visitor, id, tools.draft(request))

    @pages.post(f"{BASE}/{{id}}/revoke")
    def revoke(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        try:
            wanted = checked(RevocationInput, {"reason": posted.text("reason"), "note": posted.text("note")})
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: ask_page(request, visitor, id, draft))
        revoke_certificate(transactions, clock, tools.enroll.settings.public_origin, visitor.actor, id, wanted)
        return tools.done(request, f"{BASE}/{id}", "revoked")

    @pages.get(f"{BASE}/{{id}}/release")
    def ask_release(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            found = reached(tx, visitor, id)
            if not found.on_hold:
                return RedirectResponse(f"{BASE}/{id}", 303)
            page = _confirm_release(found)
        return tools.render(request, visitor, page, NAV)

    @pages.post(f"{BASE}/{{id}}/release")
    def release(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
        release_certificate(
            transactions, clock, visitor.actor, id, checked(ReleaseInput, {"note": posted.text("note")})
        )
        return tools.done(request, f"{BASE}/{id}", "released")

    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=Words("certificate"),
            definition=CERTIFICATES,
            listing=lambda _visitor: Listing(CERTIFICATES, LIST, row, BASE, exports=True),
            detail=detail,
        ),
    )
    return pages


def state_tag(certificate: Certificate, tools: ConsoleTools) -> Cell:
    """What the certificate is worth now, as a tag."""
    return tag(*STATES[certificate_state(certificate, tools.clock.now())])


def row_of(tx: Transaction, certificate: Certificate, state: Cell) -> Row:
    """A line of the list."""
    profile = tx.profile(certificate.profile_id)
    return Row(
        f"{BASE}/{certificate.id}",
        (
            text(certificate.subject, certificate.owner if certificate.owner != certificate.subject else ""),
            text(profile.name if profile else "", tx.organization(certificate.organization_id).name),
            tag(*LEVELS[certificate.assurance], certificate.machine),
            moment(certificate.issued_at),
            several([moment(certificate.not_after), state]),
        ),
    )


LIST = ListPage(
    title=Words("Certificates"),
    intro=Words("All that were issued in the places that are yours, newest first."),
    columns=(
        Column("subject", Words("For")),
        Column("profile", Words("Profile")),
        Column("assurance", Words("Private key")),
        Column("issued", Words("Issued"), narrow=True),
        Column("expires", Words("Valid until"), narrow=True),
    ),
    rows=(),
    empty=Empty(
        Words("No certificates yet"),
        Words("They appear here as soon as somebody enrolls at one of your forms."),
        Action(Words("Enrollment forms"), f"{HOME}/forms"),
    ),
)


def _detail(tx: Transaction, actor: Actor, certificate: Certificate, state: Cell) -> DetailPage:
    own = f"{BASE}/{certificate.id}"
    order = tx.order(certificate.order_id)
    device = device_of(tx, order.recipient) if order else None
    release, revoke = Action(Words("Release…"), f"{own}/release"), Action(Words("Revoke…"), f"{own}/revoke", "danger")
    return DetailPage(
        title=certificate.subject,
        subtitle=certificate.owner,
        tag=state,
        crumbs=(_TOP,),
        actions=(*((release,) if certificate.on_hold else ()), *((revoke,) if certificate.revocable else ())),
        notices=_notices(certificate),
        sections=(
            Section(
                Words("Certificate"),
                facts=(
                    Fact(Words("Names"), several(certificate.names)),
                    Fact(Words("Owner"), text(certificate.owner)),
                    *_place(tx, certificate),
                    Fact(Words("Request"), link(Words("See the request"), f"{REQUESTS}/{certificate.order_id}")),
                    Fact(Words("Valid from"), moment(certificate.not_before, "datetime")),
                    Fact(Words("Valid until"), moment(certificate.not_after, "datetime", relative=True)),
                    Fact(Words("Renewed from"), moment(certificate.renews_at, relative=True)),
                ),
            ),
            Section(
                Words("Private key"),
                facts=(
                    *(
                        why_facts(certificate.assurance, order, f"{own}/evidence")
                        if order
                        else (Fact(Words("Proof"), level_tag(certificate.assurance)),)
                    ),
                    Fact(Words("Kind"), text(KEYS[certificate.key_algorithm])),
                    Fact(
                        Words("Computer"),
                        link(device.name, f"{HOME}/devices/{device.id}") if device else text(certificate.machine),
                    ),
                    Fact(Words("Stored in"), code(certificate.location)),
                ),
            ),
            Section(
                Words("Technical details"),
                facts=(
                    Fact(Words("Issuer"), text(certificate.issuer)),
                    Fact(Words("Serial number"), code(certificate.serial)),
                    Fact(Words("SHA-1 fingerprint"), code(certificate.sha1)),
                    Fact(Words("SHA-256 fingerprint"), code(certificate.sha256)),
                ),
            ),
            Section(
                Words("Download"),
                facts=tuple(
                    Fact(label, link(Words("Download"), f"{own}/file?format={each.value}", each.file_name(certificate)))
                    for each, label in FORMATS
                ),
            ),
        ),
        timeline=timeline_of(tx, actor, certificate.id),
    )


def _notices(certificate: Certificate) -> tuple[Notice, ...]:
    if certificate.revoked_at is None:
        return ()
    reason = RevocationReason(certificate.revocation_reason or RevocationReason.UNSPECIFIED)
    if certificate.on_hold:
        told = Words("It is on hold since {time} UTC.", time=f"{certificate.revoked_at:%Y-%m-%d %H:%M}")
        noted = certificate.revocation_note
        return (Notice(told, "warn"), *((Notice(Words("Note: {note}", note=noted), "calm"),) if noted else ()))
    told = Words(
        "It was revoked on {time} UTC: {reason}.", time=f"{certificate.revoked_at:%Y-%m-%d %H:%M}", reason=reason.words
    )
    note = certificate.revocation_note
    return (Notice(told, "bad"), *((Notice(Words("Note: {note}", note=note), "calm"),) if note else ()))


def _place(tx: Transaction, certificate: Certificate) -> tuple[Fact, ...]:
    department, profile = certificate.department_id, tx.profile(certificate.profile_id)
    form = tx.form_of(certificate)
    return (
        Fact(
            Words("Organization"),
            link(
                tx.organization(certificate.organization_id).name,
                f"{HOME}/organizations/{certificate.organization_id}",
                tx.department(department).name if department else "",
            ),
        ),
        Fact(Words("Form"), link(form.name, f"{HOME}/forms/{form.id}") if form else text("")),
        Fact(Words("Profile"), link(profile.name, f"{HOME}/profiles/{profile.id}") if profile else text("")),
    )


def _confirm(tx: Transaction, certificate: Certificate, draft: Draft) -> ConfirmPage:
    own = f"{BASE}/{certificate.id}"
    order = tx.order(certificate.order_id)
    device = device_of(tx, order.recipient) if order else None
    consequences = [
        Words("It cannot be undone."),
        Words("On hold, it stays on its computer and can be released."),
        Words("Whatever uses this certificate stops working as soon as the other side hears of it."),
    ]
    if device is not None:
        consequences.append(Words("{machine} removes the certificate and its key.", machine=device.name))
    if order is not None and not order.over:
        consequences.append(Words("It is not installed yet: its request ends."))
    return ConfirmPage(
        title=Words("Revoke the certificate of {name}?", name=certificate.subject),
        verb=Words("Revoke the certificate"),
        action=f"{own}/revoke",
        cancel_url=own,
        consequences=tuple(consequences),
        objects=(text(certificate.subject, certificate.serial),),
        fields=(
            FormField(
                "reason",
                Words("Why?"),
                "radios",
                options=tuple(
                    Option(each.value, each.label)
                    for each in RevocationReason
                    if not (certificate.on_hold and each is RevocationReason.CERTIFICATE_HOLD)
                ),
            ),
            FormField(
                "note",
                Words("Note"),
                "textarea",
                required=False,
                hint=Words("Administrators read it here and in the audit log."),
                more={"maxlength": 1000},
            ),
        ),
        values=draft.values,
        errors=draft.errors,
        crumbs=(_TOP, Crumb(certificate.subject, own)),
    )


def _confirm_release(certificate: Certificate) -> ConfirmPage:
    own = f"{BASE}/{certificate.id}"
    return ConfirmPage(
        title=Words("Release the certificate of {name}?", name=certificate.subject),
        verb=Words("Release the certificate"),
        action=f"{own}/release",
        cancel_url=own,
        consequences=(Words("Whoever checks it accepts it again as soon as they hear of it."),),
        objects=(text(certificate.subject, certificate.serial),),
        fields=(
            FormField(
                "note",
                Words("Note"),
                "textarea",
                required=False,
                hint=Words("Administrators read it in the audit log."),
                more={"maxlength": 1000},
            ),
        ),
        crumbs=(_TOP, Crumb(certificate.subject, own)),
    )
