"""Refusals as the web edge answers them: problem documents (RFC 9457) for programs, pages for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from keystead_contracts.problems import PROBLEM_MEDIA_TYPE, Problem, ProblemCode
from keystead_contracts.words import Words
from keystead_kit.bodies import MOST_BODY_BYTES, size_in_words
from keystead_kit.pages import NO_FRAME, Pages
from keystead_kit.threads import AGAIN_SECONDS, Overloaded, in_thread
from keystead_kit.trace import bound_trace_id

API = "/api/"
"""What is under it is for programs: it answers problem documents, never pages."""
PROBLEM_HEADER = "x-problem"
"""Tells the edge the code of the problem that an answer shows; it goes no further."""
Frame = Callable[[Request], Mapping[str, Any]]
"""What surrounds a problem's page; see `Pages.problem`."""


@dataclass
class ProblemException(Exception):
    """An answer that is a refusal. Raised at the web edge only; use cases raise their domain's own exceptions."""

    status: int
    code: ProblemCode
    detail: str
    advice: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    help_link: str | None = None


def no_frame(_request: Request) -> Mapping[str, Any]:
    """Nothing is known."""
    return NO_FRAME


def wants_page(request: Request) -> bool:
    """Whether the client is a browser that shows the answer to a person."""
    return "text/html" in request.headers.get("accept", "") and not _of_the_api(request.url.path)


def _of_the_api(path: str) -> bool:
    return f"{path}/".startswith(API)


def problem_response(problem: ProblemException) -> JSONResponse:
    """The RFC 9457 document for a refusal."""
    body = Problem(
        type=f"urn:keystead:problem:{problem.code}",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail[:1].upper() + problem.detail[1:],
        advice=problem.advice,
        reference=bound_trace_id() or "",
        fields=problem.fields,
    )
    return JSONResponse(
        body.model_dump(mode="json"),
        problem.status,
        headers=problem.headers | {PROBLEM_HEADER: problem.code},
        media_type=PROBLEM_MEDIA_TYPE,
    )


def unavailable(detail: str, retry_after: int = AGAIN_SECONDS) -> ProblemException:
    """The refusal of what will work in a moment; `retry_after` in seconds."""
    return ProblemException(
        503,
        ProblemCode.UNAVAILABLE,
        detail,
        Words("Try again in a few seconds."),
        headers={"retry-after": str(retry_after)},
    )


def unexpected() -> ProblemException:
    """The refusal that says nothing but that it is our fault."""
    return ProblemException(
        500,
        ProblemCode.INTERNAL,
        Words("Something went wrong on our side. Nothing you entered was lost or changed."),
        Words("Try again in a minute. If it happens again, tell your administrator the reference."),
    )


def nothing_here(path: str) -> ProblemException:
    """The refusal of an address that leads nowhere."""
    return ProblemException(
        404,
        ProblemCode.NOT_FOUND,
        Words("There is nothing at this address."),
        Words("Check the address: {document} lists them all.", document=f"{API}openapi.json")
        if _of_the_api(path)
        else Words("Check the address, or open the form's link again."),
    )


async def framed(frame: Frame, request: Request) -> Mapping[str, Any]:
    """What `frame` knows of the request; nothing if no thread is free to ask it."""
    if frame is no_frame:
        return NO_FRAME
    try:
        return await in_thread(partial(frame, request), request.app.state.threads)
    except Overloaded:
        return NO_FRAME


def add_problems(app: FastAPI, pages: Pages, frame: Frame) -> None:
    """Has `app` answer every refusal, its own and the framework's, as its client can read it."""

    async def answer(request: Request, problem: ProblemException) -> Response:
        if wants_page(request):
            return pages.problem(problem, frame=await framed(frame, request))
        return problem_response(problem)

    @app.exception_handler(ProblemException)
    async def known(request: Request, problem: ProblemException) -> Response:
        return await answer(request, problem)

    @app.exception_handler(Overloaded)
    async def overloaded(request: Request, error: Overloaded) -> Response:
        words = Words("More is asked of this server now than it can answer at once.")
        problem = unavailable(words, error.retry_after)
        return pages.problem(problem) if wants_page(request) else problem_response(problem)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        fields: dict[str, str] = {}
        for mistake in error.errors():
            context = mistake.get("ctx", {})  # `fields` and `words`: a mistake in how fields go together
            place = context.get("fields", mistake["loc"][1:])
            name = str(place[0]) if "fields" in context else ".".join(str(part) for part in place)
            fields.setdefault(name or "body", str(context.get("words", mistake["msg"])))
        return await answer(
            request,
            ProblemException(422, ProblemCode.MALFORMED,
                             Words("Part of the request is missing or not in its expected form."),
                             Words("Correct the named fields and send it again."), fields=fields),
        )  # fmt: skip

    @app.exception_handler(HTTPException)
    async def by_status(request: Request, error: HTTPException) -> Response:
        nothing = nothing_here(request.url.path)
        known_codes = {
            404: (nothing.code, nothing.detail, nothing.advice),
            405: (ProblemCode.METHOD_NOT_ALLOWED, Words("This address does not take that kind of request."), ""),
            413: (
                ProblemCode.TOO_LARGE,
                Words("The request is too large."),
                Words("Send at most {size}.", size=size_in_words(getattr(error, "most", MOST_BODY_BYTES))),
            ),
        }
        code, detail, advice = known_codes.get(
            error.status_code,
            (
                ProblemCode.MALFORMED,
                Words("The request could not be understood."),
                Words("Correct it and send it again."),
            ),
        )
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if error.status_code == 405:
            headers["allow"] = _allowed(app, request)
        return await answer(request, ProblemException(error.status_code, code, detail, advice, headers=headers))


def _allowed(app: FastAPI, request: Request) -> str:
    """The methods that the address takes: a router itself tells those of the first route that it finds alone."""
    found = request.scope.get("route")
    routers = (getattr(each, "original_router", None) for each in app.routes)
    for routes in (app.routes, *(router.routes for router in routers if router is not None)):
        if any(route is found for route in routes):
            path = getattr(found, "path", "")
            same = (getattr(route, "methods", None) or () for route in routes if getattr(route, "path", None) == path)
            return ", ".join(sorted({method for methods in same for method in methods}))
    return ""
