"""A whole enroll on real databases and a real Redis, with a browser and an agent that use it as people do."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml
from alembic import command
from alembic.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import inspect, select
from tests.support.servers import free_port, wait_until

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
)
from keystead_contracts.identity import IdentityClaims
from keystead_enroll.adapters import tables
from keystead_enroll.adapters.builtin_ca import BuiltinCa, CaFolder
from keystead_enroll.adapters.pkilint_linter import PkilintLinter
from keystead_enroll.bootstrap import MIGRATIONS, Enroll, build
from keystead_enroll.domain.declaration import Declaration
from keystead_enroll.domain.orders import Order
from keystead_enroll.settings import EnrollSettings
from keystead_enroll.usecases.apply.work import Applied
from keystead_enroll.usecases.apply_declaration import apply_declaration
from keystead_enroll.usecases.create_ca import CaNames, create_ca
from keystead_enroll.web.app import create_app
from keystead_kit.secrets import TokenSigner, write_signing_key
from keystead_kit.settings import Mode

ORIGIN = "http://enroll.test:7800"
ADA, BOB = "ada@example.org", "bob@example.org"
CODE = "RAD2026"
REGISTRATION_TOKEN = "0123456789abcdef"
LICENCE = "2026-11"
COOKIE_KEY, ACCESS_CODE_KEY = "8f1c0be4a7d259636eb07c1f5a2d94e8", "c7a1e05b3f9d48268b0c6e1d7f3a9254"
PAGE = {"accept": "text/html"}

SETUP = yaml.safe_load(
    """
organizations:
  - {name: Example Hospital, email_domains: [example.org], dns_domains: [example.org], departments: [Radiology]}
licence: {version: "2026-11", text: "Be good."}
profiles:
  - name: Person
    type: client
    key_algorithms: [ec-p256, rsa-2048]
    term_days: [365, 30]
    subject: "CN={name|email}, OU={department}, O={organization}"
    subject_alternative_names: ["email:{email}"]
    minimum_assurance: software
  - name: Person in TPM
    type: client
    key_algorithms: [ec-p256]
    term_days: [365]
    subject: "CN={name|email}, O={organization}"
    subject_alternative_names: ["email:{email}"]
  - name: Machine
    type: device
    key_algorithms: [ec-p256]
    term_days: [365]
    subject: "CN={device_name}, O={organization}"
    subject_alternative_names: ["dns:{fqdn}"]
    minimum_assurance: software
    device_name_pattern: "[a-z0-9.-]+"
  - name: Server
    type: ssl
    key_algorithms: [ec-p256]
    term_days: [90]
    subject: "CN={fqdn}"
    subject_alternative_names: ["dns:{fqdn}"]
    minimum_assurance: software
forms:
  - name: Staff
    type: client
    accounts:
      - {name: Staff, organization: Example Hospital, department: Radiology, profiles: [Person, Person in TPM]}
  - name: Coded
    type: client
    accounts:
      - name: Radiology staff
        organization: Example Hospital
        department: Radiology
        profiles: [Person]
        authorization: access_code
        access_code: RAD2026
  - name: Approved
    type: client
    accounts:
      - name: Careful
        organization: Example Hospital
        department: Radiology
        profiles: [Person]
        automatic_approval: false
  - name: Two doors
    type: client
    accounts:
      - {name: Front door, organization: Example Hospital, department: Radiology, profiles: [Person]}
      - {name: Back door, organization: Example Hospital, department: Radiology, profiles: [Person]}
  - {name: Machines, type: device, accounts: [{name: Machines, organization: Example Hospital, profiles: [Machine]}]}
  - {name: Servers, type: ssl, accounts: [{name: Servers, organization: Example Hospital, profiles: [Server]}]}
registration_tokens:
  - {name: staff machines, token: 0123456789abcdef, organization: Example Hospital, owner: ada@example.org}
"""
)


class ShiftedClock:
    """The system's clock plus what a test adds: bearer tokens stay valid while orders and links grow old."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        """The shifted time, aware, in UTC."""
        return datetime.now(UTC) + self.shift


@dataclass(frozen=True)
class Files:
    """Keys and the CA, made once a test process."""

    folder: tempfile.TemporaryDirectory[str]
    ca_folder: Path
    identity_key: Path
    identity_public: Path
    token_key: Path
    linter: PkilintLinter


@cache
def files() -> Files:
    """The keys and the CA of every enroll in this process."""
    folder = tempfile.TemporaryDirectory(prefix="keystead-enroll-")
    root = Path(folder.name)
    linter = PkilintLinter()
    linter.warm_up()
    create_ca(
        CaNames("Example", "Example Root CA", "Example Issuing CA"),
        now=datetime.now(UTC),
        random_bytes=os.urandom,
        lint=linter.lint,
        store=CaFolder(root / "ca"),
    )
    write_signing_key(root / "auth.pem", root / "auth.pub.pem")
    write_signing_key(root / "enroll.pem", root / "enroll.pub.pem")
    return Files(folder, root / "ca", root / "auth.pem", root / "auth.pub.pem", root / "enroll.pem", linter)


