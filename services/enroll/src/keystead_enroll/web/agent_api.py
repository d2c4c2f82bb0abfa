"""What agents call, at the paths of `keystead_contracts.agent.Routes`: claims, registration, job stream, reports."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import jwt
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from keystead_contracts.agent import (
    JOB_EVENT,
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
from keystead_enroll.web.stream_places import Owner
from keystead_enroll.web.streams import SentEvent, Stream
from keystead_kit.http import client_address
from keystead_kit.problems import ProblemException
from keystead_kit.ratelimit import network_of
from keystead_kit.trace import current_trace_id

JITTER = 0.2
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
            raise ProblemException(
                401, ProblemCode.UNAUTHENTICATED, "The bearer token is missing, malformed or expired.",
                "Redeem the link again or sign in with the device key.", headers={"www-authenticate": "Bearer"},
            ) from error  # fmt: skip

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
    async def jobs(request: Request) -> StreamingResponse:
        recipient, expires = recipient_of(request)
        sent: set[str] = set()

        def look() -> list[SentEvent]:
            with enroll.transactions.read() as tx:
                found = [job.to_wire() for job in tx.open_jobs(recipient)]
            fresh = [job for job in found if job.job_id not in sent]
            sent.update(job.job_id for job in fresh)
            return [SentEvent(JOB_EVENT, job.model_dump_json(), str(job.sequence)) for job in fresh]

        life = enroll.settings.stream_life_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 jitter
        life = min(life, max(1.0, expires - time.time()))
        kind, _, device_id = recipient.partition(":")
        during = context.presence.holding(device_id) if kind == "device" else nullcontext()
        topic, owner = f"recipient:{recipient}", Owner(recipient)
        return await context.streams.open(Stream(topic, "agent", owner, look, life, during))

    @api.post(Routes.REPORT)
    async def report(request: Request, job_id: str, body: Report) -> ReportReceipt:
        recipient, _ = recipient_of(request)
        if body.job_id != job_id:
            raise ProblemException(422, ProblemCode.MALFORMED, "The report names another job than its address.")
        return await desk.reports.ask(Reporting(recipient, body, current_trace_id()))

    return api
