"""Administrators sign in: password, code, authenticator; and sign out."""

from __future__ import annotations

from typing import Annotated, Any

import pyotp
import segno
from fastapi import APIRouter, Request, Response
from fastapi import Form as FormField
from markupsafe import Markup

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.administrator_errors import CodeWrong, CredentialsWrong, NotSignedIn
from keystead_auth.domain.administrators import HalfSignedIn, SignedInAdministrator, Step
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.domain.providers import Arrival
from keystead_auth.metrics import ADMINISTRATOR_SIGN_INS
from keystead_auth.ports import Guess, Whose
from keystead_auth.usecases.administrator_desk import CONSOLE_TOKEN_LIFETIME
from keystead_auth.usecases.confirm_code import confirm_code, view_half_session
from keystead_auth.usecases.recognize_administrator import note_place, recognize_administrator
from keystead_auth.usecases.set_up_authenticator import set_up_authenticator, view_authenticator
from keystead_auth.usecases.sign_in_administrator import sign_in_administrator
from keystead_auth.usecases.sign_in_administrator_by_idp import sign_in_administrator_by_idp
from keystead_auth.usecases.sign_out_administrator import sign_out_administrator
from keystead_auth.usecases.view_providers import view_administrators_providers
from keystead_auth.web.answers import Answers, administrators_begin_url
from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.logs import get_logger
from keystead_kit.problems import ProblemException

PREFIX = "/auth/administrators"
SIGN_IN = f"{PREFIX}/sign-in"
HOME, CONSOLE = "/console", "/console/arrive"
"""The console, and where it takes the token that a sign-in brings."""
CONSOLE_COOKIE = "administrator"
"""The cookie, under the services' shared prefix, that brings the token to the console."""
SESSION, HALF_SESSION = "administrator_session", "administrator_step"
ISSUER = "Keystead"
_PLACES = {Step.CODE: f"{PREFIX}/code", Step.AUTHENTICATOR: f"{PREFIX}/authenticator"}
_log = get_logger()


class Desk:
    """The answers that administrators' pages share."""

    def __init__(self, parts: Parts, answers: Answers) -> None:
        self._parts, self._answers = parts, answers

    def guess(self, request: Request, email: str) -> Guess:
        """Somebody tries this administrator's password in this browser."""
        address = email.strip().lower()[:254]
        browser = self._parts.known_browsers.get(request, Whose.ADMINISTRATOR, address)
        return Guess(Whose.ADMINISTRATOR, address, client_address(request), browser)

    def go_on(self, request: Request, who: SignedInAdministrator | HalfSignedIn) -> Response:
        """Sends the browser to the next step, or to the console."""
        if isinstance(who, SignedInAdministrator):
            return self.let_in(request, self._answers.see_other(CONSOLE), who)
        response = self._answers.see_other(_PLACES[who.step])
        self._parts.cookies.drop(response, SESSION)
        self._parts.cookies.put(response, HALF_SESSION, who.token, 600)
        return response

    def let_in(self, request: Request, response: Response, who: SignedInAdministrator) -> Response:
        """`response` with the cookies of who is signed in."""
        parts = self._parts
        if who.session_token:
            note_place(
                parts.transactions, who.session_token, client_address(request), request.headers.get("user-agent", "")
            )
            parts.cookies.put(
                response, SESSION, who.session_token, int(parts.settings.rules.session_lifetime.total_seconds())
            )
            parts.cookies.drop(response, HALF_SESSION)
            parts.known_browsers.remember(request, response, Whose.ADMINISTRATOR, who.administrator.email)
        seconds = int(CONSOLE_TOKEN_LIFETIME.total_seconds())
        parts.identity_cookies.put(response, CONSOLE_COOKIE, who.console_token, seconds)
        return response

    def session_token(self, request: Request) -> str | None:
        """The token of this browser's session."""
        return self._parts.cookies.get(request, SESSION)

    def signed_out(self) -> Response:
        """The page for whoever has just signed out, and no cookies any more."""
        response = self._answers.page("administrators/signed_out.html", form=None, sign_in_url=SIGN_IN)
        for name in (SESSION, HALF_SESSION):
            self._parts.cookies.drop(response, name)
        self._parts.identity_cookies.drop(response, CONSOLE_COOKIE)
        return response

    def enter_console(self, request: Request, arrival: Arrival) -> Response:
        """What becomes of an administrator for whom an identity provider has vouched."""
        who = sign_in_administrator_by_idp(self._parts.desk, email=arrival.person.email, provider_id=arrival.provider)
        ADMINISTRATOR_SIGN_INS.labels(outcome="signed_in").inc()
        return self.go_on(request, who)


