"""Sign in through SAML identity providers: to them, back from them, and our own metadata."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi import Form as FormField
from fastapi.responses import RedirectResponse

from keystead_auth.bootstrap import Parts, Saml
from keystead_auth.domain.providers import Purpose
from keystead_auth.metrics import IDP_SIGN_INS
from keystead_auth.usecases.begin_saml import begin_saml
from keystead_auth.usecases.finish_idp_sign_in import view_arrival
from keystead_auth.usecases.idp_steps import WantedSignIn
from keystead_auth.usecases.take_saml_answer import MOST_CHARACTERS, BroughtAnswer, take_saml_answer
from keystead_auth.web.answers import Answers, known_uri
from keystead_auth.web.comers import Comers, counted
from keystead_contracts.people import IdentityProviderKind
from keystead_kit.edge import CSP
from keystead_kit.http import client_address
from keystead_kit.logs import get_logger
from keystead_kit.trace import current_trace_id

KIND = IdentityProviderKind.SAML
PREFIX = "/auth/saml"
ACS = f"{PREFIX}/acs"
MOST_BODY_BYTES = MOST_CHARACTERS * 11 // 10 + 8192
"""Of an answer in a form, where every + and / takes three octets."""
_RELAY_STATE = re.compile(r"[A-Za-z0-9_-]{0,64}")
"""A token of ours or a form's URI extension; anything else means neither."""
_log = get_logger()


def router(parts: Parts, saml: Saml, comers: Comers, answers: Answers) -> APIRouter:
    """`/auth/saml/…`."""
    routes = APIRouter(prefix=PREFIX)

    @routes.get("/metadata")
    def metadata() -> Response:
        return Response(saml.messages.metadata(), media_type="application/samlmetadata+xml")

    @routes.get("/{provider}/sign-in")
    def begin(request: Request, provider: str, form: str = "", purpose: Purpose = Purpose.FORM) -> Response:
        """Sends the browser to the provider, and has it remember that it went."""
        uri = known_uri(form) if purpose is Purpose.FORM else None
        visit, _ = parts.guard.visit(request)
        wanted = WantedSignIn(provider, purpose, uri, visit, client_address(request), current_trace_id())
        asked, out = begin_saml(
            parts.transactions, parts.attempts, saml.messages, parts.randomness, parts.clock, wanted
        )
        IDP_SIGN_INS.labels(kind=KIND, outcome="begun").inc()
        _log.info("sign-in goes to an identity provider", provider=asked.id, form=uri, purpose=purpose)
        response: Response
        if out.fields is None:
            response = RedirectResponse(out.url, 303, headers={"cache-control": "no-store"})
        else:
            response = answers.page("saml_post.html", form=None, provider=asked.name, url=out.url, fields=out.fields)
            parts_of = urlsplit(out.url)
            response.headers["content-security-policy"] = CSP.replace(
                "form-action 'self'", f"form-action {parts_of.scheme}://{parts_of.netloc}"
            )
        parts.guard.remember(request, response, visit)
        return response

    @routes.post("/acs")
    def acs(
        request: Request,
        response: Annotated[str, FormField(alias="SAMLResponse")] = "",
        relay_state: Annotated[str, FormField(alias="RelayState")] = "",
    ) -> Response:
        """Takes the answer. The provider's page sends it, so the browser keeps our cookies to itself: what it brought
        is judged here, and whose browser it is when it comes back by itself, with them."""
        relayed = relay_state if _RELAY_STATE.fullmatch(relay_state) else ""
        brought = BroughtAnswer(response, relayed, client_address(request), current_trace_id())
        with counted(KIND):
            taken = take_saml_answer(
                parts.transactions, parts.attempts, saml.verifier, saml.messages, parts.randomness, parts.clock, brought
            )
        if taken.cut:
            _log.warning(
                "an identity provider sent more attributes than fit",
                provider=taken.provider,
            )
        return answers.see_other(f"{PREFIX}/continue/{taken.token}")

    @routes.get("/continue/{token}")
    def go_on(request: Request, token: str) -> Response:
        """Signs in the browser that asked. Where nobody asked, the person says that they want to be who they are said
        to be: otherwise another site could sign them in as somebody else."""
        with counted(KIND):
            arrival, provider, form = view_arrival(parts.transactions, parts.clock, token=token)
            if arrival.browser is not None or form is None:
                return comers.finish(request, token, KIND)
        return answers.form_page(
            request,
            "idp_confirm.html",
            form=form,
            action=f"{PREFIX}/continue/{token}",
            email=arrival.person.email,
            provider=provider.name,
        )

    @routes.post("/continue/{token}")
    def confirm(request: Request, token: str, form_token: Annotated[str, FormField()] = "") -> Response:
        parts.guard.check(request, form_token)
        with counted(KIND):
            return comers.finish(request, token, KIND)

    return routes
