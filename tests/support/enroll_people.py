"""People's browsers and their agents, at the door of a test's enroll."""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.enroll_setup import ADA, LICENCE, PAGE

from keystead_contracts.agent import (
    ClaimRequest,
    CsrReady,
    DeviceJob,
    EnrollLink,
    Install,
    Installed,
    KeyProvider,
    MachineInfo,
    MakeKeyAndCsr,
    Report,
    Routes,
    SoftwareEvidence,
    probe_input,
)

if TYPE_CHECKING:
    from tests.support.enroll_app import EnrollApp


@dataclass
class Browser:
    """A person's browser at one form."""

    app: EnrollApp
    client: httpx.Client
    uri: str
    form_token: str = ""

    def sign_in(self, identity: str) -> httpx.Response:
        """Arrives from auth with an identity cookie, as a browser would carry it."""
        return self.client.get(f"/e/{self.uri}", headers={**PAGE, "cookie": f"keystead_identity={identity}"})

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        """A page below the form's address. Remembers the form token that it holds."""
        response = self.client.get(f"/e/{self.uri}{path}", headers=PAGE | headers)
        found = re.search(r'name="form_token" value="([^"]+)"', response.text)
        self.form_token = found[1] if found else self.form_token
        return response

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Sends a form from our own page."""
        data = {"form_token": self.form_token} | fields
        return self.client.post(f"/e/{self.uri}{path}", data=data, headers=PAGE | {"origin": self.app.origin})

    def mistakes(self, response: httpx.Response) -> str:
        """The page to which a form with mistakes leads back. Fails if the form was taken."""
        assert response.status_code == 303, response.text
        assert "?draft=" in response.headers["location"], response.headers["location"]
        return self.client.get(response.headers["location"], headers=PAGE).text

    def request(self, profile: str = "Person", /, **fields: str) -> httpx.Response:
        """Fills in and sends the request form."""
        if not self.form_token:
            self.get("/request")
        terms = {"Server": "90"}
        answers = {
            "profile": self.app.profile(profile),
            "key_algorithm": "ec-p256",
            "term_days": terms.get(profile, "365"),
            "target": "link",
            "licence": "on",
            "licence_version": LICENCE,
        }
        return self.post("/request", **(answers | fields))

    def order(self, profile: str = "Person", /, **fields: str) -> str:
        """Requests a certificate; the order's id."""
        response = self.request(profile, **fields)
        assert response.status_code == 303, response.text
        return response.headers["location"].rsplit("/", 1)[1]

    def link(self, order_id: str) -> EnrollLink:
        """The enrollment link on the request's page."""
        found = re.search(r"keystead://[^\"'<\s]+", self.get(f"/orders/{order_id}").text)
        assert found, "the page shows no link"
        return EnrollLink.parse(html.unescape(found[0]))


MACHINE = MachineInfo(hostname="laptop", platform="linux", agent_version="1.0", key_provider=KeyProvider.SOFTWARE)


@dataclass
class Agent:
    """An agent with a software key."""

    app: EnrollApp
    client: httpx.Client
    secret: str = field(default_factory=lambda: secrets.token_hex(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    token: str = ""

    def redeem(self, claim: str, secret: str | None = None) -> httpx.Response:
        """Shows a claim; keeps the token if it gets one."""
        body = ClaimRequest(claim=claim, agent_secret=secret or self.secret, machine=MACHINE)
        response = self.client.post(Routes.CLAIMS, json=body.model_dump(mode="json"))
        if response.status_code == 200:
            self.token = response.json()["access_token"]
        return response

    @property
    def headers(self) -> dict[str, str]:
        """The bearer token."""
        return {"authorization": f"Bearer {self.token}"}

    @property
    def recipient(self) -> str:
        """Whose jobs the token is for."""
        payload = self.token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])

    def jobs(self) -> list[DeviceJob]:
        """What the stream would send now."""
        with self.app.enroll.transactions.read() as tx:
            return [job.to_wire() for job in tx.open_jobs(self.recipient)]

    def csr(self, job: DeviceJob, key: Any = None, subject: x509.Name | None = None) -> str:
        """A request for the job's subject."""
        assert isinstance(job.payload, MakeKeyAndCsr)
        name = subject or x509.Name.from_rfc4514_string(job.payload.subject)
        signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key or self.key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM).decode()

    def csr_report(self, job: DeviceJob, **changes: Any) -> Report:
        """The report that the key was made."""
        body = CsrReady(**({"csr_pem": self.csr(job), "evidence": SoftwareEvidence()} | changes))
        return Report(job_id=job.job_id, body=body)

    def installed_report(self, job: DeviceJob, **changes: Any) -> Report:
        """The report that certificate and key work together."""
        assert isinstance(job.payload, Install)
        probe = self.key.sign(probe_input(base64.b64decode(job.payload.probe)), ec.ECDSA(hashes.SHA256()))
        values = {"location": "/x", "provider": "software", "probe_signature": base64.b64encode(probe).decode()}
        return Report(job_id=job.job_id, body=Installed(**(values | changes)))

    def report(self, report: Report, **headers: str) -> httpx.Response:
        """Sends a report."""
        return self.client.post(
            Routes.REPORT.format(job_id=report.job_id),
            json=report.model_dump(mode="json"),
            headers=self.headers | headers,
        )

    @contextmanager
    def stream(self, **headers: str) -> Iterator[Iterator[str]]:
        """The job stream's lines, from a `served` app."""
        with self.client.stream("GET", Routes.JOBS, headers=self.headers | headers) as response:
            assert response.status_code == 200, response.read()
            yield response.iter_lines()


def next_job(lines: Iterator[str]) -> DeviceJob:
    """The next job event of a stream."""
    for line in lines:
        if line.startswith("data:"):
            return DeviceJob.model_validate_json(line[5:])
    raise AssertionError("the stream ended without a job")


def started(app: EnrollApp, form: str = "Staff", email: str = ADA) -> tuple[Browser, str, Agent, DeviceJob]:
    """A person's order with an agent that has redeemed its link and knows its first job."""
    browser = app.browser(form, email)
    order_id = browser.order()
    agent = app.agent()
    assert agent.redeem(browser.link(order_id).claim).status_code == 200
    return browser, order_id, agent, agent.jobs()[0]


def issued(app: EnrollApp, email: str = ADA) -> tuple[Browser, str, Agent, DeviceJob]:
    """The same after the certificate was issued; the job is to install it."""
    browser, order_id, agent, job = started(app, email=email)
    assert agent.report(agent.csr_report(job)).status_code == 200
    assert app.work() == 1
    return browser, order_id, agent, agent.jobs()[0]


def public_pem(key: Any) -> str:
    """A key pair's public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def problem_code(response: httpx.Response) -> str:
    """The code of a problem document."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return str(response.json()["type"].rsplit(":", 1)[1])
