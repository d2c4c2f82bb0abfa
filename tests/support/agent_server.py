"""A small server that speaks the agent's side of the contract, with a real CA: for tests of the agent alone."""

from __future__ import annotations

import asyncio
import base64
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from keystead_agent.signatures import verify
from keystead_contracts.agent import (
    AgentToken,
    ClaimRequest,
    CsrReady,
    DeviceJob,
    EnrollLink,
    Failed,
    Install,
    Installed,
    JobPayload,
    MakeKeyAndCsr,
    RegistrationReply,
    RegistrationRequest,
    Remove,
    Report,
    ReportReceipt,
    Routes,
    TokenRequest,
    probe_input,
    registration_proof_input,
)
from keystead_contracts.base import CertificateScope, CertificateType, KeyAlgorithm
from keystead_contracts.problems import PROBLEM_MEDIA_TYPE, Problem, ProblemCode


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certify(subject: str, key: Any, issuer: str, issuer_key: Any, *, ca: bool, days: int = 30) -> x509.Certificate:
    """A certificate for public `key`."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


class Ca:
    """A root and an issuing CA."""

    def __init__(self) -> None:
        root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = certify("Test Root", root_key.public_key(), "Test Root", root_key, ca=True)
        self.issuing = certify("Test Issuing", self._key.public_key(), "Test Root", root_key, ca=True)

    def issue(self, public_key: Any, subject: str = "alice") -> x509.Certificate:
        """An end-entity certificate."""
        return certify(subject, public_key, "Test Issuing", self._key, ca=False)


def pem(certificate: x509.Certificate) -> str:
    """PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Order:
    """One order and what the agent did for it."""

    order_id: str
    recipient: str
    state: str = "offered"
    certificate_type: CertificateType = CertificateType.CLIENT
    scope: CertificateScope | None = None
    keys: set[bytes] = field(default_factory=set)
    certificates: list[x509.Certificate] = field(default_factory=list)
    probe: bytes = b""
    failure: Failed | None = None


