"""What administrators have of their own: password, authenticator, browsers that are signed in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Form as FormField

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.administrator_errors import CredentialsWrong, HalfSessionOver, NotSignedIn
from keystead_auth.domain.administrators import HALF_SESSION_LIFETIME, AdministratorSession
from keystead_auth.domain.browsers import browser_words
from keystead_auth.ports import Whose
from keystead_auth.usecases.recognize_administrator import view_administrator, view_sessions
from keystead_auth.usecases.set_up_authenticator import begin_authenticator
from keystead_auth.usecases.sign_out_administrator import sign_out_elsewhere, sign_out_session
from keystead_auth.web.administrator_passwords import PASSWORD, RECOVERY, frame_of
from keystead_auth.web.administrators import HALF_SESSION, HOME, PREFIX, SIGN_IN, Desk
from keystead_auth.web.answers import Answers
from keystead_contracts.people import AdministratorMethod
from keystead_contracts.words import Words
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.logs import get_logger

ACCOUNT = f"{PREFIX}/account"
_log = get_logger()


def router(parts: Parts, answers: Answers) -> APIRouter:
    """`/auth/administrators/account`."""
    routes = APIRouter(prefix=PREFIX)
    desk = Desk(parts, answers)

    @routes.get("/account")
    def account(request: Request, done: str = "") -> Response:
        try:
            session, administrator, left = view_administrator(parts.desk, desk.session_token(request))
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        draft = parts.drafts.get(request)
        return answers.form_page(
            request, "administrators/account.html", form=None, errors=draft.errors, left=left,
            has_password=AdministratorMethod.PASSWORD in administrator.methods,
            has_authenticator=administrator.totp_secret is not None, signed_out=done,
            sessions=[_shown(each, session) for each in view_sessions(parts.desk, session)],
            password_url=PASSWORD, recovery_url=RECOVERY, authenticator_url=f"{ACCOUNT}/authenticator",
            elsewhere_url=f"{ACCOUNT}/sign-out-elsewhere", console_url=HOME, **frame_of(administrator),
        )  # fmt: skip

    @routes.post("/account/authenticator")
    def set_up(
        request: Request, current: Annotated[str, FormField()] = "", form_token: Annotated[str, FormField()] = ""
    ) -> Response:
        """On to the page with the secret; the session stays as it is until a code was given there."""
        parts.guard.check(request, form_token)
        token = desk.session_token(request)
        try:
            _, administrator, _ = view_administrator(parts.desk, token)
            browser = parts.known_browsers.get(request, Whose.ADMINISTRATOR, administrator.email)
            half = begin_authenticator(
                parts.desk, session_token=token, password=current, client=client_address(request), browser=browser
            )
        except CredentialsWrong:
            wrong = Draft({}, {"current": Words("This is not your password.")})
            return parts.drafts.send_back(request, wrong, ACCOUNT)
        except HalfSessionOver:
            return answers.see_other(ACCOUNT)
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        response = answers.see_other(f"{PREFIX}/authenticator")
        parts.cookies.put(response, HALF_SESSION, half.token, int(HALF_SESSION_LIFETIME.total_seconds()))
        parts.drafts.forget(request, response)
        return response

    @routes.post("/account/sign-out-elsewhere")
    def elsewhere(request: Request, form_token: Annotated[str, FormField()] = "") -> Response:
        parts.guard.check(request, form_token)
        try:
            who = sign_out_elsewhere(parts.desk, desk.session_token(request))
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        _log.info("administrator signed out elsewhere", administrator=who.administrator.id)
        return desk.let_in(request, answers.see_other(f"{ACCOUNT}?done=elsewhere"), who)

    @routes.post("/account/sessions/{id}/sign-out")
    def one(request: Request, id: str, form_token: Annotated[str, FormField()] = "") -> Response:
        parts.guard.check(request, form_token)
        try:
            own = sign_out_session(parts.desk, desk.session_token(request), id)
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        _log.info("administrator signed out a browser", own=own)
        return desk.signed_out() if own else answers.see_other(f"{ACCOUNT}?done=one")

    return routes


def _shown(session: AdministratorSession, own: AdministratorSession) -> dict[str, object]:
    """As the page shows a session."""
    return {
        "browser": browser_words(session.user_agent),
        "address": session.address,
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "own": session.digest == own.digest,
        "url": f"{ACCOUNT}/sessions/{session.id}/sign-out",
    }
