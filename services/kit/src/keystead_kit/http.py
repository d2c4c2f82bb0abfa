"""The web edge that every service shares: trace, language, limits on bodies, security headers, problems, operations."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keystead_contracts.problems import PROBLEM_MEDIA_TYPE, Problem, ProblemCode
from keystead_contracts.words import Words
from keystead_kit.i18n import COOKIE, negotiate, speaking
from keystead_kit.language_switch import add_language_switch, address_of
from keystead_kit.logs import get_logger
from keystead_kit.metrics import HTTP_REQUESTS
from keystead_kit.pages import NO_FRAME, Pages
from keystead_kit.statics import add_static_files
from keystead_kit.threads import REQUEST_THREADS, Overloaded, a_turn, in_thread
from keystead_kit.trace import bound_trace_id, parse_traceparent, tracing

MOST_BODY_BYTES = 64 * 1024
NO_LARGER_BODIES: Mapping[str, int] = MappingProxyType({})
AGAIN_AFTER_SECONDS = 5
API = "/api/"
"""What is under it is for programs: it answers problem documents, never pages."""
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    # same-origin, not no-referrer: without any referrer a browser sends `Origin: null` with a form (Fetch, 3.2)
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""What every answer has that does not say otherwise."""
PROBLEM_HEADER = "x-problem"
"""Tells `_Edge` the code of the problem that an answer shows; it goes no further."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = get_logger()


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


HealthCheck = Callable[[], None]
Frame = Callable[[Request], Mapping[str, Any]]
"""What surrounds a problem's page; see `Pages.problem`."""


def no_frame(_request: Request) -> Mapping[str, Any]:
    """Nothing is known."""
    return NO_FRAME


def new_app(
    service: str,
    title: str,
    *,
    pages: Pages,
    ready: Mapping[str, HealthCheck],
    secure: bool,
    frame: Frame = no_frame,
    larger_bodies: Mapping[str, int] = NO_LARGER_BODIES,
    **kwargs: Any,
) -> FastAPI:
    """A FastAPI application with everything here installed. `ready`: name → function that raises when not ready.

    `larger_bodies`: path → the most octets that a body may have there and below it, where `MOST_BODY_BYTES` are too
    few; the reverse proxy has to let as much through.
    """
    app = FastAPI(
        title=title,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # they would send the browser to whatever the Host header says
        dependencies=[Depends(_thread, scope="function")],
        **kwargs,
    )
    app.state.threads = CapacityLimiter(REQUEST_THREADS)
    add_static_files(app)
    add_language_switch(app, secure)
    _add_operations(app, ready)
    _add_problems(app, pages, frame)
    app.add_middleware(_Edge, service=service, secure=secure, pages=pages, larger_bodies=larger_bodies)
    return app


def wants_page(request: Request) -> bool:
    """Whether the client is a browser that shows the answer to a person."""
    return "text/html" in request.headers.get("accept", "") and not _of_the_api(request.url.path)


def _of_the_api(path: str) -> bool:
    return f"{path}/".startswith(API)


def client_address(request: Request) -> str:
    """The client's address; behind a trusted proxy, the one it forwarded (set by the server's proxy handling)."""
    return request.client.host if request.client else "unknown"


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


def unavailable(detail: str, retry_after: int = AGAIN_AFTER_SECONDS) -> ProblemException:
    """The refusal of what will work in a moment; `retry_after` in seconds."""
    return ProblemException(
        503,
        ProblemCode.UNAVAILABLE,
        detail,
        Words("Try again in a few seconds."),
        headers={"retry-after": str(retry_after)},
    )


async def framed(frame: Frame, request: Request) -> Mapping[str, Any]:
    """What `frame` knows of the request; nothing if no thread is free to ask it."""
    if frame is no_frame:
        return NO_FRAME
    try:
        return await in_thread(partial(frame, request), request.app.state.threads)
    except Overloaded:
        return NO_FRAME


async def _thread(request: Request) -> AsyncIterator[None]:
    """Has a request whose function needs a thread wait for its turn, after its body was read. Raises Overloaded."""
    if inspect.iscoroutinefunction(request.scope.get("endpoint")):
        yield
    else:
        async with a_turn(request.app.state.threads):
            yield


def _add_operations(app: FastAPI, ready: Mapping[str, HealthCheck]) -> None:
    @app.get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready", include_in_schema=False)
    def readiness() -> JSONResponse:
        state: dict[str, str] = {}
        for name, check in ready.items():
            try:
                check()
                state[name] = "ok"
            except Exception as error:
                _log.warning("not ready", dependency=name, error=str(error))
                state[name] = type(error).__name__
        well = all(value == "ok" for value in state.values())
        return JSONResponse({"status": "ok" if well else "unavailable", "checks": state}, 200 if well else 503)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _add_problems(app: FastAPI, pages: Pages, frame: Frame) -> None:
    async def answer(request: Request, problem: ProblemException) -> Response:
        if wants_page(request):
            return pages.problem(problem, frame=await framed(frame, request))
        return problem_response(problem)

    @app.exception_handler(ProblemException)
    async def known(request: Request, problem: ProblemException) -> Response:
        return await answer(request, problem)

    @app.exception_handler(Overloaded)
    async def overloaded(request: Request, _error: Overloaded) -> Response:
        problem = unavailable(Words("More is asked of this server now than it can answer at once."))
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
        nothing = _nothing_here(request.url.path)
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


