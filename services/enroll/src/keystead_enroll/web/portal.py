"""Portal pages up to the request: arrive, choose an account, give the code, see certificates, ask for one."""

from __future__ import annotations

from typing import Annotated

import jwt
from fastapi import APIRouter, Form, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from keystead_contracts.base import CertificateType
from keystead_contracts.identity import IDENTITY_AUDIENCE, IDENTITY_ISSUER, IdentityClaims
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.certificates import pem_from_der
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.refusals import (
    AccessCodeWrong,
    CertificateUnknown,
    FormUnknown,
    IdentityRefused,
    NoAccount,
    RequestRefused,
    SessionExpired,
)
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.choose_account import choose_account
from keystead_enroll.usecases.enter_access_code import enter_access_code, tries_left
from keystead_enroll.usecases.open_visit import VISIT_HOURS, open_visit
from keystead_enroll.usecases.submit_request import RequestAnswers, subject_facts, submit_request
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_enroll.web.context import IDENTITY, SESSION, WebContext
from keystead_enroll.web.problems import as_problem
from keystead_enroll.web.views import (
    Context,
    base,
    certificate_row,
    certificate_view,
    device_views,
    form_view,
    fruitless,
    mistakes_view,
    order_row,
    profile_view,
    unfinished,
    visit_view,
)
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.ratelimit import network_of
from keystead_kit.secrets import new_token, token_digest
from keystead_kit.trace import current_trace_id

MOST_EARLIER = 20
_FACT_LABELS = {"name": "Name", "email": "E-mail", "organization": "Organization", "department": "Department"}
FormToken = Annotated[str, Form(max_length=128)]