def settings(database_url: str, redis_url: str, **changes: Any) -> EnrollSettings:
    """Settings of an enroll on these servers."""
    made = files()
    values: dict[str, Any] = {
        "mode": Mode.DEVELOPMENT,
        "public_origin": ORIGIN,
        "database_url": database_url,
        "redis_url": redis_url,
        "identity_key_file": made.identity_public,
        "token_key_file": made.token_key,
        "cookie_key": COOKIE_KEY,
        "access_code_key": ACCESS_CODE_KEY,
        "ca_folder": made.ca_folder,
        "claim_limit_address": "1000/minute",
        "open_orders_limit": 1000,
    }
    return EnrollSettings(**(values | changes))


class EnrollApp:
    """One enroll: its parts, its web application, its worker's duty, and people at its door."""

    def __init__(self, enroll: Enroll, clock: ShiftedClock) -> None:
        self.enroll, self.clock = enroll, clock
        self.linter = enroll.linter = files().linter
        self.ca: BuiltinCa = enroll.open_ca()
        self.auth = TokenSigner.from_file(files().identity_key)
        self.web: FastAPI = create_app(enroll)
        self.origin = enroll.settings.public_origin
        tables.metadata.create_all(enroll.database.engine)
        self.uris = self.apply(SETUP)

    def apply(self, declaration: dict[str, Any]) -> dict[str, str]:
        """Declares more; form name → URI extension."""
        return self.applied(declaration).forms

    def applied(self, declaration: dict[str, Any], *, check: bool = False) -> Applied:
        """The same; all that was done."""
        enroll = self.enroll
        return apply_declaration(
            enroll.transactions,
            enroll.clock,
            enroll.secrets,
            self.linter,
            Declaration.model_validate(declaration),
            check=check,
        )

    def client(self) -> TestClient:
        """A fresh HTTP client without cookies that follows nothing by itself."""
        return TestClient(self.web, base_url=self.origin, follow_redirects=False)

    def identity(self, form: str = "Staff", email: str = ADA, **changes: Any) -> str:
        """What auth says of a person who signed in for `form`."""
        return self.auth.sign(self.identity_claims(form, email) | changes)

    def identity_claims(self, form: str = "Staff", email: str = ADA) -> dict[str, Any]:
        """The claims of `identity`."""
        now = int(time.time())
        return IdentityClaims(
            sub=email, jti=secrets.token_hex(16), iat=now, exp=now + 120, form=self.uris[form], method="email"
        ).model_dump(mode="json")

    def browser(self, form: str = "Staff", email: str = ADA, client: httpx.Client | None = None) -> Browser:
        """A browser whose person has signed in for `form`."""
        browser = Browser(self, client or self.client(), self.uris[form])
        browser.sign_in(self.identity(form, email))
        return browser

    def agent(self, client: httpx.Client | None = None) -> Agent:
        """An agent that has redeemed nothing yet."""
        return Agent(self, client or self.client())

    def work(self) -> int:
        """What the worker does: issues until nothing is left; how many orders that was."""
        done = 0
        while found := self.enroll.issue(self.ca, self.linter):
            done += found
        return done

    def order(self, order_id: str) -> Order:
        """The stored order."""
        with self.enroll.transactions.read() as tx:
            order = tx.order(order_id)
            assert order is not None
            list(order.log)
            return order

    def certificates(self) -> list[Any]:
        """Every stored certificate's row."""
        with self.enroll.database.read() as session:
            return list(session.execute(select(tables.certificates)).all())

    def facts(self, kind: str) -> list[dict[str, Any]]:
        """What was told to other services."""
        with self.enroll.database.read() as session:
            found = session.execute(select(tables.outbox.table.c.fact)).scalars().all()
        return [fact for fact in found if fact["type"] == kind]

    def profile(self, name: str) -> str:
        """A profile's id."""
        with self.enroll.transactions.read() as tx:
            return next(p.id for p in tx.profiles() if p.name == name)


@contextmanager
def enroll_app(database_url: str, redis_url: str, **changes: Any) -> Iterator[EnrollApp]:
    """A set-up enroll on an empty database."""
    clock = ShiftedClock()
    enroll = build(settings(database_url, redis_url, **changes), clock)
    try:
        yield EnrollApp(enroll, clock)
    finally:
        enroll.close()


@contextmanager
def served(database_url: str, redis_url: str, **changes: Any) -> Iterator[EnrollApp]:
    """The same behind a real HTTP server on 127.0.0.1, for streams: `origin` is where it listens."""
    port = free_port()
    with enroll_app(database_url, redis_url, public_origin=f"http://127.0.0.1:{port}", **changes) as app:
        server = uvicorn.Server(
            uvicorn.Config(app.web, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the web server")
        try:
            yield app
        finally:
            app.web.state.end_streams()
            server.should_exit = True
            thread.join(20)


def http(app: EnrollApp) -> httpx.Client:
    """A client for a `served` app. Streams may be silent for 30 s."""
    return httpx.Client(base_url=app.origin, timeout=30)


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
        probe = self.key.sign(base64.b64decode(job.payload.probe), ec.ECDSA(hashes.SHA256()))
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


def migrate(app: EnrollApp, step: Callable[[Config, str], None], revision: str) -> None:
    """Takes the schema of the tests' database, made from the models, up or down to `revision`."""
    with app.enroll.database.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes.update(connection=connection, target_metadata=tables.metadata)
        if "alembic_version" not in inspect(connection).get_table_names():
            command.stamp(config, "head")
        step(config, revision)
