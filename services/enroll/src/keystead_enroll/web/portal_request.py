"""Portal page on which a person asks for a certificate."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response, UploadFile
from starlette.responses import RedirectResponse

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.csr import MAX_CSR_CHARACTERS
from keystead_enroll.domain.enrollment import CertificateProfile, CsrGenerationMethod
from keystead_enroll.domain.refusals import RequestRefused
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.own_certificates import own_certificate, renewal_answers
from keystead_enroll.usecases.submit_request import RequestAnswers, devices_for, subject_facts, submit_request
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_enroll.web.context import FormToken, WebContext
from keystead_enroll.web.portal import next_page
from keystead_enroll.web.views import Context, base, device_views, mistakes_view, profile_view, visit_view
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.i18n import language
from keystead_kit.secrets import new_token

_FACT_LABELS = {
    "name": Words("Name"),
    "email": Words("E-mail"),
    "organization": Words("Organization"),
    "department": Words("Department"),
}


def router(context: WebContext) -> APIRouter:
    """`/e/<uri_extension>/request`."""
    pages = APIRouter(prefix="/e/{uri}/request", include_in_schema=False)
    enroll, guard = context.enroll, context.guard

    @pages.get("")
    def request_page(request: Request, uri: str, profile: str = "", renew: str = "") -> Response:
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
            if visit.account is None or visit.locked:
                return RedirectResponse(next_page(visit, renew), 303)
            draft = context.drafts.get(request)
            asked = renewal_answers(tx, visit, renew) if renew else {"profile": profile}
            return _request_page(request, tx, visit, draft.values or asked, draft.errors)

    def _request_page(
        request: Request, tx: Transaction, visit: Visit, values: dict[str, str], errors: dict[str, str]
    ) -> Response:
        profiles = visit.profiles
        chosen = next((p for p in profiles if p.id == values.get("profile")), None)
        if chosen is None and len(profiles) == 1:
            chosen = profiles[0]
        licence = tx.licence()
        has_any = bool(
            tx.certificates_of(visit.form.id, visit.session.email) or tx.orders_of(visit.form.id, visit.session.email)
        )
        page: Context = {
            **visit_view(visit),
            "choose_url": f"{base(visit.form)}/request",
            "action": f"{base(visit.form)}/request",
            "page_key": new_token(),
            "back_url": f"{base(visit.form)}/certificates" if has_any else None,
            "certificate_type": visit.form.certificate_type.value,
            "subject": _subject(visit, chosen),
            "profiles": [profile_view(p) for p in profiles],
            "profile": profile_view(chosen) if chosen else None,
            "domains": list(visit.dns_domains) if visit.form.certificate_type is not CertificateType.CLIENT else [],
            "provided": visit.account is not None and visit.account.csr_method is CsrGenerationMethod.PROVIDED,
            "renews": _renewed(tx, visit, values.get("renew", "")),
            "devices": device_views(devices_for(tx, visit, chosen), enroll.clock.now()),
            "licence": {"version": licence.version, "text": licence.text} if licence else None,
            "values": {name: value for name, value in values.items() if value},
        }
        return context.render(request, "request.html", **page, errors=mistakes_view(page, errors))

    def _renewed(tx: Transaction, visit: Visit, certificate_id: str) -> Context | None:
        found = own_certificate(tx, visit, certificate_id) if certificate_id else None
        if found is None:
            return None
        address = f"{base(visit.form)}/certificates/{found.id}"
        return {"subject": found.subject, "not_after": found.not_after, "url": address}

    @pages.post("")
    def submit(
        request: Request,
        uri: str,
        form_token: FormToken = "",
        profile: Annotated[str, Form(max_length=64)] = "",
        key_algorithm: Annotated[str, Form(max_length=32)] = "",
        term_days: Annotated[str, Form(max_length=8)] = "",
        target: Annotated[str, Form(max_length=64)] = "link",
        licence: Annotated[str, Form(max_length=8)] = "",
        licence_version: Annotated[str, Form(max_length=64)] = "",
        dns_names: Annotated[str, Form(max_length=8192)] = "",
        device_name: Annotated[str, Form(max_length=253)] = "",
        serial_number: Annotated[str, Form(max_length=64)] = "",
        page_key: Annotated[str, Form(max_length=64)] = "",
        renew: Annotated[str, Form(max_length=32)] = "",
        csr: Annotated[str, Form(max_length=2 * MAX_CSR_CHARACTERS)] = "",
        csr_file: UploadFile | None = None,
    ) -> Response:
        guard.check(request, form_token)
        csr = _uploaded(csr_file) or csr
        answers = RequestAnswers(
            profile=profile, key_algorithm=key_algorithm, term_days=term_days, target=target,
            licence_version=licence_version, licence_accepted=licence == "on", dns_names=dns_names,
            device_name=device_name, serial_number=serial_number, csr=csr,
            renew=renew,
        )  # fmt: skip
        try:
            order_id = submit_request(
                enroll.transactions, enroll.clock, enroll.secrets,
                uri_extension=uri, token=context.session_token(request), answers=answers, page_key=page_key,
                language=language().tag, most_open=enroll.settings.open_orders_limit, address=client_address(request),
            )  # fmt: skip
        except RequestRefused as refusal:
            values = {
                "profile": profile, "key_algorithm": key_algorithm, "term_days": term_days, "target": target,
                "licence": licence, "licence_version": licence_version, "dns_names": dns_names,
                "device_name": device_name, "serial_number": serial_number, "renew": renew,
                "csr": "" if "PRIVATE KEY" in csr else csr,
            }  # fmt: skip
            return context.drafts.send_back(request, Draft(values, refusal.fields))
        return context.taken(request, f"/e/{uri}/orders/{order_id}")

    return pages


def _uploaded(file: UploadFile | None) -> str:
    """The text of a file that was chosen; what is no text is left to the check of the request."""
    if file is None or not file.size:
        return ""
    return file.file.read(MAX_CSR_CHARACTERS + 1).decode("ascii", "replace")


def _subject(visit: Visit, profile: CertificateProfile | None) -> list[tuple[str, str]]:
    if profile is None:
        return []
    facts = subject_facts(visit)
    used = f"{profile.subject} {' '.join(profile.subject_alternative_names)}"
    return [(label, facts[name]) for name, label in _FACT_LABELS.items() if facts.get(name) and name in used]
