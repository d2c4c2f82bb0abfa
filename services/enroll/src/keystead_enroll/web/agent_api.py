"""What agents call, at the paths of `keystead_contracts.agent.Routes`: claims, registration, job stream, reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import jwt
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from keystead_contracts.agent import (
    AgentToken,
    ClaimRequest,
    RegistrationRequest,
    Report,
    Routes,
    TokenRequest,
)
from keystead_contracts.attestation import ChallengeAnswer
from keystead_contracts.base import Message
from keystead_contracts.problems import ProblemCode
from keystead_enroll.usecases.answer_challenges import Answering
from keystead_enroll.usecases.exchange_assertions import SigningIn
from keystead_enroll.usecases.redeem_claim import redeem_claim
from keystead_enroll.usecases.register_devices import Registering
from keystead_enroll.usecases.take_reports import Reporting
from keystead_enroll.web.agent_desk import WRONG, AgentDesk, From, too_many
from keystead_enroll.web.context import WebContext
from keystead_enroll.web.problems import unauthenticated
from keystead_kit.http import client_address
from keystead_kit.problems import ProblemException
from keystead_kit.ratelimit import network_of
from keystead_kit.trace import current_trace_id

PLACE = "/api/agent"
"""What all of `Routes` are below."""
Q = TypeVar("Q")
M = TypeVar("M", bound=Message)


def add_agent_api(app: FastAPI, context: WebContext, desk: AgentDesk) -> None:
    """Adds the agent API. What a thousand agents send at once are plain routes: nothing has to be found out of their
    functions' signatures, and reading and answering is done here."""
    enroll = context.enroll

    @contextmanager
    def counting_failures(request: Request) -> Iterator[None]:
        """Refuses a network whose links were wrong too often."""
        limit, key = enroll.settings.claim_limit_address, ("claim", network_of(client_address(request)))
        retry_after = enroll.limits.check(limit, *key)
        if retry_after is not None:
            raise too_many(retry_after)
        try:
            yield
        except WRONG:
            enroll.limits.hit(limit, *key)
            raise

    def coming(request: Request, asked: Q) -> From[Q]:
        return From(network_of(client_address(request)), asked)

    def recipient_of(request: Request) -> tuple[str, int]:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise jwt.InvalidTokenError
            return enroll.secrets.agent_of(token)
        except jwt.InvalidTokenError as error:
            raise unauthenticated(
                "The bearer token is missing, malformed or expired.",
                "Redeem the link again or sign in with the device key.",
            ) from error

    @app.post(Routes.CLAIMS, include_in_schema=False)
    def claims(request: Request, body: ClaimRequest) -> AgentToken:
        with counting_failures(request):
            return redeem_claim(enroll.transactions, enroll.clock, enroll.secrets, enroll.ek_roots, body)

    async def devices(request: Request) -> Response:
        body = await _sent(request, RegistrationRequest)
        return _answer(await desk.registrations.ask(coming(request, Registering(body, current_trace_id()))))

    async def attestation(request: Request) -> Response:
        body = await _sent(request, ChallengeAnswer)
        return _answer(await desk.answers.ask(coming(request, Answering(body, current_trace_id()))))

    async def token(request: Request) -> Response:
        body = await _sent(request, TokenRequest)
        return _answer(await desk.assertions.ask(coming(request, SigningIn(body.assertion, current_trace_id()))))

    @app.get(Routes.JOBS, include_in_schema=False)
    async def jobs(request: Request) -> Response:
        return context.agent_streams.answer(*recipient_of(request))

    async def report(request: Request) -> Response:
        recipient, _ = recipient_of(request)
        body = await _sent(request, Report)
        if body.job_id != request.path_params["job_id"]:
            raise ProblemException(422, ProblemCode.MALFORMED, "The report names another job than its address.")
        return _answer(await desk.reports.ask(Reporting(recipient, body, current_trace_id())))

    for path, endpoint in (
        (Routes.DEVICES, devices),
        (Routes.ATTESTATION, attestation),
        (Routes.TOKEN, token),
        (Routes.REPORT, report),
    ):
        app.add_route(path, endpoint, methods=["POST"])


async def _sent(request: Request, kind: type[M]) -> M:
    """What came, read in one step from octets to the message: of what a thousand agents send at once, reading it the
    usual way would be a third of the work. Raises RequestValidationError."""
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in mistakes]) from None


def _answer(message: Message) -> Response:
    return Response(message.model_dump_json(), media_type="application/json")
