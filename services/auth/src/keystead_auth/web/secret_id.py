"""Persons sign in by Secret ID."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Form as FormField

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.administrator_errors import SecretIdWrong
from keystead_auth.domain.errors import EmailMalformed, TooManyAttempts
from keystead_auth.metrics import IDENTITY_TOKENS, SECRET_ID_SIGN_INS
from keystead_auth.ports import Whose
from keystead_auth.usecases.sign_in_by_secret_id import GivenSecretId, sign_in_by_secret_id
from keystead_auth.web.answers import Answers, known_uri, sign_in_url
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.logs import get_logger
from keystead_kit.trace import current_trace_id

PREFIX = "/auth/secret-id"
_log = get_logger()


def secret_id_url(uri: str) -> str:
    """Where a form's people give their Secret ID."""
    return f"{PREFIX}/{uri}"


def router(parts: Parts, answers: Answers) -> APIRouter:
    """`/auth/secret-id/…`. Its form stands on the form's front door."""
    routes = APIRouter(prefix=PREFIX)

    @routes.get("/{uri}")
    def back(uri: str) -> Response:
        return answers.see_other(sign_in_url(known_uri(uri)))

    @routes.post("/{uri}")
    def sign_in(
        request: Request,
        uri: str,
        secret_email: Annotated[str, FormField()] = "",
        secret_id: Annotated[str, FormField()] = "",
        form_token: Annotated[str, FormField()] = "",
    ) -> Response:
        parts.guard.check(request, form_token)
        form = known_uri(uri)
        browser = parts.known_browsers.get(request, Whose.PERSON, secret_email.strip().lower())
        given = GivenSecretId(form, secret_email, secret_id, client_address(request), browser, current_trace_id())
        typed = {"secret_email": secret_email}
        try:
            who = sign_in_by_secret_id(
                parts.transactions, parts.attempts, parts.signer, parts.randomness, parts.clock, given,
                session_lifetime=parts.settings.session_lifetime,
            )  # fmt: skip
        except EmailMalformed as refusal:
            SECRET_ID_SIGN_INS.labels(outcome="malformed").inc()
            return parts.drafts.send_back(request, Draft(typed, {"secret_email": refusal.detail}), sign_in_url(form))
        except SecretIdWrong as refusal:
            SECRET_ID_SIGN_INS.labels(outcome="wrong").inc()
            return parts.drafts.send_back(request, Draft(typed, {"secret_id": refusal.detail}), sign_in_url(form))
        except TooManyAttempts:
            SECRET_ID_SIGN_INS.labels(outcome="limited").inc()
            raise
        SECRET_ID_SIGN_INS.labels(outcome="signed_in").inc()
        IDENTITY_TOKENS.labels(how="secret_id").inc()
        _log.info("signed in", form=form, method="secret_id")
        response = answers.signed_in(who)
        parts.drafts.forget(request, response)
        parts.known_browsers.remember(request, response, Whose.PERSON, who.email)
        return response

    return routes
