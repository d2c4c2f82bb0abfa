"""Where the letter's link leads: a page whose one button signs in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.errors import LinkInvalid, TooManyAttempts
from keystead_auth.metrics import CONFIRMATIONS, IDENTITY_TOKENS
from keystead_auth.usecases.confirm_link import confirm_link
from keystead_auth.usecases.view_link import view_link
from keystead_auth.web.answers import Answers
from keystead_kit.http import client_address
from keystead_kit.logs import get_logger
from keystead_kit.trace import tracing

_log = get_logger()


def router(parts: Parts, answers: Answers) -> APIRouter:
    """`/auth/confirm/…`."""
    routes = APIRouter(prefix="/auth/confirm")

    @routes.api_route("/{token}", methods=["GET", "HEAD"])
    def look(request: Request, token: str) -> Response:
        """Uses nothing up: mail scanners open every link."""
        link, form = view_link(
            parts.transactions, parts.attempts, parts.clock, token=token, client=client_address(request)
        )
        return answers.form_page(
            request,
            "confirm.html",
            form=form,
            action=f"/auth/confirm/{token}",
            email=link.email,  # whole: who was sent somebody else's link sees whose it is
            expires_at=link.expires_at,
        )

    @routes.post("/{token}")
    def confirm(request: Request, token: str, form_token: Annotated[str, Form()] = "") -> Response:
        parts.guard.check(request, form_token)
        visit, _ = parts.guard.visit(request)
        try:
            who = confirm_link(
                parts.transactions,
                parts.attempts,
                parts.signer,
                parts.randomness,
                parts.clock,
                token=token,
                visit=visit,
                client=client_address(request),
                session_lifetime=parts.settings.session_lifetime,
            )
        except LinkInvalid as refusal:
            CONFIRMATIONS.labels(outcome=refusal.reason).inc()
            raise
        except TooManyAttempts:
            CONFIRMATIONS.labels(outcome="limited").inc()
            raise
        CONFIRMATIONS.labels(outcome="signed_in").inc()
        IDENTITY_TOKENS.labels(how="link").inc()
        with tracing(who.trace_id):  # the trace that began when the link was asked for
            _log.info("signed in", form=who.form.uri, method="email")
        return answers.signed_in(who)

    return routes
