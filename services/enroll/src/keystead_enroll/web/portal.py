"""Portal pages up to the choice of what to do: arrive, sign in and out, choose an account, give the code."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import jwt
from fastapi import APIRouter, Form, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from keystead_contracts.identity import IDENTITY_AUDIENCE, IDENTITY_ISSUER, IdentityClaims
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.refusals import (
    AccessCodeWrong,
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
from keystead_enroll.usecases.own_certificates import account_of
from keystead_enroll.usecases.visit import Visit, find_visit
from keystead_enroll.web.context import IDENTITY, SESSION, FormToken, WebContext
from keystead_enroll.web.problems import as_problem
from keystead_enroll.web.views import account_views, base, form_view, unfinished, visit_view
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.ratelimit import network_of
from keystead_kit.secrets import token_digest
from keystead_kit.trace import current_trace_id

Renew = Annotated[str, Form(max_length=32)]


def router(context: WebContext) -> APIRouter:
    """The first pages below `/e/<uri_extension>`."""
    pages = APIRouter(prefix="/e/{uri}", include_in_schema=False)
    enroll, guard = context.enroll, context.guard

    @pages.get("")
    def arrive(request: Request, uri: str) -> Response:
        """The form's address: signs the person in if auth sent them, else sends them to auth or onwards."""
        raw = context.identity_cookies.get(request, IDENTITY)
        if raw is not None:
            return _sign_in(request, raw, uri)
        with enroll.transactions.read() as tx:
            try:
                visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
            except SessionExpired:
                return RedirectResponse(f"/auth/sign-in/{uri}", 303)
            except NoAccount as refusal:
                return _no_account(request, tx, uri, refusal)
            return RedirectResponse(_first_page(tx, visit), 303)

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
        return context.render(
            request,
            "message.html",
            status=401,
            form=form_view(form, None) if form else None,
            title=Words("We could not sign you in"),
            happened=Words("The sign-in was used already, is too old, or was for another form."),
            why="",
            what_now=Words(
                "Sign in again. If that does not help, this server's clocks may differ; tell your administrator."
            ),
            action={"label": Words("Sign in again"), "url": f"/e/{uri}"},
            reference=current_trace_id(),
        )

    def _no_account(request: Request, tx: Transaction, uri: str, refusal: NoAccount) -> Response:
        form = tx.form_by_uri(uri)
        token = context.session_token(request)
        session = tx.session_of(token_digest(token)) if token else None
        return context.render(
            request,
            "message.html",
            status=403,
            form=form_view(form, None) if form else None,
            person={"email": session.email, "name": session.name} if session else None,
            sign_out_url=f"/e/{uri}/sign-out",
            title=refusal.title,
            happened=refusal.detail,
            why="",
            what_now=Sentences(refusal.advice, Words("Or sign out above and use another address.")),
            action=None,
            reference="",
        )

    @pages.post("/sign-out")
    def sign_out(request: Request, uri: str, form_token: FormToken = "") -> Response:
        guard.check(request, form_token)
        token = context.session_token(request)
        with enroll.transactions.write() as tx:
            session = tx.session_of(token_digest(token)) if token else None
            if session is not None:
                tx.end_session(session)
        response = RedirectResponse(f"/auth/sign-out?form={uri}", 307)  # the same POST, for auth's own session
        context.cookies.drop(response, SESSION)
        context.drafts.forget(request, response)
        return response

    @pages.get("/account")
    def account(request: Request, uri: str, renew: str = "") -> Response:
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
            used = account_of(tx, visit, renew) if renew else ""
        draft = context.drafts.get(request)
        return context.render(
            request, "choose_account.html", **visit_view(visit),
            action=f"{base(visit.form)}/account", accounts=account_views(visit.ways),
            values={"account": used, "renew": renew} | draft.values, errors=draft.errors,
        )  # fmt: skip

    @pages.post("/account")
    def choose(
        request: Request,
        uri: str,
        form_token: FormToken = "",
        account: Annotated[str, Form(max_length=64)] = "",
        renew: Renew = "",
    ) -> Response:
        guard.check(request, form_token)
        try:
            choose_account(enroll.transactions, enroll.clock, uri, context.session_token(request), account)
        except RequestRefused as refusal:
            return context.drafts.send_back(request, Draft({"renew": renew}, refusal.fields))
        return context.taken(request, request_url(f"/e/{uri}", renew))

    @pages.get("/code")
    def code_page(request: Request, uri: str, renew: str = "") -> Response:
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
            if not visit.locked:
                return RedirectResponse(next_page(visit, renew) if renew else _first_page(tx, visit), 303)
        draft = context.drafts.get(request)
        return context.render(
            request, "access_code.html", **visit_view(visit),
            action=f"{base(visit.form)}/code", account=_opened_by_code(visit),
            values={"renew": renew} | draft.values, errors=draft.errors,
            attempts_left=tries_left(enroll.limits, enroll.code_limits, visit),
        )  # fmt: skip

    @pages.post("/code")
    def code(
        request: Request,
        uri: str,
        form_token: FormToken = "",
        access_code: Annotated[str, Form(max_length=255)] = "",
        renew: Renew = "",
    ) -> Response:
        guard.check(request, form_token)
        try:
            enter_access_code(
                enroll.transactions, enroll.clock, enroll.limits, enroll.code_limits, enroll.secrets,
                uri_extension=uri, token=context.session_token(request), code=access_code,
                address=network_of(client_address(request)),
            )  # fmt: skip
        except AccessCodeWrong as refusal:
            errors: dict[str, str] = {"access_code": Sentences(refusal.detail, refusal.advice)}
            return context.drafts.send_back(request, Draft({"access_code": access_code, "renew": renew}, errors))
        return context.taken(request, request_url(f"/e/{uri}", renew))

    return pages


def _first_page(tx: Transaction, visit: Visit) -> str:
    """Where a signed-in person goes from the form's address: who has something here sees it, without being asked for
    what only a new request needs."""
    email = visit.session.email
    if tx.certificates_of(visit.form.id, email) or unfinished(tx.orders_of(visit.form.id, email)):
        return f"{base(visit.form)}/certificates"
    return next_page(visit)


def next_page(visit: Visit, renew: str = "") -> str:
    """What a person does next to ask for a certificate; `renew` is the id of the one to ask for again."""
    here = base(visit.form)
    if visit.account is None:
        return request_url(here, renew, "account")
    return request_url(here, renew, "code" if visit.locked else "request")


def request_url(here: str, renew: str, step: str = "request") -> str:
    """A page on the way to a request, which remembers what is to be renewed."""
    return f"{here}/{step}?{urlencode({'renew': renew})}" if renew else f"{here}/{step}"


def _opened_by_code(visit: Visit) -> dict[str, str]:
    """What the access code is for, in the words of the choice; the form's name where there was none."""
    chosen = next(view for view in account_views(visit.ways) if visit.account and view["id"] == visit.account.id)
    return {"name": chosen["name"] if len(visit.ways) > 1 else visit.form.name}
