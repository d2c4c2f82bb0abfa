"""The web application that every service begins with: static files, language, problems, operations, and its edge."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any

from anyio import CapacityLimiter
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from keystead_kit.bodies import NO_LARGER_BODIES
from keystead_kit.edge import Edge
from keystead_kit.language_switch import add_language_switch
from keystead_kit.lasting import LastingApp
from keystead_kit.logs import get_logger
from keystead_kit.pages import Pages
from keystead_kit.problems import Frame, add_problems, no_frame
from keystead_kit.statics import add_static_files
from keystead_kit.threads import REQUEST_THREADS, Lane, a_turn

HealthCheck = Callable[[], None]
NO_LANES: Mapping[str, Lane] = MappingProxyType({})
_log = get_logger()


def new_app(
    service: str,
    title: str,
    *,
    pages: Pages,
    ready: Mapping[str, HealthCheck],
    secure: bool,
    frame: Frame = no_frame,
    larger_bodies: Mapping[str, int] = NO_LARGER_BODIES,
    lanes: Mapping[str, Lane] = NO_LANES,
    **kwargs: Any,
) -> FastAPI:
    """A FastAPI application with everything here installed. `ready`: name → function that raises when not ready.

    `larger_bodies`: path → the most octets that a body may have there and below it, where `MOST_BODY_BYTES` are too
    few; the reverse proxy has to let as much through. `lanes`: path → the threads of what is asked below it, where they
    are not those that persons' requests have.
    """
    app = LastingApp(
        title=title,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # they would send the browser to whatever the Host header says
        dependencies=[Depends(_thread, scope="function")],
        **kwargs,
    )
    app.state.threads, app.state.lanes = CapacityLimiter(REQUEST_THREADS), lanes
    add_static_files(app)
    add_language_switch(app, secure)
    _add_operations(app, ready)
    add_problems(app, pages, frame)
    app.add_middleware(Edge, service=service, secure=secure, pages=pages, larger_bodies=larger_bodies)
    return app


def client_address(request: Request) -> str:
    """The client's address; behind a trusted proxy, the one it forwarded (set by the server's proxy handling)."""
    return request.client.host if request.client else "unknown"


async def _thread(request: Request) -> AsyncIterator[None]:
    """Has a request whose function needs a thread wait for its turn, after its body was read. Raises Overloaded."""
    if inspect.iscoroutinefunction(request.scope.get("endpoint")):
        yield
    else:
        lanes: Mapping[str, Lane] = request.app.state.lanes
        path = request.url.path
        lane = next((lane for place, lane in lanes.items() if path.startswith(f"{place}/")), None)
        async with lane.turn() if lane else a_turn(request.app.state.threads):
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