def _unexpected() -> ProblemException:
    return ProblemException(
        500,
        ProblemCode.INTERNAL,
        Words("Something went wrong on our side. Nothing you entered was lost or changed."),
        Words("Try again in a minute. If it happens again, tell your administrator the reference."),
    )


def _nothing_here(path: str) -> ProblemException:
    return ProblemException(
        404,
        ProblemCode.NOT_FOUND,
        Words("There is nothing at this address."),
        Words("Check the address: {document} lists them all.", document=f"{API}openapi.json")
        if _of_the_api(path)
        else Words("Check the address, or open the form's link again."),
    )


class _TooLarge(HTTPException):
    """An HTTPException, because FastAPI turns any other that is raised while it reads a body into a 400."""

    def __init__(self, most: int) -> None:
        super().__init__(413, headers={"connection": "close"})
        self.most = most


class _Edge:
    """Outermost: trace id, language, security headers, body limit, metrics, a log line for each answer from 400 on."""

    def __init__(
        self, app: ASGIApp, service: str, secure: bool, pages: Pages, larger_bodies: Mapping[str, int]
    ) -> None:
        self._app, self._service, self._pages, self._larger_bodies = app, service, pages, larger_bodies
        headers = dict(_HEADERS)
        if secure:
            headers["strict-transport-security"] = "max-age=31536000"
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        incoming = dict(scope["headers"])
        status = 0
        request = Request(scope)
        spoken = negotiate(request.cookies.get(COOKIE), request.headers.get("accept-language", ""))
        with (
            tracing(parse_traceparent(incoming.get(b"traceparent", b"").decode("latin-1"))) as trace_id,
            speaking(spoken, address_of(request)),
        ):

            async def send_with_headers(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    code, kept = _take_problem(message["headers"])
                    present = {name for name, _ in kept}
                    message["headers"] = [
                        *kept,
                        *((n, v) for n, v in self._headers if n not in present),
                        (b"x-trace-id", trace_id.encode()),
                    ]
                    self._observe(scope, status, started)
                    if status >= 400:
                        _tell(scope, status, code)
                await send(message)

            try:
                if "\0" in scope["path"]:  # PostgreSQL stores and compares no NUL, so nothing can have that name
                    await self._answer(_nothing_here(scope["path"]), scope, receive, send_with_headers)
                else:
                    most = _most_body_bytes(scope["path"], self._larger_bodies)
                    await self._app(scope, _limited(incoming, receive, most), send_with_headers)
            except Exception:
                _log.exception("request failed", method=_method(scope), route=_route(scope))
                if status:
                    raise  # the answer had begun: all that is left is to end the connection
                await self._answer(_unexpected(), scope, receive, send_with_headers)

    async def _answer(self, problem: ProblemException, scope: Scope, receive: Receive, send: Send) -> None:
        page = wants_page(Request(scope))
        await (self._pages.problem(problem) if page else problem_response(problem))(scope, receive, send)

    def _observe(self, scope: Scope, status: int, started: float) -> None:
        seconds = time.perf_counter() - started
        HTTP_REQUESTS.labels(self._service, _method(scope), _route(scope), str(status)).observe(seconds)


def _tell(scope: Scope, status: int, code: str) -> None:
    """Leaves in the log what finds an answer by the reference that its page shows: the record's trace id."""
    level = _log.info if status < 500 else _log.warning if status == 503 else _log.error
    level("refusal answered", method=_method(scope), route=_route(scope), status=status, problem_code=code)


def _take_problem(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, list[tuple[bytes, bytes]]]:
    """The problem's code (empty if the answer names none), and the headers for the client."""
    name = PROBLEM_HEADER.encode()
    code = next((value.decode("latin-1") for key, value in headers if key == name), "")
    return code, [pair for pair in headers if pair[0] != name]


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "none")


def _most_body_bytes(path: str, larger: Mapping[str, int]) -> int:
    return next(
        (most for place, most in larger.items() if path == place or path.startswith(f"{place}/")), MOST_BODY_BYTES
    )


def size_in_words(octets: int) -> str:
    """`octets` for people: whole MiB, or KiB."""
    mebi, rest = divmod(octets, 1024 * 1024)
    return f"{mebi} MiB" if mebi and not rest else f"{octets // 1024} KiB"


def _limited(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> Receive:
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > most:

        async def refuse() -> Message:
            raise _TooLarge(most)

        return refuse
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise _TooLarge(most)
        return message

    return counted


def run_web(
    app: ASGIApp, host: str, port: int, trusted_proxies: str, on_stop: Callable[[], None] = lambda: None
) -> None:
    """Serves `app` until SIGTERM, calls `on_stop` (open streams end then), and lets requests end for 5 s."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            on_stop()
            super().handle_exit(sig, frame)

    Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=trusted_proxies,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=75,
        )
    ).run()
