"""auth's web application."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response

from keystead_auth.bootstrap import SERVICE, Parts
from keystead_auth.domain.administrator_errors import InvitationInvalid
from keystead_auth.domain.errors import LinkInvalid, TooManyAttempts
from keystead_auth.domain.idp_errors import AnswerRefused
from keystead_auth.web import (
    administrator_account,
    administrator_passwords,
    administrators,
    confirm,
    oidc,
    saml,
    secret_id,
    sign_in,
    sign_out,
)
from keystead_auth.web.answers import Answers
from keystead_auth.web.comers import Comers
from keystead_contracts.problems import ProblemCode
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_kit.http import new_app
from keystead_kit.pages import Pages
from keystead_kit.problems import ProblemException, problem_response, wants_page

_STATUS = {
    ProblemCode.NOT_FOUND: 404,
    ProblemCode.UNAUTHENTICATED: 401,
    ProblemCode.FORBIDDEN: 403,
    ProblemCode.MALFORMED: 422,
    ProblemCode.RATE_LIMITED: 429,
    ProblemCode.LINK_INVALID: 410,
    ProblemCode.UNAVAILABLE: 503,
}


def create_app(parts: Parts) -> FastAPI:
    """The application over `parts`."""
    pages = Pages(Path(__file__).parent / "templates")
    answers = Answers(parts, pages)
    app = new_app(
        SERVICE,
        "Keystead auth",
        pages=pages,
        ready={"database": parts.database.ping, "redis": parts.bus.ping},
        secure=parts.settings.secure,
        frame=answers.frame,
        larger_bodies={saml.ACS: saml.MOST_BODY_BYTES},
    )
    app.include_router(sign_in.router(parts, answers))
    app.include_router(confirm.router(parts, answers))
    app.include_router(sign_out.router(parts, answers))
    comers = Comers(parts, answers, administrators.Desk(parts, answers).enter_console)
    app.include_router(oidc.router(parts, comers))
    if parts.saml:
        app.include_router(saml.router(parts, parts.saml, comers, answers))
    app.include_router(secret_id.router(parts, answers))
    app.include_router(administrators.router(parts, answers))
    app.include_router(administrator_passwords.router(parts, answers))
    app.include_router(administrator_account.router(parts, answers))

    @app.exception_handler(LinkInvalid)
    def link_refused(request: Request, refusal: LinkInvalid) -> Response:
        if wants_page(request):
            return answers.link_invalid(refusal)
        return problem_response(_problem(refusal))

    @app.exception_handler(InvitationInvalid)
    def invitation_refused(request: Request, refusal: InvitationInvalid) -> Response:
        problem = _problem(refusal)
        action = {"label": Words("Ask for a new link"), "url": administrator_passwords.FORGOT}
        return pages.problem(problem, action) if wants_page(request) else problem_response(problem)

    @app.exception_handler(AnswerRefused)
    def answer_refused(request: Request, refusal: AnswerRefused) -> Response:
        problem = _problem(refusal)
        return answers.refused(problem, refusal.form) if wants_page(request) else problem_response(problem)

    @app.exception_handler(Refusal)
    def refused(request: Request, refusal: Refusal) -> Response:
        problem = _problem(refusal)
        if wants_page(request):
            return pages.problem(problem, frame=answers.frame(request))
        return problem_response(problem)

    return app


def _problem(refusal: Refusal) -> ProblemException:
    code = ProblemCode(refusal.code)
    headers = {"retry-after": str(refusal.retry_after)} if isinstance(refusal, TooManyAttempts) else {}
    return ProblemException(_STATUS[code], code, refusal.detail, refusal.advice, headers=headers)