def router(context: WebContext) -> APIRouter:
    """The pages below `/e/<uri_extension>`."""
    pages = APIRouter(prefix="/e/{uri}", include_in_schema=False)
    enroll, guard = context.enroll, context.guard

    def render(request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        visit, form_token = guard.visit(request)
        response = context.pages.render(template, status=status, form_token=form_token, **values)
        guard.remember(request, response, visit)
        return response

    def session_token(request: Request) -> str | None:
        return context.cookies.get(request, SESSION)

    def taken(request: Request, onwards: str) -> Response:
        """The answer to a form that has no mistakes (any more)."""
        response = RedirectResponse(onwards, 303)
        context.drafts.forget(request, response)
        return response

    @pages.get("")
    def arrive(request: Request, uri: str) -> Response:
        """The form's address: signs the person in if auth sent them, else sends them to auth or onwards."""
        raw = context.identity_cookies.get(request, IDENTITY)
        if raw is not None:
            return _sign_in(request, raw, uri)
        with enroll.transactions.read() as tx:
            try:
                visit = find_visit(tx, enroll.clock, uri, session_token(request))
            except SessionExpired:
                return RedirectResponse(f"/auth/sign-in/{uri}", 303)
            except NoAccount as refusal:
                return _no_account(request, tx, uri, refusal)
            return RedirectResponse(_next_page(tx, visit), 303)

    def _sign_in(request: Request, raw: str, uri: str) -> Response:
        response: Response
        try:
            verified = context.identities.verify(raw, issuer=IDENTITY_ISSUER, audience=IDENTITY_AUDIENCE)
            token = open_visit(enroll.transactions, enroll.clock, IdentityClaims.model_validate(verified), uri)
        except (jwt.InvalidTokenError, ValidationError, IdentityRefused):
            response = _not_signed_in(request, uri)
        except FormUnknown as refusal:
            response = context.pages.problem(as_problem(refusal))
        else:
            response = RedirectResponse(f"/e/{uri}", 303)
            context.cookies.put(response, SESSION, token, VISIT_HOURS * 3600)
        context.identity_cookies.drop(response, IDENTITY)
        return response

    def _not_signed_in(request: Request, uri: str) -> Response:
        """A page, not a redirect: auth would send the same person back at once, and so on for ever."""
        with enroll.transactions.read() as tx:
            form = tx.form_by_uri(uri)
        return render(
            request,
            "message.html",
            status=401,
            form=form_view(form, None) if form else None,
            title="We could not sign you in",
            happened="The sign-in was used already, is too old, or was for another form.",
            why="",
            what_now="Sign in again. If that does not help, this server's clocks may differ; tell your administrator.",
            action={"label": "Sign in again", "url": f"/e/{uri}"},
            reference=current_trace_id(),
        )

    def _no_account(request: Request, tx: Transaction, uri: str, refusal: NoAccount) -> Response:
        form = tx.form_by_uri(uri)
        token = session_token(request)
        session = tx.session_of(token_digest(token)) if token else None
        return render(
            request,
            "message.html",
            status=403,
            form=form_view(form, None) if form else None,
            person={"email": session.email, "name": session.name} if session else None,
            sign_out_url=f"/e/{uri}/sign-out",
            title=refusal.title,
            happened=refusal.detail,
            why="",
            what_now=f"{refusal.advice} Or sign out above and use another address.",
            action=None,
            reference="",
        )

    @pages.post("/sign-out")
    def sign_out(request: Request, uri: str, form_token: FormToken = "") -> Response:
        guard.check(request, form_token)
        token = session_token(request)
        with enroll.transactions.write() as tx:
            session = tx.session_of(token_digest(token)) if token else None
            if session is not None:
                tx.end_session(session)
        response = RedirectResponse(f"/auth/sign-out?form={uri}", 307)  # the same POST, for auth's own session
        context.cookies.drop(response, SESSION)
        context.drafts.forget(request, response)
        return response

    @pages.get("/account")
    def account(request: Request, uri: str) -> Response:
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, session_token(request))
            return _account_page(request, visit, context.drafts.get(request))

    def _account_page(request: Request, visit: Visit, draft: Draft) -> Response:
        choices = [
            {
                "id": way.account.id,
                "name": way.account.name,
                "organization": way.organization.name,
                "department": way.department.name if way.department else None,
            }
            for way in visit.ways
        ]
        return render(
            request, "choose_account.html", **visit_view(visit),
            action=f"{base(visit.form)}/account", accounts=choices, values=draft.values, errors=draft.errors,
        )  # fmt: skip

    @pages.post("/account")
    def choose(
        request: Request, uri: str, form_token: FormToken = "", account: Annotated[str, Form(max_length=64)] = ""
    ) -> Response:
        guard.check(request, form_token)
        try:
            choose_account(enroll.transactions, enroll.clock, uri, session_token(request), account)
        except RequestRefused as refusal:
            return context.drafts.send_back(request, Draft(errors=refusal.fields))
        return taken(request, f"/e/{uri}")

    @pages.get("/code")
    def code_page(request: Request, uri: str) -> Response:
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, session_token(request))
            if not visit.locked:
                return RedirectResponse(_next_page(tx, visit), 303)
        draft = context.drafts.get(request)
        return render(
            request, "access_code.html", **visit_view(visit),
            action=f"{base(visit.form)}/code", account={"name": visit.account.name if visit.account else ""},
            values=draft.values, errors=draft.errors,
            attempts_left=tries_left(enroll.limits, enroll.code_limits, visit),
        )  # fmt: skip

    @pages.post("/code")
    def code(
        request: Request,
        uri: str,
        form_token: FormToken = "",
        access_code: Annotated[str, Form(max_length=255)] = "",
    ) -> Response:
        guard.check(request, form_token)
        try:
            enter_access_code(
                enroll.transactions, enroll.clock, enroll.limits, enroll.code_limits, enroll.secrets,
                uri_extension=uri, token=session_token(request), code=access_code,
                address=network_of(client_address(request)),
            )  # fmt: skip
        except AccessCodeWrong as refusal:
            errors = {"access_code": f"{refusal.detail} {refusal.advice}"}
            return context.drafts.send_back(request, Draft({"access_code": access_code}, errors))
        return taken(request, f"/e/{uri}")

    @pages.get("/certificates")
    def certificates(request: Request, uri: str) -> Response:
        now = enroll.clock.now()
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, session_token(request))
            names = {profile.id: profile.name for profile in tx.profiles()}
            issued = tx.certificates_of(visit.form.id, visit.session.email)
            orders = tx.orders_of(visit.form.id, visit.session.email)
            rows = [certificate_row(c, names.get(c.profile_id, ""), visit.form, now) for c in issued]
            under_way, earlier = (
                [order_row(order, names.get(order.profile_id, ""), visit.form) for order in some]
                for some in (unfinished(orders), fruitless(orders)[:MOST_EARLIER])
            )
        return render(
            request, "certificates.html", **visit_view(visit), add_url=f"{base(visit.form)}/request",
            certificates=rows, orders=under_way, earlier=earlier, notice=None,
        )  # fmt: skip

    def own_certificate(tx: Transaction, request: Request, uri: str, certificate_id: str) -> tuple[Visit, Certificate]:
        visit = find_visit(tx, enroll.clock, uri, session_token(request))
        certificate = tx.certificate(certificate_id)
        if certificate is None or certificate.form_id != visit.form.id or certificate.owner != visit.session.email:
            raise CertificateUnknown("There is no such certificate.")
        return visit, certificate

    @pages.get("/certificates/{certificate_id}")
    def certificate(request: Request, uri: str, certificate_id: str) -> Response:
        with enroll.transactions.read() as tx:
            visit, found = own_certificate(tx, request, uri, certificate_id)
            profile = tx.profile(found.profile_id)
        card = certificate_view(found, profile.name if profile else "", visit.form, enroll.clock.now())
        ended = card["state"] in ("expired", "revoked")
        return render(
            request, "certificate.html", **visit_view(visit), certificate=card,
            list_url=f"{base(visit.form)}/certificates", add_url=f"{base(visit.form)}/request" if ended else None,
        )  # fmt: skip

    @pages.get("/certificates/{certificate_id}/{name}.pem")
    def download(request: Request, uri: str, certificate_id: str, name: str) -> Response:
        with enroll.transactions.read() as tx:
            _, found = own_certificate(tx, request, uri, certificate_id)
        content = {
            "certificate": lambda: pem_from_der(found.der),
            "chain": lambda: "".join(found.chain_pem),
            "root": lambda: found.root_pem,
        }.get(name)
        if content is None:
            raise CertificateUnknown("There is no such file.")
        headers = {"content-disposition": f'attachment; filename="{name}.pem"', "cache-control": "no-store"}
        return Response(content(), media_type="application/x-pem-file", headers=headers)

    @pages.get("/request")
    def request_page(request: Request, uri: str, profile: str = "") -> Response:
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, session_token(request))
            if visit.account is None or visit.locked:
                return RedirectResponse(_next_page(tx, visit), 303)
            draft = context.drafts.get(request)
            return _request_page(request, tx, visit, draft.values or {"profile": profile}, draft.errors)

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
            "devices": _devices(tx, visit),
            "licence": {"version": licence.version, "text": licence.text} if licence else None,
            "values": {name: value for name, value in values.items() if value},
        }
        return render(request, "request.html", **page, errors=mistakes_view(page, errors))

    def _devices(tx: Transaction, visit: Visit) -> list[Context]:
        if visit.organization is None:
            return []
        return device_views(tx.devices_of(visit.session.email, visit.organization.id), enroll.clock.now())

    @pages.post("/request")
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
    ) -> Response:
        guard.check(request, form_token)
        answers = RequestAnswers(
            profile=profile, key_algorithm=key_algorithm, term_days=term_days, target=target,
            licence_version=licence_version, licence_accepted=licence == "on", dns_names=dns_names,
            device_name=device_name, serial_number=serial_number,
        )  # fmt: skip
        try:
            order_id = submit_request(
                enroll.transactions, enroll.clock, enroll.secrets,
                uri_extension=uri, token=session_token(request), answers=answers, page_key=page_key,
                most_open=enroll.settings.open_orders_limit,
            )  # fmt: skip
        except RequestRefused as refusal:
            values = {
                "profile": profile, "key_algorithm": key_algorithm, "term_days": term_days, "target": target,
                "licence": licence, "licence_version": licence_version, "dns_names": dns_names,
                "device_name": device_name, "serial_number": serial_number,
            }  # fmt: skip
            return context.drafts.send_back(request, Draft(values, refusal.fields))
        return taken(request, f"/e/{uri}/orders/{order_id}")

    return pages


def _next_page(tx: Transaction, visit: Visit) -> str:
    """Where a signed-in person goes from the form's address."""
    here = base(visit.form)
    if visit.account is None:
        return f"{here}/account"
    if visit.locked:
        return f"{here}/code"
    email = visit.session.email
    if tx.certificates_of(visit.form.id, email) or unfinished(tx.orders_of(visit.form.id, email)):
        return f"{here}/certificates"
    return f"{here}/request"


def _subject(visit: Visit, profile: CertificateProfile | None) -> list[tuple[str, str]]:
    if profile is None:
        return []
    facts = subject_facts(visit)
    used = f"{profile.subject} {' '.join(profile.subject_alternative_names)}"
    return [(label, facts[name]) for name, label in _FACT_LABELS.items() if facts.get(name) and name in used]
