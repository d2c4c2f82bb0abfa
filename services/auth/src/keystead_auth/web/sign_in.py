"""A form's front door: choose how to sign in, ask for a link, check your mail."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Form as FormField

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.email import mask
from keystead_auth.domain.errors import EmailMalformed, MethodNotOffered, TooManyAttempts
from keystead_auth.domain.idp_errors import ProviderNotReady
from keystead_auth.domain.sign_in import Form
from keystead_auth.metrics import IDENTITY_TOKENS, SIGN_IN_REQUESTS
from keystead_auth.usecases.recognize_person import recognize_person
from keystead_auth.usecases.request_link import WantedLink, request_link
from keystead_auth.usecases.view_form import view_form
from keystead_auth.usecases.view_providers import has_provider, view_providers
from keystead_auth.web.answers import SESSION, Answers, begin_url, known_uri, sign_in_url
from keystead_auth.web.secret_id import secret_id_url
from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.i18n import language
from keystead_kit.logs import get_logger
from keystead_kit.trace import current_trace_id

ASKED = "asked"
"""The cookie that carries the masked address to the page "check your mail"; it says what was typed, nothing else."""
_log = get_logger()

# Where each way to sign in begins that has one beginning. A further SignInMethod gets its line here and a router of its
# own beside this file; methods without a line are not offered. Identity providers: see `_ways`.
_WAYS = {SignInMethod.EMAIL: sign_in_url, SignInMethod.SECRET_ID: secret_id_url}


def router(parts: Parts, answers: Answers) -> APIRouter:
    """`/auth/sign-in/…`."""
    routes = APIRouter(prefix="/auth/sign-in")

    @routes.get("/{uri}")
    def choose(request: Request, uri: str, stay: bool = False) -> Response:
        """`stay`: shows the page though there is one way to sign in only, which just did not work."""
        form = view_form(parts.transactions, known_uri(uri))
        session_token = parts.cookies.get(request, SESSION)
        if session_token:
            who = recognize_person(
                parts.transactions, parts.signer, parts.randomness, parts.clock, uri=uri, session_token=session_token
            )
            if who:
                IDENTITY_TOKENS.labels(how="session").inc()
                return answers.signed_in(who)
        return _front_door(request, form, stay)

    @routes.post("/{uri}")
    def ask(
        request: Request,
        uri: str,
        email: Annotated[str, FormField()] = "",
        form_token: Annotated[str, FormField()] = "",
    ) -> Response:
        parts.guard.check(request, form_token)
        wanted = WantedLink(known_uri(uri), email, client_address(request)[:64], current_trace_id(), language().tag)
        try:
            address = request_link(parts.transactions, parts.attempts, parts.bus, parts.randomness, parts.clock, wanted)
        except EmailMalformed as refusal:
            SIGN_IN_REQUESTS.labels(outcome="malformed").inc()
            return parts.drafts.send_back(request, Draft({"email": email}, {"email": refusal.detail}))
        except TooManyAttempts:
            SIGN_IN_REQUESTS.labels(outcome="limited").inc()
            raise
        SIGN_IN_REQUESTS.labels(outcome="accepted").inc()
        _log.info("sign-in link asked for", form=uri)
        response = answers.see_other(f"{sign_in_url(uri)}/check-mail")
        parts.drafts.forget(request, response)
        parts.cookies.put(response, ASKED, _encoded(mask(address)), parts.settings.link_minutes * 60)
        return response

    @routes.get("/{uri}/check-mail")
    def check_mail(request: Request, uri: str) -> Response:
        form = view_form(parts.transactions, known_uri(uri))
        masked = _decoded(parts.cookies.get(request, ASKED))
        if masked is None:
            return answers.see_other(sign_in_url(uri))
        mailbox = parts.settings.mailbox_url
        return answers.page(
            "check_mail.html",
            form=form,
            masked_email=masked,
            minutes=parts.settings.link_minutes,
            sign_in_url=sign_in_url(uri),
            mailbox_url=str(mailbox) if mailbox else None,
        )

    def _ways(form: Form) -> list[dict[str, Any]]:
        ways: list[dict[str, Any]] = []
        for method in form.methods:
            if method in _WAYS:
                ways.append({"method": method.value, "url": _WAYS[method](form.uri)})
            elif method is SignInMethod.IDP:
                providers = view_providers(parts.transactions, parts.clock, form, parts.kinds)
                if providers:
                    shown = [{"name": each.name, "url": begin_url(each, form.uri)} for each in providers]
                    ways.append({"method": method.value, "providers": shown})
        return ways

    def _front_door(request: Request, form: Form, stay: bool) -> Response:
        ways = _ways(form)
        if not ways:
            if has_provider(parts.transactions, form):
                raise ProviderNotReady(
                    advice=Words("Try again later. If it lasts, tell {organization}.", organization=form.organization)
                )
            if SignInMethod.IDP in form.methods:
                raise MethodNotOffered(
                    Words("No way to sign in is set up for this enrollment form yet."),
                    Words(
                        "Tell {organization}: an administrator has to set one up first.", organization=form.organization
                    ),
                )
            raise MethodNotOffered(
                Words("This enrollment form offers no way to sign in that this server supports."),
                Words(
                    "Tell {organization}: an administrator has to choose another authentication type.",
                    organization=form.organization,
                ),
            )
        was_signed_in = parts.cookies.get(request, SESSION) is not None
        if not (stay or was_signed_in) and len(ways) == 1 and len(ways[0].get("providers", ())) == 1:
            return answers.see_other(ways[0]["providers"][0]["url"])
        draft = parts.drafts.get(request)
        response = answers.form_page(
            request,
            "sign_in.html",
            form=form,
            methods=ways,
            values=draft.values,
            errors=draft.errors,
            notice=Words("You are not signed in here any more. Sign in again; nothing is lost.")
            if was_signed_in
            else None,
        )
        if was_signed_in:
            parts.cookies.drop(response, SESSION)
        return response

    return routes


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cookie: str | None) -> str | None:
    try:
        text = base64.b64decode(cookie + "=" * (-len(cookie) % 4), b"-_", validate=True).decode() if cookie else ""
    except (binascii.Error, ValueError):
        return None
    return text or None
