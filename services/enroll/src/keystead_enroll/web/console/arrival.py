"""The console's door: come from auth, be sent there, go.

This module evaluates its annotations when its router is made: no `from __future__ import annotations` here.
"""

from typing import Annotated

import jwt
from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from keystead_contracts.identity import ADMINISTRATOR_AUDIENCE, IDENTITY_ISSUER, AdministratorClaims
from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import ConsoleClosed
from keystead_enroll.domain.refusals import IdentityRefused
from keystead_enroll.usecases.admin.console import LIFETIME, close_console, open_console
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import CONSOLE, ConsoleTools, Posted
from keystead_kit.http import client_address
from keystead_kit.i18n import language
from keystead_kit.trace import current_trace_id

IDENTITY = "administrator"
"""The cookie with which auth sends an administrator here."""
NEXT = "console_next"
"""The cookie that remembers which page of the console was asked for."""
SIGN_IN = "/auth/administrators/sign-in"
_NEXT_SECONDS = 900


def router(tools: ConsoleTools) -> APIRouter:
    """`/console/arrive` and `/console/sign-out`."""
    pages = APIRouter(prefix=HOME, include_in_schema=False)
    context = tools.context

    @pages.get("/arrive")
    def arrive(request: Request) -> Response:
        """Where auth sends an administrator: opens a session, and on to the page that was asked for."""
        raw = context.identity_cookies.get(request, IDENTITY)
        response: Response
        try:
            verified = context.identities.verify(raw or "", issuer=IDENTITY_ISSUER, audience=ADMINISTRATOR_AUDIENCE)
            claims = AdministratorClaims.model_validate(verified)
            token = open_console(tools.transactions, tools.clock, claims, client_address(request), language().tag)
        except (jwt.InvalidTokenError, ValidationError, IdentityRefused):
            response = _not_signed_in(request)
        else:
            response = RedirectResponse(_wanted(context.cookies.get(request, NEXT)), 303)
            context.cookies.put(response, CONSOLE, token, int(LIFETIME.total_seconds()))
            context.cookies.drop(response, NEXT)
        context.identity_cookies.drop(response, IDENTITY)
        return response

    def _not_signed_in(request: Request) -> Response:
        """A page, not a redirect: auth would send the same administrator back at once, and so on for ever."""
        return context.pages.render(
            "message.html",
            status=401,
            form=None,
            title=Words("We could not sign you in"),
            happened=Words("The sign-in was used already or is too old, or this administrator is not active."),
            why="",
            what_now=Words("Sign in again. If that does not help, ask another administrator."),
            action={"label": Words("Sign in again"), "url": SIGN_IN},
            reference=current_trace_id(),
        )

    @pages.post("/sign-out")
    def sign_out(request: Request, _posted: Annotated[Posted, Depends(tools.posted)]) -> Response:
        token = context.cookies.get(request, CONSOLE)
        if token:
            close_console(tools.transactions, token)
        response = RedirectResponse("/auth/administrators/sign-out", 307)  # the same POST, for auth's own session
        context.cookies.drop(response, CONSOLE)
        context.drafts.forget(request, response)
        return response

    return pages


def sign_in_first(tools: ConsoleTools, request: Request, _refusal: ConsoleClosed) -> Response:
    """Sends whoever is not signed in to auth, and remembers which page they wanted."""
    response = RedirectResponse(SIGN_IN, 303, headers={"cache-control": "no-store"})
    path = request.url.path
    if request.method == "GET" and _wanted(path) == path:
        tools.context.cookies.put(response, NEXT, path, _NEXT_SECONDS)
    return response


def _wanted(path: str | None) -> str:
    """`path`, if it is a page of the console; else the dashboard. Never another site."""
    inside = path is not None and path.startswith(f"{HOME}/") and path.isascii() and path.isprintable()
    plain = inside and not any(mark in str(path) for mark in ("//", "\\", "?", "#", ".."))
    return str(path) if plain and path != f"{HOME}/arrive" else HOME
