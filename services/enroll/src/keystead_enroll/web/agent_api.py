"""What agents call, at the paths of `keystead_contracts.agent.Routes`: claims, registration, job stream, reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import jwt
from fastapi import APIRouter, Request, Response

from keystead_contracts.agent import (
    AgentToken,
    ClaimRequest,
    RegistrationReply,
    RegistrationRequest,
    Report,
    ReportReceipt,
    Routes,
    TokenRequest,
)
from keystead_contracts.attestation import AttestationResult, ChallengeAnswer
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


def router(context: WebContext, desk: AgentDesk) -> APIRouter:
    """The agent API."""
    api = APIRouter(tags=["agent"])
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

    @api.post(Routes.CLAIMS)
    def claims(request: Request, body: ClaimRequest) -> AgentToken:
        with counting_failures(request):
            return redeem_claim(enroll.transactions, enroll.clock, enroll.secrets, enroll.ek_roots, body)

    @api.post(Routes.DEVICES)
    async def devices(request: Request, body: RegistrationRequest) -> RegistrationReply:
        return await desk.registrations.ask(coming(request, Registering(body, current_trace_id())))

    @api.post(Routes.ATTESTATION)
    async def attestation(request: Request, body: ChallengeAnswer) -> AttestationResult:
        return await desk.answers.ask(coming(request, Answering(body, current_trace_id())))

    @api.post(Routes.TOKEN)
    async def token(request: Request, body: TokenRequest) -> AgentToken:
        return await desk.assertions.ask(coming(request, SigningIn(body.assertion, current_trace_id())))

    @api.get(Routes.JOBS)
    async def jobs(request: Request) -> Response:
        return context.agent_streams.answer(*recipient_of(request))

    @api.post(Routes.REPORT)
    async def report(request: Request, job_id: str, body: Report) -> ReportReceipt:
        recipient, _ = recipient_of(request)
        if body.job_id != job_id:
            raise ProblemException(422, ProblemCode.MALFORMED, "The report names another job than its address.")
        return await desk.reports.ask(Reporting(recipient, body, current_trace_id()))

    return api