def router(parts: Parts, answers: Answers) -> APIRouter:
    """`/auth/administrators/…` until the console, and its end."""
    routes = APIRouter(prefix=PREFIX)
    desk = Desk(parts, answers)

    @routes.get("/sign-in")
    def front_door(request: Request) -> Response:
        token = desk.session_token(request)
        who = recognize_administrator(parts.desk, token)
        if who:
            return desk.let_in(request, answers.see_other(CONSOLE), who)
        draft = parts.drafts.get(request)
        providers = view_administrators_providers(parts.transactions, parts.clock, parts.kinds)
        response = answers.form_page(
            request,
            "administrators/sign_in.html",
            form=None,
            action=SIGN_IN,
            forgot_url=f"{PREFIX}/forgot",
            providers=[{"name": each.name, "url": administrators_begin_url(each)} for each in providers],
            values=draft.values,
            errors=draft.errors,
            notice=Words("You are not signed in any more. Sign in again.") if token else None,
        )
        if token:
            parts.cookies.drop(response, SESSION)
        return response

    @routes.post("/sign-in")
    def sign_in(
        request: Request,
        email: Annotated[str, FormField()] = "",
        password: Annotated[str, FormField()] = "",
        form_token: Annotated[str, FormField()] = "",
    ) -> Response:
        parts.guard.check(request, form_token)
        try:
            who = sign_in_administrator(parts.desk, desk.guess(request, email), password)
        except CredentialsWrong as refusal:
            ADMINISTRATOR_SIGN_INS.labels(outcome="wrong").inc()
            return parts.drafts.send_back(request, Draft({"email": email}, {"form": refusal.detail}))
        except TooManyAttempts:
            ADMINISTRATOR_SIGN_INS.labels(outcome="limited").inc()
            raise
        return _took(request, who)

    @routes.get("/code")
    def ask_code(request: Request) -> Response:
        try:
            view_half_session(parts.desk, parts.cookies.get(request, HALF_SESSION), Step.CODE)
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        draft = parts.drafts.get(request)
        return answers.form_page(
            request, "administrators/code.html", form=None, action=_PLACES[Step.CODE], sign_in_url=SIGN_IN,
            errors=draft.errors,
        )  # fmt: skip

    @routes.post("/code")
    def code(
        request: Request, code: Annotated[str, FormField()] = "", form_token: Annotated[str, FormField()] = ""
    ) -> Response:
        parts.guard.check(request, form_token)
        token = parts.cookies.get(request, HALF_SESSION)
        try:
            return _took(request, confirm_code(parts.desk, token=token, code=code[:64]))
        except CodeWrong as refusal:
            return _code_wrong(request, refusal)
        except NotSignedIn:
            return answers.see_other(SIGN_IN)

    @routes.get("/authenticator")
    def show_authenticator(request: Request) -> Response:
        try:
            new = view_authenticator(parts.desk, parts.cookies.get(request, HALF_SESSION))
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        draft = parts.drafts.get(request)
        return answers.form_page(
            request, "administrators/authenticator.html", form=None, action=_PLACES[Step.AUTHENTICATOR],
            qr=qr_code(new.secret, new.email), secret=in_fours(new.secret), email=new.email, errors=draft.errors,
        )  # fmt: skip

    @routes.post("/authenticator")
    def set_up(
        request: Request, code: Annotated[str, FormField()] = "", form_token: Annotated[str, FormField()] = ""
    ) -> Response:
        """Shows the recovery codes, once, in the answer itself."""
        parts.guard.check(request, form_token)
        token = parts.cookies.get(request, HALF_SESSION)
        try:
            who, recovery = set_up_authenticator(parts.desk, token=token, code=code[:64])
        except CodeWrong as refusal:
            return _code_wrong(request, refusal)
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        ADMINISTRATOR_SIGN_INS.labels(outcome="signed_in").inc()
        _log.info("authenticator set up", administrator=who.administrator.id)
        page = answers.page(
            "administrators/recovery_codes.html", form=None, codes=recovery, next_url=SIGN_IN, first=True
        )
        return desk.let_in(request, page, who)

    @routes.post("/sign-out")
    def sign_out(request: Request) -> Response:
        """Ends auth's session. The console redirects its own sign-out here with 307 and cannot know auth's form token,
        so the Origin alone tells our pages from another site's."""
        if request.headers.get("origin") != parts.settings.public_origin:
            raise ProblemException(
                403, ProblemCode.WRONG_ORIGIN, Words("This form was sent from another site."),
                Words("Open {origin} in your browser and sign out there.", origin=parts.settings.public_origin),
            )  # fmt: skip
        sign_out_administrator(
            parts.transactions, desk.session_token(request), parts.cookies.get(request, HALF_SESSION)
        )
        return desk.signed_out()

    def _took(request: Request, who: SignedInAdministrator | HalfSignedIn) -> Response:
        if isinstance(who, SignedInAdministrator):
            ADMINISTRATOR_SIGN_INS.labels(outcome="signed_in").inc()
            _log.info("administrator signed in", administrator=who.administrator.id, method="password")
        else:
            ADMINISTRATOR_SIGN_INS.labels(outcome="password_right").inc()
        response = desk.go_on(request, who)
        parts.drafts.forget(request, response)
        return response

    def _code_wrong(request: Request, refusal: CodeWrong) -> Response:
        ADMINISTRATOR_SIGN_INS.labels(outcome="code_wrong").inc()
        return parts.drafts.send_back(request, Draft({}, {"code": refusal.detail}))

    return routes


def qr_code(secret: str, email: str) -> Markup:
    """The app's set-up address as an SVG element without style, dark on light in every colour scheme."""
    address = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)
    options: dict[str, Any] = {"scale": 5, "dark": "#000", "light": "#fff", "svgclass": "qr", "lineclass": None}
    return Markup(segno.make(address, error="m", micro=False).svg_inline(**options))  # noqa: S704 made here


def in_fours(secret: str) -> str:
    """For people to copy by hand."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
