"""Puts the web application together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response

from keystead_contracts.problems import ProblemCode
from keystead_enroll.adapters.tables import SERVICE
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.domain.errors import Refusal
from keystead_enroll.domain.refusals import RequestRefused, TooManyAttempts
from keystead_enroll.web import agent_api, portal, portal_orders
from keystead_enroll.web.context import WebContext
from keystead_kit.forms import Cookies, FormGuard
from keystead_kit.http import ProblemException, new_app, problem_response, wants_page
from keystead_kit.pages import Pages
from keystead_kit.wakeups import Wakeups

TEMPLATES = Path(__file__).parent / "templates"

_STATUS = {
    ProblemCode.NOT_FOUND: 404,
    ProblemCode.UNAUTHENTICATED: 401,
    ProblemCode.SESSION_EXPIRED: 401,
    ProblemCode.ASSERTION_INVALID: 401,
    ProblemCode.FORBIDDEN: 403,
    ProblemCode.CLAIM_INVALID: 403,
    ProblemCode.REGISTRATION_REFUSED: 403,
    ProblemCode.ACCESS_CODE_WRONG: 403,
    ProblemCode.JOB_NOT_YOURS: 404,
    ProblemCode.CONFLICT: 409,
    ProblemCode.ORDER_REFUSED: 409,
    ProblemCode.JOB_ALREADY_REPORTED: 409,
    ProblemCode.RATE_LIMITED: 429,
    ProblemCode.INTERNAL: 500,
}


def create_app(enroll: Enroll) -> FastAPI:
    """The application, ready to be served."""
    settings = enroll.settings
    pages = Pages(TEMPLATES)
    cookies = Cookies("keystead_enroll", settings.secure)
    wakeups = Wakeups(SERVICE, settings.redis_url.get_secret_value())
    context = WebContext(
        enroll=enroll,
        pages=pages,
        cookies=cookies,
        identity_cookies=Cookies("keystead", settings.secure),
        guard=FormGuard(settings.cookie_key.get_secret_value().encode(), cookies, settings.public_origin),
        wakeups=wakeups,
        identities=enroll.identity_verifier(),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await wakeups.start()
        yield
        await wakeups.stop()
        enroll.close()

    app = new_app(
        SERVICE,
        "Keystead enroll",
        pages=pages,
        ready={"database": enroll.database.ping, "redis": enroll.bus.ping},
        secure=settings.secure,
        lifespan=lifespan,
    )
    app.include_router(portal.router(context))
    app.include_router(portal_orders.router(context))
    app.include_router(agent_api.router(context))

    app.state.end_streams = wakeups.end_streams

    @app.exception_handler(Refusal)
    def refused(request: Request, refusal: Refusal) -> Response:
        problem = as_problem(refusal)
        return pages.problem(problem) if wants_page(request) else problem_response(problem)

    return app


def as_problem(refusal: Refusal) -> ProblemException:
    """A domain refusal as a problem document's content."""
    code = ProblemCode(refusal.code)
    detail = f"{refusal.detail[:1].upper()}{refusal.detail[1:]}"
    problem = ProblemException(_STATUS.get(code, 422), code, detail, refusal.advice)
    if isinstance(refusal, TooManyAttempts):
        problem.headers["retry-after"] = str(refusal.retry_after)
    if isinstance(refusal, RequestRefused):
        problem.fields = refusal.fields
    return problem