class AgentServer:
    """Serves on a free port of 127.0.0.1 in a thread; `stop` and `start` may alternate on the same port."""

    def __init__(self) -> None:
        self.ca = Ca()
        self.orders: dict[str, Order] = {}
        self.jobs: list[tuple[str, DeviceJob]] = []
        self.reports: dict[str, Report] = {}
        self.claims: dict[str, tuple[str, str | None]] = {}
        self.devices: dict[str, Any] = {}
        self.traceparents: list[str] = []
        self.streams_opened = 0
        self.tokens_given = 0
        self.token_life = 600
        self.failing_reports = 0
        self.lost_answers = 0
        self.lose_answers_after: int | None = None
        self.refused_jobs: set[str] = set()
        self.ends_before_installation = False
        self.reports_seen = 0
        self.registration_token = "registration-token"
        self._epoch = 0
        self._tokens: dict[str, str] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.origin = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    # What a test does

    def start(self) -> None:
        """Serves until `stop`."""
        config = uvicorn.Config(
            self._app(), host="127.0.0.1", port=self.port, log_level="critical", timeout_graceful_shutdown=0
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline:
                raise RuntimeError("the test's server does not start")
            time.sleep(0.005)

    def stop(self) -> None:
        """Closes every connection and the port."""
        self.drop_streams()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(10)
        self._server = self._thread = None

    def drop_streams(self) -> None:
        """Closes the open streams."""
        self._epoch += 1

    def forget_tokens(self) -> None:
        """Answers 401 to every token given so far."""
        self._tokens.clear()

    def new_order(
        self,
        algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256,
        *,
        recipient: str | None = None,
        allow_software_key: bool = False,
        certificate_type: CertificateType = CertificateType.CLIENT,
        scope: CertificateScope | None = None,
        renews: Order | None = None,
    ) -> tuple[Order, str]:
        """An order that waits for an agent, and its link; for device `recipient` the link is empty. The certificate of
        the order that it `renews` is the one whose place its own takes."""
        link = ""
        if recipient is None:
            claim = secrets.token_urlsafe(24)
            recipient = f"claim-{claim[:8]}"
            self.claims[claim] = (recipient, None)
            computers = scope is CertificateScope.MACHINE or certificate_type is CertificateType.DEVICE
            said = "machine" if computers else "user"
            link = str(EnrollLink.model_validate({"server": self.origin, "claim": claim, "scope": said}))
        order_id = f"order-{len(self.orders) + 1}"
        order = Order(order_id=order_id, recipient=recipient, certificate_type=certificate_type, scope=scope)
        self.orders[order.order_id] = order
        wish = MakeKeyAndCsr(
            key_algorithm=algorithm,
            subject="CN=alice",
            certificate_type=certificate_type,
            allow_software_key=allow_software_key,
            supersedes=renews.certificates[-1].fingerprint(hashes.SHA256()).hex() if renews else "",
            scope=scope,
        )
        self.add_job(order, wish)
        return order, link

    def wait_for(self, order: Order, state: str, seconds: float = 30.0) -> None:
        """Waits until `order` is in `state`. Raises TimeoutError that says where it is instead."""
        deadline = time.monotonic() + seconds
        while order.state != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{order.order_id} is {order.state}, not {state}")
            time.sleep(0.005)

    def wait_for_stream(self, number: int, seconds: float = 30.0) -> None:
        """Waits until that many streams were opened. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.streams_opened < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.streams_opened} streams were opened, not {number}")
            time.sleep(0.002)

    def add_job(self, order: Order, payload: JobPayload) -> DeviceJob:
        """Sends the order's recipient something to do."""
        job = DeviceJob(
            job_id=f"job-{len(self.jobs) + 1}",
            sequence=len(self.jobs) + 1,
            order_id=order.order_id,
            trace_id=secrets.token_hex(16),
            created_at=datetime.now(UTC),
            payload=payload,
        )
        self.jobs.append((order.recipient, job))
        return job

    def parcel(self, order: Order, certificate: x509.Certificate) -> Install:
        """An install job for `certificate`."""
        order.probe = secrets.token_bytes(32)
        return Install(
            certificate_pem=pem(certificate),
            chain_pem=[pem(self.ca.issuing)],
            root_pem=pem(self.ca.root),
            certificate_type=order.certificate_type,
            probe=base64.b64encode(order.probe).decode(),
            scope=order.scope,
        )

    # What the agent sees

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.post(Routes.CLAIMS)(self._redeem)
        app.post(Routes.DEVICES)(self._register)
        app.post(Routes.TOKEN)(self._token)
        app.get(Routes.JOBS)(self._stream)
        app.post(Routes.REPORT)(self._report)
        return app

    async def _redeem(self, request: Request) -> Response:
        asked = ClaimRequest.model_validate_json(await request.body())
        recipient, secret = self.claims.get(asked.claim, ("", None))
        if not recipient or secret not in (None, asked.agent_secret):
            return _problem(403, ProblemCode.CLAIM_INVALID, "this link was used already or is too old")
        self.claims[asked.claim] = (recipient, asked.agent_secret)
        return _json(self._new_token(recipient))

    async def _register(self, request: Request) -> Response:
        asked = RegistrationRequest.model_validate_json(await request.body())
        if asked.registration_token != self.registration_token:
            return _problem(403, ProblemCode.REGISTRATION_REFUSED, "the registration token is wrong")
        key: Any = serialization.load_pem_public_key(asked.public_key_pem.encode())
        verify(
            key,
            base64.b64decode(asked.proof),
            registration_proof_input(self.origin, asked.registration_token),
        )
        for device_id, known in self.devices.items():
            if known == key:
                return _json(RegistrationReply(device_id=device_id, organization="Example"))
        device_id = f"device-{len(self.devices) + 1}"
        self.devices[device_id] = key
        return _json(RegistrationReply(device_id=device_id, organization="Example"))

    async def _token(self, request: Request) -> Response:
        asked = TokenRequest.model_validate_json(await request.body())
        device_id = jwt.decode(asked.assertion, options={"verify_signature": False})["sub"]
        claims = jwt.decode(
            asked.assertion, self.devices[device_id], algorithms=["ES256", "RS256"], audience=self.origin
        )
        assert claims["iss"] == device_id
        assert claims["exp"] - claims["iat"] <= 60
        return _json(self._new_token(device_id))

    def _new_token(self, recipient: str) -> AgentToken:
        token = secrets.token_urlsafe(16)
        self._tokens[token] = recipient
        self.tokens_given += 1
        return AgentToken(access_token=token, expires_in=self.token_life, recipient=recipient)

    def _recipient(self, request: Request) -> str | None:
        return self._tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))

    async def _stream(self, request: Request) -> Response:
        recipient = self._recipient(request)
        if recipient is None:
            return _problem(401, ProblemCode.UNAUTHENTICATED, "the token is not valid")
        self.streams_opened += 1
        return StreamingResponse(self._events(recipient, self._epoch), media_type="text/event-stream")

    async def _events(self, recipient: str, epoch: int) -> AsyncIterator[str]:
        sent: set[str] = set()
        yield ": welcome\n\n"
        while epoch == self._epoch:
            for whose, job in list(self.jobs):
                if whose == recipient and job.job_id not in sent and job.job_id not in self.reports:
                    sent.add(job.job_id)
                    yield f"event: job\nid: {job.sequence}\ndata: {job.model_dump_json()}\n\n"
            await asyncio.sleep(0.01)

    async def _report(self, job_id: str, request: Request) -> Response:
        recipient = self._recipient(request)
        if recipient is None:
            return _problem(401, ProblemCode.UNAUTHENTICATED, "the token is not valid")
        if self.failing_reports > 0:
            self.failing_reports -= 1
            return Response(status_code=503, headers={"Retry-After": "0"})
        report = Report.model_validate_json(await request.body())
        job = next((job for whose, job in self.jobs if whose == recipient and job.job_id == job_id), None)
        if job is None:
            return _problem(404, ProblemCode.JOB_NOT_YOURS, "no such job")
        self.reports_seen += 1
        if job_id in self.refused_jobs:
            return _problem(422, ProblemCode.REPORT_REFUSED, "refused by the test")
        self.traceparents.append(request.headers.get("traceparent", ""))
        order = self.orders[job.order_id]
        if job_id in self.reports:
            if self.reports[job_id] != report:
                return _problem(409, ProblemCode.JOB_ALREADY_REPORTED, "the job has another report")
            if self._loses():
                return Response(status_code=502)
            return _json(ReportReceipt(order_state=order.state))
        refused = self._judge(order, job, report)
        if refused is not None:
            return refused
        self.reports[job_id] = report
        if self.lost_answers > 0 or self._loses():
            self.lost_answers = max(0, self.lost_answers - 1)
            return Response(status_code=502)
        return _json(ReportReceipt(order_state=order.state))

    def _loses(self) -> bool:
        return self.lose_answers_after is not None and len(self.reports) > self.lose_answers_after

    def _judge(self, order: Order, job: DeviceJob, report: Report) -> Response | None:
        match report.body:
            case CsrReady(csr_pem=text):
                csr = x509.load_pem_x509_csr(text.encode())
                if not csr.is_signature_valid:
                    return _problem(422, ProblemCode.CSR_REFUSED, "the request's signature is wrong")
                key: Any = csr.public_key()
                order.keys.add(key.public_bytes(*_DER))
                order.certificates.append(self.ca.issue(key))
                order.state = "issued"
                self.add_job(order, self.parcel(order, order.certificates[-1]))
            case Installed() if self.ends_before_installation:
                order.state = "cancelled"
                self.add_job(order, WITHDRAW)
            case Installed(probe_signature=signature):
                signed_with: Any = order.certificates[-1].public_key()
                verify(signed_with, base64.b64decode(signature), probe_input(order.probe))
                order.state = "installed"
            case Failed() as failure:
                order.state, order.failure = "failed", failure
            case _:
                order.state = "cancelled"
        return None


_DER = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
WITHDRAW = Remove(reason="cancelled")


def _json(message: Any) -> Response:
    return JSONResponse(message.model_dump(mode="json"))


def _problem(status: int, code: ProblemCode, detail: str) -> Response:
    problem = Problem(
        type=f"urn:keystead:problem:{code}", title=code.value, status=status, detail=detail, advice="Do it right."
    )
    return JSONResponse(problem.model_dump(), status, media_type=PROBLEM_MEDIA_TYPE)
