"""What surrounds every request: trace, language, security headers, the limit on its body, metrics, the log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keystead_kit.bodies import limited, most_body_bytes
from keystead_kit.i18n import COOKIE, negotiate, speaking
from keystead_kit.language_switch import address_of
from keystead_kit.logs import get_logger
from keystead_kit.metrics import HTTP_REQUESTS
from keystead_kit.pages import Pages
from keystead_kit.problems import (
    API,
    PROBLEM_HEADER,
    ProblemException,
    nothing_here,
    problem_response,
    unexpected,
    wants_page,
)
from keystead_kit.trace import parse_traceparent, tracing

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
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = get_logger()


class Edge:
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
            speaking(spoken, "/" if scope["path"].startswith(API) else address_of(request)),
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
                    await self._answer(nothing_here(scope["path"]), scope, receive, send_with_headers)
                else:
                    most = most_body_bytes(scope["path"], self._larger_bodies)
                    await self._app(scope, limited(incoming, receive, most), send_with_headers)
            except Exception:
                _log.exception("request failed", method=_method(scope), route=_route(scope))
                if status:
                    raise  # the answer had begun: all that is left is to end the connection
                await self._answer(unexpected(), scope, receive, send_with_headers)

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
