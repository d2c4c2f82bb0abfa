"""The end of a session."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from keystead_auth.bootstrap import Parts
from keystead_auth.usecases.sign_out import sign_out
from keystead_auth.web.answers import SESSION, Answers
from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_kit.problems import ProblemException


def router(parts: Parts, answers: Answers) -> APIRouter:
    """`/auth/sign-out`."""
    routes = APIRouter(prefix="/auth")

    @routes.post("/sign-out")
    def end(request: Request, form: str = "") -> Response:
        """Ends auth's session. `form`: the URI extension to offer for another sign-in.

        The portal posts here too (or redirects its own sign-out here with 307) and cannot know auth's form token,
        so the Origin alone tells our pages from another site's.
        """
        if request.headers.get("origin") != parts.settings.public_origin:
            raise ProblemException(
                403, ProblemCode.WRONG_ORIGIN, Words("This form was sent from another site."),
                Words("Open {origin} in your browser and sign out there.", origin=parts.settings.public_origin),
            )  # fmt: skip
        session_token = parts.cookies.get(request, SESSION)
        if session_token:
            sign_out(parts.transactions, session_token)
        return answers.signed_out(form)

    return routes
