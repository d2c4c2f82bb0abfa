"""Administrators choose, forget and change their password, and renew their recovery codes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Form as FormField

from keystead_auth.bootstrap import Parts
from keystead_auth.domain.administrator_errors import CodeWrong, CredentialsWrong, NotSignedIn, PasswordUnfit
from keystead_auth.domain.administrators import Administrator
from keystead_auth.domain.email import mask
from keystead_auth.domain.errors import EmailMalformed
from keystead_auth.ports import Whose
from keystead_auth.usecases.choose_password import accept_invitation, change_password, view_invitation
from keystead_auth.usecases.recognize_administrator import view_administrator
from keystead_auth.usecases.renew_recovery_codes import renew_recovery_codes
from keystead_auth.usecases.request_reset import request_reset
from keystead_auth.web.administrators import HOME, PREFIX, SIGN_IN, Desk
from keystead_auth.web.answers import Answers
from keystead_contracts.people import AdministratorMethod
from keystead_contracts.words import Words
from keystead_kit.drafts import Draft
from keystead_kit.http import client_address
from keystead_kit.i18n import language
from keystead_kit.logs import get_logger
from keystead_kit.passwords import LEAST_CHARACTERS
from keystead_kit.trace import current_trace_id

FORGOT, PASSWORD, RECOVERY = f"{PREFIX}/forgot", f"{PREFIX}/password", f"{PREFIX}/recovery-codes"
DIFFERENT = Words("The two are not the same. Type both again.")
_log = get_logger()


def router(parts: Parts, answers: Answers) -> APIRouter:
    """`/auth/administrators/…` around passwords."""
    routes = APIRouter(prefix=PREFIX)
    desk = Desk(parts, answers)

    @routes.api_route("/invitation/{token}", methods=["GET", "HEAD"])
    def look(request: Request, token: str) -> Response:
        """Uses nothing up: mail scanners open every link."""
        administrator = view_invitation(parts.desk, token=token, client=client_address(request))
        draft = parts.drafts.get(request)
        return answers.form_page(
            request, "administrators/choose_password.html", form=None, action=f"{PREFIX}/invitation/{token}",
            email=administrator.email, least=LEAST_CHARACTERS, errors=draft.errors,
        )  # fmt: skip

    @routes.post("/invitation/{token}")
    def choose(
        request: Request,
        token: str,
        new_password: Annotated[str, FormField()] = "",
        again: Annotated[str, FormField()] = "",
        form_token: Annotated[str, FormField()] = "",
    ) -> Response:
        parts.guard.check(request, form_token)
        if new_password != again:
            return parts.drafts.send_back(request, Draft({}, {"again": DIFFERENT}))
        try:
            who = accept_invitation(parts.desk, token=token, password=new_password, client=client_address(request))
        except PasswordUnfit as refusal:
            return parts.drafts.send_back(request, Draft({}, {"new_password": refusal.detail}))
        _log.info("administrator chose a password by a link")
        response = desk.go_on(request, who)
        parts.drafts.forget(request, response)
        return response

    @routes.get("/forgot")
    def forgot(request: Request) -> Response:
        draft = parts.drafts.get(request)
        return answers.form_page(
            request, "administrators/forgot.html", form=None, action=FORGOT, sign_in_url=SIGN_IN,
            values=draft.values, errors=draft.errors,
        )  # fmt: skip

    @routes.post("/forgot")
    def ask(
        request: Request, email: Annotated[str, FormField()] = "", form_token: Annotated[str, FormField()] = ""
    ) -> Response:
        """The same answer whether or not anybody has the address: the worker decides."""
        parts.guard.check(request, form_token)
        try:
            address = request_reset(
                parts.transactions, parts.attempts, parts.bus, parts.randomness, parts.clock, email=email,
                client=client_address(request), trace_id=current_trace_id(), language=language().tag,
            )  # fmt: skip
        except EmailMalformed as refusal:
            return parts.drafts.send_back(request, Draft({"email": email}, {"email": refusal.detail}))
        mailbox = parts.settings.mailbox_url
        response = answers.page(
            "administrators/check_mail.html", form=None, masked_email=mask(address), sign_in_url=SIGN_IN,
            mailbox_url=str(mailbox) if mailbox else None,
        )  # fmt: skip
        parts.drafts.forget(request, response)
        return response

    @routes.get("/password")
    def password_page(request: Request) -> Response:
        try:
            _, administrator, _ = view_administrator(parts.desk, desk.session_token(request))
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        draft = parts.drafts.get(request)
        return answers.form_page(
            request, "administrators/password.html", form=None, action=PASSWORD, least=LEAST_CHARACTERS,
            errors=draft.errors, has_password=AdministratorMethod.PASSWORD in administrator.methods,
            console_url=HOME, **frame_of(administrator),
        )  # fmt: skip

    @routes.post("/password")
    def change(
        request: Request,
        current: Annotated[str, FormField()] = "",
        new_password: Annotated[str, FormField()] = "",
        again: Annotated[str, FormField()] = "",
        form_token: Annotated[str, FormField()] = "",
    ) -> Response:
        parts.guard.check(request, form_token)
        token = desk.session_token(request)
        if new_password != again:
            return parts.drafts.send_back(request, Draft({}, {"again": DIFFERENT}))
        try:
            _, administrator, _ = view_administrator(parts.desk, token)
            browser = parts.known_browsers.get(request, Whose.ADMINISTRATOR, administrator.email)
            who = change_password(
                parts.desk, session_token=token, current=current, new=new_password, client=client_address(request),
                browser=browser,
            )  # fmt: skip
        except CredentialsWrong:
            return parts.drafts.send_back(request, Draft({}, {"current": Words("This is not your password.")}))
        except PasswordUnfit as refusal:
            return parts.drafts.send_back(request, Draft({}, {"new_password": refusal.detail}))
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        _log.info("administrator changed the password", administrator=administrator.id)
        response = desk.go_on(request, who)
        parts.drafts.forget(request, response)
        return response

    @routes.get("/recovery-codes")
    def recovery_page(request: Request) -> Response:
        try:
            _, administrator, left = view_administrator(parts.desk, desk.session_token(request))
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        draft = parts.drafts.get(request)
        return answers.form_page(
            request, "administrators/renew_recovery_codes.html", form=None, action=RECOVERY, left=left,
            has_authenticator=administrator.totp_secret is not None, console_url=HOME, errors=draft.errors,
            **frame_of(administrator),
        )  # fmt: skip

    @routes.post("/recovery-codes")
    def renew(
        request: Request, code: Annotated[str, FormField()] = "", form_token: Annotated[str, FormField()] = ""
    ) -> Response:
        """Shows the codes, once, in the answer itself."""
        parts.guard.check(request, form_token)
        try:
            codes = renew_recovery_codes(parts.desk, session_token=desk.session_token(request), code=code[:64])
        except CodeWrong as refusal:
            return parts.drafts.send_back(request, Draft({}, {"code": refusal.detail}))
        except NotSignedIn:
            return answers.see_other(SIGN_IN)
        return answers.page("administrators/recovery_codes.html", form=None, codes=codes, next_url=HOME, first=False)

    return routes


def frame_of(administrator: Administrator) -> dict[str, Any]:
    """Who is signed in, for the head of the page."""
    person = {"email": administrator.email, "name": administrator.name}
    return {"person": person, "sign_out_url": f"{PREFIX}/sign-out"}
