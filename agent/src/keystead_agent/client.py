"""The server as the agent sees it: HTTP requests, one event stream, problem documents turned into errors.

Methods raise ServerUnreachable where the same request may succeed later (network, TLS, 5xx, 429), and ServerRefused
where it will not (other 4xx).
"""

from __future__ import annotations

import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from keystead_agent.doorbell import StreamRequest
from keystead_agent.errors import ServerRefused, ServerUnreachable
from keystead_agent.sse import EventTooLong, events
from keystead_agent.transport import (
    ANSWER_LIMIT,
    CONNECT_LIMIT,
    HEADERS,
    SILENCE_LIMIT,
    http_date,
    is_for_later,
    retry_after,
    through_proxy,
    tls,
)
from keystead_contracts.agent import (
    JOB_EVENT,
    AgentToken,
    ClaimRequest,
    DeviceJob,
    RegistrationReply,
    RegistrationRequest,
    Report,
    ReportReceipt,
    Routes,
    TokenRequest,
)
from keystead_contracts.attestation import AttestationResult, ChallengeAnswer
from keystead_contracts.base import Message, TraceId
from keystead_contracts.problems import Problem

M = TypeVar("M", bound=BaseModel)
Guard = Callable[[], AbstractContextManager[None]]
"""Makes a context for a blocking wait."""

WHOLE_ANSWER_LIMIT = 120.0
LONGEST_ANSWER = 1 << 18
"""Octets. An answer is some hundreds; a server that sends more wants this computer's memory."""
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


class _Unfit(ValueError):
    """An answer that no Keystead server sends: too long, too slow, or compressed without having been asked for it."""


class UnknownJob(Message):
    """A job that this agent is too old to understand."""

    job_id: str
    order_id: str = ""
    trace_id: TraceId


@dataclass(frozen=True)
class JobEvent:
    """A job and the id of its event, which a reconnection names."""

    event_id: str
    job: DeviceJob | UnknownJob


