"""`POST /api/v1/certificates`: a certificate signing request in, a certificate out.

Requests that come while others are being stored are stored together, and so are their outcomes read: one after the
other, a program waits for two transactions; fifty at once share them. The worker signs; it wakes this process through
Redis, and without Redis this process looks by itself.

This module evaluates its annotations when a router is made: no `from __future__ import annotations` here.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel

from keystead_contracts.problems import ProblemCode
from keystead_enroll.domain.administration_refusals import TokenRefused
from keystead_enroll.domain.certificates import pem_from_der
from keystead_enroll.domain.issue_inputs import CertificateRequestInput
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.outcomes import IssuedCertificate, Outcome
from keystead_enroll.domain.refusals import TooManyAttempts
from keystead_enroll.usecases.admin.common import Once
from keystead_enroll.usecases.request_certificates import Asked, request_certificates
from keystead_enroll.usecases.requested_certificates import requested_certificates
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools, Credentials
from keystead_kit.gather import Gatherer
from keystead_kit.http import client_address
from keystead_kit.problems import ProblemException
from keystead_kit.ratelimit import network_of
from keystead_kit.secrets import new_id
from keystead_kit.threads import ISSUE_THREADS
from keystead_kit.trace import current_trace_id
from keystead_kit.wakeups import Wakeups

LOOK_EVERY_SECONDS = 1.0
"""How often a request looks for its certificate unwoken."""


class IssuedOut(BaseModel):
    """An issued certificate, in PEM; `chain` are its issuing CAs, its own first, without `root`."""

    id: str
    request_id: str
    serial: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    certificate: str
    chain: list[str]
    root: str


class AcceptedOut(BaseModel):
    """The request was stored; its certificate takes longer than anybody waits. `Location` shows how it goes."""

    request_id: str
    state: OrderState


class IssueDesk:
    """Takes requests in, and waits with whoever sent them."""

    def __init__(self, tools: ApiTools, wakeups: Wakeups) -> None:
        self._enroll, self._wakeups = tools.enroll, wakeups
        self._patience = tools.enroll.settings.issue_patience_seconds
        threads = CapacityLimiter(ISSUE_THREADS)
        self._orders = Gatherer("certificate", self._take, threads)
        self._looks = Gatherer("outcome", self._look, threads)

    async def outcome_of(
        self, secret: str, address: str, wanted: CertificateRequestInput, once: Once | None
    ) -> Outcome:
        """What has become of the request once it is over, or when patience is. Raises what
        `request_certificates` refuses, TooManyAttempts, Overloaded."""
        ends = time.monotonic() + self._patience
        fresh_id = new_id()
        with self._wakeups.waiting(f"order:{fresh_id}", "issue") as woken:
            asked = Asked(secret, address, wanted, once, fresh_id, current_trace_id())
            order_id = await self._orders.ask(asked)
            if order_id != fresh_id:
                woken.set()  # an earlier request made it
            while True:
                left = ends - time.monotonic()
                try:
                    async with asyncio.timeout(max(0, min(left, LOOK_EVERY_SECONDS))):
                        await woken.wait()
                except TimeoutError:
                    pass
                woken.clear()
                outcome = await self._looks.ask(order_id)
                if outcome.over or left <= 0 or self._wakeups.stopping:
                    return outcome

    def _take(self, asked: Sequence[Asked]) -> list[str | Exception]:
        """Stores requests. Counts refused tokens by network address."""
        limits, limit = self._enroll.limits, self._enroll.settings.token_limit_address
        waits = {network: limits.check(limit, "api-token", network) for network in {_network(each) for each in asked}}
        heard = [each for each in asked if waits[_network(each)] is None]
        answers = iter(request_certificates(self._enroll.transactions, self._enroll.clock, heard))
        results: list[str | Exception] = []
        for each in asked:
            wait = waits[_network(each)]
            if wait is not None:
                told = "Too many requests with invalid tokens came from this address."
                results.append(TooManyAttempts(told, wait))
                continue
            answer = next(answers)
            if isinstance(answer, TokenRefused):
                limits.hit(limit, "api-token", _network(each))
            results.append(answer)
        return results

    def _look(self, order_ids: Sequence[str]) -> list[Outcome | Exception]:
        return requested_certificates(self._enroll.transactions, order_ids)


def _network(asked: Asked) -> str:
    return network_of(asked.address)


def router(tools: ApiTools, wakeups: Wakeups) -> APIRouter:
    """The route."""
    api, desk = APIRouter(), IssueDesk(tools, wakeups)
    OnceKey = Annotated[Once | None, Depends(tools.once)]
    answers: dict[int | str, dict[str, Any]] = {
        201: {"model": IssuedOut, "description": "The certificate."},
        202: {"model": AcceptedOut, "description": "It takes longer; `Location` shows how it goes."},
    }

    @api.post(
        "/certificates",
        status_code=201,
        operation_id="request_certificate",
        summary="Have a certificate issued for a signing request (CSR)",
        tags=["certificates"],
        response_class=Response,
        responses={**PROBLEMS, **answers},
    )
    async def request_certificate(
        request: Request, credentials: Credentials, body: CertificateRequestInput, once: OnceKey
    ) -> Response:
        """For a program that has a key of its own. The token's role has to cover the profile's certificate type at the
        organization or department; profiles that demand proof of where the key is take no such request. Once the answer
        is here, the certificate is stored for good; sent again with the same Idempotency-Key, it is the same one."""
        secret = credentials.credentials if credentials else ""
        outcome = await desk.outcome_of(secret, client_address(request), body, once)
        if outcome.certificate is not None:
            return _issued(outcome.order_id, outcome.certificate)
        if not outcome.over:
            content = {"request_id": outcome.order_id, "state": outcome.state.value}
            return _json(content, 202, f"/api/v1/requests/{outcome.order_id}")
        code = ProblemCode.ORDER_REFUSED
        raise ProblemException(409, code, outcome.failure_reason, outcome.failure_advice)

    return api


def _issued(order_id: str, certificate: IssuedCertificate) -> Response:
    content = {
        "id": certificate.id,
        "request_id": order_id,
        "serial": certificate.serial,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "certificate": pem_from_der(certificate.der),
        "chain": certificate.chain_pem,
        "root": certificate.root_pem,
    }
    return _json(content, 201, f"/api/v1/certificates/{certificate.id}")


def _json(content: dict[str, Any], status: int, location: str) -> Response:
    headers = {"location": location, "cache-control": "no-store"}
    return Response(json.dumps(content), status, headers, media_type="application/json")
