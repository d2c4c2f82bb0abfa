"""Puts the web application together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI, Request, Response

from keystead_contracts.refusals import Refusal
from keystead_enroll.adapters.tables import SERVICE
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.usecases.admin import csv_import
from keystead_enroll.usecases.find_jobs import find_jobs
from keystead_enroll.web import (
    agent_api,
    portal,
    portal_certificates,
    portal_evidence,
    portal_orders,
    portal_request,
    start,
    status,
)
from keystead_enroll.web.agent_desk import AgentDesk
from keystead_enroll.web.agent_streams import AgentStreams
from keystead_enroll.web.api.app import add_api
from keystead_enroll.web.console.app import add_console
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.context import WebContext
from keystead_enroll.web.frame import portal_frame
from keystead_enroll.web.ocsp import OcspDoor
from keystead_enroll.web.presence import DevicePresence
from keystead_enroll.web.problems import as_problem, next_step
from keystead_enroll.web.stream_places import StreamPlaces
from keystead_enroll.web.streams import Streams
from keystead_kit.bodies import MOST_BODY_BYTES
from keystead_kit.drafts import Drafts
from keystead_kit.forms import Cookies, FormGuard
from keystead_kit.http import new_app
from keystead_kit.pages import Pages
from keystead_kit.problems import framed, problem_response, wants_page
from keystead_kit.threads import AGENT_THREADS, LOOK_THREADS, Lane
from keystead_kit.wakeups import Wakeups

TEMPLATES = Path(__file__).parent / "templates"
MOST_BULK_OCTETS = 256 * 1024 * 1024
"""What a setting may allow at most; it is the setting that is told."""
LARGER_BODIES = {
    "/api/v1/persons/import": csv_import.MOST_OCTETS,
    "/console/persons/import": csv_import.MOST_OCTETS + MOST_BODY_BYTES,
    "/api/v1/endorsement-keys/import": csv_import.MOST_OCTETS,
    "/console/endorsement-keys/import": csv_import.MOST_OCTETS + MOST_BODY_BYTES,
    "/api/v1/identity-providers": 1024 * 1024,
    "/console/identity-providers": 1024 * 1024,
    "/api/v1/bulk-jobs/rows": 1024 * 1024,
    "/api/v1/bulk-jobs": MOST_BULK_OCTETS,
    "/console/bulk-jobs/new": MOST_BULK_OCTETS + MOST_BODY_BYTES,
    "/api/v1/licences": 1024 * 1024,
    "/console/licence-terms": 1024 * 1024,
}
"""The addresses that take files, and the most octets that come there; deploy/local/nginx.conf.template has the same."""


def create_app(enroll: Enroll) -> FastAPI:
    """The application, ready to be served."""
    settings = enroll.settings
    _ = enroll.ek_roots  # read at start, so that a mistake in them is told then
    pages = Pages(TEMPLATES)
    cookies = Cookies("keystead_enroll", settings.secure)
    cookie_key = settings.cookie_key.get_secret_value().encode()
    wakeups = Wakeups(SERVICE, settings.redis_url.get_secret_value())
    places, looks = StreamPlaces(settings.most_streams), CapacityLimiter(LOOK_THREADS)
    presence = DevicePresence(enroll.transactions, enroll.clock, looks)
    agent_streams = AgentStreams(
        partial(find_jobs, enroll.transactions),
        looks,
        wakeups,
        places,
        presence,
        keep_alive=settings.keep_alive_seconds,
        life=settings.stream_life_seconds,
    )
    context = WebContext(
        enroll=enroll,
        pages=pages,
        cookies=cookies,
        identity_cookies=Cookies("keystead", settings.secure),
        guard=FormGuard(cookie_key, cookies, settings.public_origin),
        drafts=Drafts(cookie_key, cookies),
        streams=Streams(wakeups, places, looks, keep_alive=settings.keep_alive_seconds),
        agent_streams=agent_streams,
        identities=enroll.identity_verifier(),
    )

    lane = Lane(CapacityLimiter(AGENT_THREADS))
    console = ConsoleTools(context)

    def frame(request: Request) -> Mapping[str, Any]:
        """What surrounds a page on which something went wrong."""
        if request.url.path.startswith("/console"):
            return console.problem_frame(request)
        return portal_frame(context, request)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await wakeups.start()
        await presence.start()
        await agent_streams.start()
        yield
        await wakeups.stop()
        await agent_streams.stop()
        await presence.stop()
        enroll.close()

    app = new_app(
        SERVICE,
        "Keystead enroll",
        pages=pages,
        ready={"database": enroll.database.ping, "redis": enroll.bus.ping},
        secure=settings.secure,
        frame=frame,
        lifespan=lifespan,
        larger_bodies=LARGER_BODIES,
        lanes={agent_api.PLACE: lane},
    )
    # the first in the list is found first: nobody comes as often as agents
    agent_api.add_agent_api(app, context, AgentDesk(enroll, lane.threads))
    app.include_router(start.router(context))
    app.include_router(portal.router(context))
    app.include_router(portal_certificates.router(context))
    app.include_router(portal_request.router(context))
    app.include_router(portal_orders.router(context))
    app.include_router(portal_evidence.router(context))
    app.include_router(status.router(context))
    add_api(app, enroll, wakeups)
    add_console(app, console)

    app.add_middleware(
        OcspDoor,
        answer=enroll.ocsp_answers().answer,
        clock=enroll.clock,
        kept=timedelta(minutes=settings.status_cache_minutes),
        service=SERVICE,
    )
    app.state.end_streams = wakeups.end_streams

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        problem = as_problem(refusal)
        if not wants_page(request):
            return problem_response(problem)
        step = next_step(refusal, request.path_params.get("uri"))
        return pages.problem(problem, step, await framed(frame, request))

    return app
