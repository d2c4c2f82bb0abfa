"""Sign in through OpenID providers: to them, and back from them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.providers import Purpose
from keystead_auth.metrics import IDP_SIGN_INS
from keystead_auth.usecases.begin_oidc import begin_oidc
from keystead_auth.usecases.idp_steps import WantedSignIn
from keystead_auth.usecases.take_oidc_answer import BroughtCode, take_oidc_answer
from keystead_auth.web.answers import known_uri
from keystead_auth.web.comers import Comers, counted, warn_of_cut
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.http import client_address
from keystead_kit.logs import get_logger
from keystead_kit.trace import current_trace_id

KIND = IdentityProviderKind.OIDC
_log = get_logger()


def router(parts: Parts, comers: Comers) -> APIRouter:
    """`/auth/oidc/…`."""
    routes = APIRouter(prefix="/auth/oidc/{provider}")

    @routes.get("/sign-in")
    def begin(request: Request, provider: str, form: str = "", purpose: Purpose = Purpose.FORM) -> Response:
        """Sends the browser to the provider, and has it remember that it went."""
        uri = known_uri(form) if purpose is Purpose.FORM else None
        visit, _ = parts.guard.visit(request)
        wanted = WantedSignIn(provider, purpose, uri, visit, client_address(request), current_trace_id())
        asked, address = begin_oidc(
            parts.transactions, parts.attempts, parts.oidc.messages, parts.randomness, parts.clock, wanted
        )
        IDP_SIGN_INS.labels(kind=KIND, outcome="begun").inc()
        _log.info("sign-in goes to an identity provider", provider=asked.id, form=uri, purpose=purpose)
        response = RedirectResponse(address, 303, headers={"cache-control": "no-store"})
        parts.guard.remember(request, response, visit)
        return response

    @routes.get("/callback")
    def callback(
        request: Request,
        provider: str,
        state: str = "",
        code: str | None = None,
        error: str | None = None,
        iss: str | None = None,
    ) -> Response:
        """Takes the code. The browser comes by a link, with its cookies: it is judged and signed in at once."""
        visit, _ = parts.guard.visit(request)
        brought = BroughtCode(provider, state, code, error and error[:100], iss, visit, client_address(request))
        with counted(KIND):
            token, cut = take_oidc_answer(
                parts.transactions, parts.attempts, parts.oidc, parts.randomness, parts.clock, brought
            )
            warn_of_cut(cut, provider)
            return comers.finish(request, token, KIND)

    return routes