class ServerClient:
    """A connection pool to the server at `origin` (https, or http on this machine: see `settings.origin_of`)."""

    def __init__(self, origin: str, ca_file: Path | None = None, transport: httpx.BaseTransport | None = None) -> None:
        self.origin = origin
        self._ca_file = ca_file
        self._http = httpx.Client(
            base_url=origin,
            headers=HEADERS,
            verify=tls(ca_file) if origin.startswith("https:") else False,
            timeout=httpx.Timeout(ANSWER_LIMIT, connect=CONNECT_LIMIT),
            follow_redirects=False,
            trust_env=through_proxy(origin),
            transport=transport,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> ServerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def redeem(self, request: ClaimRequest) -> AgentToken:
        """Opens a claim; the same claim with the same secret may be opened again."""
        return self._post(Routes.CLAIMS, request, AgentToken)

    def register(self, request: RegistrationRequest) -> RegistrationReply:
        """Registers this machine; the same device key gets the same id again."""
        return self._post(Routes.DEVICES, request, RegistrationReply)

    def attest(self, answer: ChallengeAnswer) -> AttestationResult:
        """Answers the challenge that came with a registration."""
        return self._post(Routes.ATTESTATION, answer, AttestationResult)

    def device_token(self, request: TokenRequest) -> AgentToken:
        """Exchanges a signed assertion for a token."""
        return self._post(Routes.TOKEN, request, AgentToken)

    def report(self, token: AgentToken, report: Report, trace_id: str) -> ReportReceipt:
        """Posts the answer to a job; the same answer again is accepted again."""
        path = Routes.REPORT.format(job_id=quote(report.job_id, safe=""))
        headers = {"Authorization": f"Bearer {token.access_token}", "traceparent": traceparent(trace_id)}
        return self._post(path, report, ReportReceipt, headers)

    def check(self) -> datetime | None:
        """Asks the server for anything at all. The server's time, if it says it."""
        with _reachable(self.origin), self._http.stream("GET", "/") as answer:
            if answer.status_code >= 500:
                raise _unreachable(_read(answer), self.origin)
            return http_date(answer.headers.get("Date", ""))

    def jobs_request(self, token: AgentToken | None, last_id: str) -> StreamRequest:
        """The request for the stream of jobs."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if token:
            headers["Authorization"] = f"Bearer {token.access_token}"
        if last_id:
            headers["Last-Event-ID"] = last_id
        return StreamRequest(self.origin, Routes.JOBS, JOB_EVENT, headers, self._ca_file)

    @contextmanager
    def jobs(
        self, token: AgentToken, last_id: str, waiting: Guard, retry: Callable[[float], None] = lambda _seconds: None
    ) -> Iterator[Iterator[JobEvent]]:
        """The open stream of jobs. It ends when the server closes it; `waiting` surrounds every blocking wait, `retry`
        gets the seconds within which the server wants its agents back."""
        wanted = self.jobs_request(token, last_id)
        limits = httpx.Timeout(SILENCE_LIMIT, connect=CONNECT_LIMIT)
        request = self._http.build_request("GET", wanted.path, headers=wanted.headers, timeout=limits)
        with _reachable(self.origin), waiting():
            response = self._http.send(request, stream=True)
        try:
            if response.status_code != 200:
                with _reachable(self.origin), waiting():
                    whole = _read(response)
                raise _refusal(whole, self.origin)
            yield self._read_jobs(response, last_id, waiting, retry)
        finally:
            response.close()

    def _read_jobs(
        self, response: httpx.Response, last_id: str, waiting: Guard, retry: Callable[[float], None]
    ) -> Iterator[JobEvent]:
        with _reachable(self.origin):
            _require_plain(response)
            for event in events(_guarded(response.iter_bytes(), waiting), last_id, retry):
                if event.name == JOB_EVENT:
                    yield JobEvent(event.last_id, self._read_job(event.data))

    def _read_job(self, data: str) -> DeviceJob | UnknownJob:
        try:
            return DeviceJob.model_validate_json(data)
        except ValidationError:
            return _parsed(UnknownJob, data, self.origin)

    def _post(self, path: str, message: BaseModel, answer: type[M], headers: dict[str, str] | None = None) -> M:
        content = message.model_dump_json().encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        with _reachable(self.origin), self._http.stream("POST", path, content=content, headers=headers) as answering:
            response = _read(answering)
        if response.status_code not in (200, 201):
            raise _refusal(response, self.origin)
        return _parsed(answer, response.text, self.origin)


def traceparent(trace_id: str) -> str:
    """A W3C Trace Context header for a request that belongs to `trace_id`."""
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"


def _guarded(chunks: Iterator[bytes], waiting: Guard) -> Iterator[bytes]:
    while True:
        with waiting():
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


def _read(response: httpx.Response) -> httpx.Response:
    """The answer, read whole. Raises _Unfit."""
    _require_plain(response)
    content, until = b"", time.monotonic() + WHOLE_ANSWER_LIMIT
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > LONGEST_ANSWER:
            raise _Unfit("it answers too much")
        if time.monotonic() > until:
            raise _Unfit("it answers too slowly")
    return httpx.Response(response.status_code, headers=response.headers, content=content)


def _require_plain(response: httpx.Response) -> None:
    """Raises _Unfit if the answer is compressed: a few octets could become gigabytes."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _Unfit("its answer is compressed, which was not asked for")


@contextmanager
def _reachable(origin: str) -> Iterator[None]:
    try:
        yield
    except (httpx.TransportError, EventTooLong, _Unfit) as error:
        words = _ERRNO.sub("", str(error)) or type(error).__name__
        if _is_untrusted(error):
            raise ServerUnreachable(
                f"{origin} shows a TLS certificate that this computer does not trust: {words}",
                "Check the address and this computer's clock; a private CA is named by the setting ca_file.",
            ) from error
        raise ServerUnreachable(
            f"{origin} cannot be reached: {words}", "Check the network and the server's address."
        ) from error


def _is_untrusted(error: BaseException | None) -> bool:
    """Whether a TLS certificate is behind `error`."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _parsed(kind: type[M], text: str, origin: str) -> M:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise ServerUnreachable(
            f"{origin} sent a {kind.__name__} that this agent does not understand "
            f"({'.'.join(str(part) for part in first['loc'])}: {first['msg']})",
            "Update the agent.",
        ) from error


def _refusal(response: httpx.Response, origin: str) -> ServerRefused | ServerUnreachable:
    status = response.status_code
    if is_for_later(status):
        return _unreachable(response, origin)
    problem = _problem(response)
    if problem is None:
        return ServerRefused(
            f"{origin} answered {status}",
            "Check that the address is that of a Keystead server.",
            status=status,
        )
    detail = problem.detail or problem.title
    if problem.reference:
        detail += f" (reference {problem.reference})"
    return ServerRefused(detail, problem.advice, status=status, problem=problem.code)


def _unreachable(response: httpx.Response, origin: str) -> ServerUnreachable:
    problem = _problem(response)
    said = f": {problem.detail or problem.title}" if problem else ""
    return ServerUnreachable(
        f"{origin} answered {response.status_code}{said}",
        (problem.advice if problem else "") or "Try again later.",
        retry_after=retry_after(response.headers.get("Retry-After", "")),
    )


def _problem(response: httpx.Response) -> Problem | None:
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return None
