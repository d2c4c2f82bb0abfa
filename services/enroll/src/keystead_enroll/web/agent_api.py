"""What agents call, at the paths of `keystead_contracts.agent.Routes`: claims, registration, job stream, reports."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

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
from keystead_enroll.domain.errors import ChallengeRefused
from keystead_enroll.domain.refusals import AssertionInvalid, ClaimInvalid, RegistrationRefused, TooManyAttempts
from keystead_enroll.usecases.answer_challenge import answer_challenge
from keystead_enroll.usecases.redeem_claim import redeem_claim
from keystead_enroll.usecases.register_device import exchange_assertion, register_device
from keystead_enroll.usecases.take_report import take_report
from keystead_enroll.web.context import WebContext
from keystead_enroll.web.stream_places import Owner
from keystead_enroll.web.streams import SentEvent, Stream
from keystead_kit.http import client_address
from keystead_kit.problems import ProblemException
from keystead_kit.ratelimit import network_of

JITTER = 0.2


def router(context: WebContext) -> APIRouter:
    """The agent API."""
    api = APIRouter(tags=["agent"])
    enroll = context.enroll
    origin = enroll.settings.public_origin

    @contextmanager
    def counting_failures(request: Request, what: str) -> Iterator[None]:
        """Refuses an address that was wrong too often. What is right counts nothing: a school behind one address
        enrolls at once."""
        limit, key = enroll.settings.claim_limit_address, (what, network_of(client_address(request)))
        retry_after = enroll.limits.check(limit, *key)
        if retry_after is not None:
            raise TooManyAttempts("Too many wrong links, tokens or signatures came from this address.", retry_after)
        try:
            yield
        except (ClaimInvalid, RegistrationRefused, AssertionInvalid, ChallengeRefused):
            enroll.limits.hit(limit, *key)
            raise

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
        with counting_failures(request, "claim"):
            return redeem_claim(enroll.transactions, enroll.clock, enroll.secrets, enroll.ek_roots, body)

    @api.post(Routes.DEVICES)
    def devices(request: Request, body: RegistrationRequest) -> RegistrationReply:
        with counting_failures(request, "register"):
            return register_device(enroll.transactions, enroll.clock, enroll.secrets, enroll.ek_roots, origin, body)

    @api.post(Routes.ATTESTATION)
    def attestation(request: Request, body: ChallengeAnswer) -> AttestationResult:
        with counting_failures(request, "attestation"):
            return answer_challenge(
                enroll.transactions, enroll.clock, enroll.ek_roots, enroll.settings.same_machine, origin, body
            )

    @api.post(Routes.TOKEN)
    def token(request: Request, body: TokenRequest) -> AgentToken:
        with counting_failures(request, "assertion"):
            return exchange_assertion(enroll.transactions, enroll.clock, enroll.secrets, origin, body.assertion)

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
    def report(request: Request, job_id: str, body: Report) -> ReportReceipt:
        recipient, _ = recipient_of(request)
        if body.job_id != job_id:
            raise ProblemException(422, ProblemCode.MALFORMED, "The report names another job than its address.")
        return take_report(enroll.transactions, enroll.clock, enroll.ek_roots, origin, recipient, body)

    return api
