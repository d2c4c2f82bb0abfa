"""Sign in through SAML identity providers: to them, back from them, and our own metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi import Form as FormField
from fastapi.responses import RedirectResponse

from keystead_auth.bootstrap import Parts, Saml
from keystead_auth.domain.errors import Refusal
from keystead_auth.domain.idp_errors import AnswerRefused, ProviderUnknown
from keystead_auth.domain.providers import Arrival, Purpose
from keystead_auth.domain.sign_in import SignedIn
from keystead_auth.metrics import IDENTITY_TOKENS, IDP_SIGN_INS
from keystead_auth.usecases.begin_saml import WantedSignIn, begin_saml
from keystead_auth.usecases.finish_idp_sign_in import finish_idp_sign_in, view_arrival
from keystead_auth.usecases.take_saml_answer import MOST_CHARACTERS, BroughtAnswer, take_saml_answer
from keystead_auth.web.answers import Answers, known_uri
from keystead_kit.http import CSP, client_address
from keystead_kit.logs import get_logger
from keystead_kit.trace import current_trace_id, tracing

PREFIX = "/auth/saml"
ACS = f"{PREFIX}/acs"
MOST_BODY_BYTES = MOST_CHARACTERS * 11 // 10 + 8192
"""Of an answer in a form, where every + and / takes three octets."""
LONGEST_RELAY_STATE = 256
EnterConsole = Callable[[Request, Arrival], Response]
_log = get_logger()


def no_console(_request: Request, _arrival: Arrival) -> Response:
    """Administrators do not come this way. Raises ProviderUnknown."""
    raise ProviderUnknown


def router(parts: Parts, saml: Saml, answers: Answers, enter_console: EnterConsole = no_console) -> APIRouter:
    """`/auth/saml/…`. `enter_console`: what becomes of an administrator for whom a provider has vouched."""
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
        IDP_SIGN_INS.labels(kind="saml", outcome="begun").inc()
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
        brought = BroughtAnswer(
            response, relay_state[:LONGEST_RELAY_STATE], client_address(request), current_trace_id()
        )
        with counted("saml"):
            taken = take_saml_answer(
                parts.transactions, parts.attempts, saml.verifier, saml.messages, parts.randomness, parts.clock, brought
            )
        if taken.cut:
            _log.warning(
                "an identity provider sent more attributes than fit, some are left out", provider=taken.provider
            )
        return answers.see_other(f"{PREFIX}/continue/{taken.token}")

    @routes.get("/continue/{token}")
    def go_on(request: Request, token: str) -> Response:
        """Signs in the browser that asked. Where nobody asked, the person says that they want to be who they are said
        to be: otherwise another site could sign them in as somebody else."""
        with counted("saml"):
            arrival, provider, form = view_arrival(parts.transactions, parts.clock, token=token)
            if arrival.browser is not None or form is None:
                return _finish(request, token)
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
        with counted("saml"):
            return _finish(request, token)

    def _finish(request: Request, token: str) -> Response:
        visit, _ = parts.guard.visit(request)
        who = finish_idp_sign_in(
            parts.transactions, parts.signer, parts.randomness, parts.clock, token=token, visit=visit,
            session_lifetime=parts.settings.session_lifetime,
        )  # fmt: skip
        if isinstance(who, Arrival):
            return enter_console(request, who)
        return _signed_in(who)

    def _signed_in(who: SignedIn) -> Response:
        IDP_SIGN_INS.labels(kind="saml", outcome="signed_in").inc()
        IDENTITY_TOKENS.labels(how="idp").inc()
        with tracing(who.trace_id):  # the trace that began when the browser went to the provider
            _log.info("signed in", form=who.form.uri, method="idp")
        return answers.signed_in(who)

    return routes


@contextmanager
def counted(kind: str) -> Iterator[None]:
    """Counts and logs a refusal that the block raises."""
    try:
        yield
    except AnswerRefused as refusal:
        IDP_SIGN_INS.labels(kind=kind, outcome=refusal.reason).inc()
        _log.warning("identity provider's answer refused", reason=refusal.reason, why=refusal.why, form=refusal.form)
        raise
    except Refusal as refusal:
        IDP_SIGN_INS.labels(kind=kind, outcome=refusal.code).inc()
        raise
