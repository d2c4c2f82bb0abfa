"""Attacks on the agent API: forged bearer tokens, other agents' jobs, bodies made to hurt."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.testclient import TestClient
from sqlalchemy import select
from tests.integration.test_enroll_devices import Registered, assertion, register, registration, signed_in
from tests.support.enroll_app import MACHINE, Agent, EnrollApp, enroll_app, files, problem_code, started
from tests.support.forged import forged_tokens

from keystead_contracts.agent import AGENT_TOKEN_AUDIENCE, Routes
from keystead_enroll.adapters import tables
from keystead_enroll.adapters.keyed_secrets import AGENT_TOKEN_ISSUER
from keystead_kit.secrets import TokenSigner

JSON = {"content-type": "application/json"}


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url) as app:
        yield app


def claims(subject: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": AGENT_TOKEN_ISSUER, "aud": AGENT_TOKEN_AUDIENCE, "sub": subject, "iat": now, "exp": now + 60}
    return good | changes


def test_no_forged_bearer_token_reports_or_listens(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    report = agent.csr_report(job)
    ours = TokenSigner.from_file(files().token_key)
    public = files().token_key.with_name("enroll.pub.pem").read_bytes()
    tokens = list(forged_tokens(agent.token, public).values())
    tokens += [
        TokenSigner(ec.generate_private_key(ec.SECP256R1())).sign(claims(agent.recipient)),
        app.auth.sign(claims(agent.recipient)),
        app.identity(),
        ours.sign(claims(agent.recipient, aud="keystead-enroll")),
        ours.sign(claims(agent.recipient, iss="keystead-auth")),
        ours.sign(claims(agent.recipient, exp=1)),
        "",
    ]
    for token in tokens:
        agent.token = token
        for response in (agent.report(report), agent.client.get(Routes.JOBS, headers=agent.headers)):
            assert (response.status_code, problem_code(response)) == (401, "unauthenticated")
    assert app.order(order_id).state == "offered"


def test_an_agent_token_opens_no_portal(app: EnrollApp) -> None:
    _, _, agent, _ = started(app)
    uri = app.uris["Staff"]
    for name in ("keystead_identity", "keystead_enroll_session"):
        client = app.client()
        client.get(f"/e/{uri}", headers={"cookie": f"{name}={agent.token}"})
        assert client.get(f"/e/{uri}/request", headers={"cookie": f"{name}={agent.token}"}).status_code == 401


BODIES: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"claim": "',
    "a list": b"[]",
    "null": b"null",
    "deep": b"[" * 60000,
    "a long number": b'{"claim": ' + b"9" * 60000 + b"}",
    "not UTF-8": b'{"claim": "\xff\xfe"}',
    "half a surrogate": b'{"claim": "' + b"\\ud800" * 16 + b'"}',
}


@pytest.mark.parametrize("what", BODIES)
@pytest.mark.parametrize("path", [Routes.CLAIMS, Routes.DEVICES, Routes.TOKEN])
def test_a_malformed_body_is_told_so(kept: TestClient, path: str, what: str) -> None:
    response = kept.post(path, content=BODIES[what], headers=JSON)
    assert response.status_code in (400, 422)
    assert problem_code(response) == "malformed"
    assert "Traceback" not in response.text


@pytest.mark.parametrize("path", [Routes.CLAIMS, Routes.DEVICES, Routes.TOKEN])
def test_an_oversized_body_is_told_so(kept: TestClient, path: str) -> None:
    response = kept.post(path, content=b"{" + b" " * 70000, headers=JSON)
    assert (response.status_code, problem_code(response)) == (413, "too-large")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, _redis: Any) -> Iterator[TestClient]:
    """A client of one enroll for all refusals: they leave nothing behind."""
    with enroll_app(f"sqlite:///{tmp_path_factory.mktemp('kept')}/test.db", _redis.url) as app:
        yield app.client()


def test_an_oversized_report_is_told_so_and_changes_nothing(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    address = Routes.REPORT.format(job_id=job.job_id)
    response = agent.client.post(address, content=b" " * 70000, headers=agent.headers | JSON)
    assert (response.status_code, problem_code(response)) == (413, "too-large")
    assert app.order(order_id).state == "offered"


@pytest.mark.parametrize("character", ["\0", "\x1b", "\r\n"])
def test_what_a_machine_calls_itself_cannot_break_storage_or_pages(app: EnrollApp, character: str) -> None:
    browser = app.browser()
    order_id = browser.order()
    machine = MACHINE.model_dump(mode="json") | {"hostname": f"<b>lap{character}top"}
    body = {"claim": browser.link(order_id).claim, "agent_secret": "a" * 64, "machine": machine}
    assert app.client().post(Routes.CLAIMS, content=json.dumps(body), headers=JSON).status_code == 200
    assert character not in app.order(order_id).machine
    assert "<b>lap" not in browser.get(f"/orders/{order_id}").text


def test_fields_that_nobody_asked_for_change_nothing(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    body = agent.csr_report(job).model_dump(mode="json")
    body |= {"order_id": "x", "state": "installed", "recipient": "device:1"}
    body["body"] |= {"assurance": "vendor", "level": "vendor", "subject": "CN=Root", "is_ca": True}
    body["body"]["evidence"] |= {"level": "vendor"}
    response = agent.client.post(Routes.REPORT.format(job_id=job.job_id), json=body, headers=agent.headers)
    assert response.json() == {"order_state": "csr_accepted"}
    assert app.order(order_id).assurance == "software"


@pytest.fixture
def strict(sqlite_url: str, redis_url: str) -> Iterator[EnrollApp]:
    """An enroll that lets an address be wrong three times a minute."""
    with enroll_app(sqlite_url, redis_url, claim_limit_address="3/minute") as app:
        yield app


def guesses(app: EnrollApp) -> dict[str, Callable[[TestClient], httpx.Response]]:
    """A wrong link, registration token and assertion."""
    unregistered = Registered("0" * 32, ec.generate_private_key(ec.SECP256R1()))
    wrong = registration(app, unregistered.key, registration_token="x" * 16)
    return {
        "link": lambda client: Agent(app, client).redeem("x" * 43),
        "registration token": lambda client: client.post(Routes.DEVICES, json=wrong),
        "assertion": lambda client: client.post(Routes.TOKEN, json={"assertion": assertion(app, unregistered)}),
    }


@pytest.mark.parametrize("what", ["link", "registration token", "assertion"])
def test_nothing_is_guessed_without_end(strict: EnrollApp, what: str) -> None:
    guess = guesses(strict)[what]
    answers = [guess(strict.client()) for _ in range(5)]
    assert [answer.status_code for answer in answers][3:] == [429, 429]
    assert {answer.status_code for answer in answers[:3]} <= {401, 403}
    assert 0 < int(answers[3].headers["retry-after"]) <= 61
    assert answers[3].json()["detail"] == "Too many wrong links, tokens or signatures came from this address."
    assert answers[3].json()["advice"].startswith("Wait 1 minute")


def test_a_guesser_is_one_address_in_the_whole_of_an_ipv6_network(strict: EnrollApp) -> None:
    def status(address: str) -> int:
        client = TestClient(strict.web, base_url=strict.origin, client=(address, 50000))
        return strict.agent(client).redeem("x" * 43).status_code

    assert [status(f"2001:db8:0:1::{n}") for n in range(1, 6)] == [403, 403, 403, 429, 429]
    assert status("2001:db8:0:2::1") == 403


def test_many_who_share_an_address_enroll_and_come_back_as_often_as_they_like(strict: EnrollApp) -> None:
    device = register(strict, strict.client())
    for _ in range(4):
        register(strict, strict.client())
        signed_in(strict, device, strict.client())
        browser = strict.browser()
        assert strict.agent().redeem(browser.link(browser.order()).claim).status_code == 200


def test_job_ids_that_cannot_be_are_not_found(app: EnrollApp) -> None:
    _, _, agent, job = started(app)
    body = agent.csr_report(job).model_dump(mode="json")
    for job_id in ("%00", "..%2f", "x" * 5000, "'%20or%201=1"):
        response = agent.client.post(f"/api/agent/jobs/{job_id}/report", json=body, headers=agent.headers)
        assert response.status_code in (404, 422)
    body["job_id"] = "a\0b"
    assert agent.client.post("/api/agent/jobs/x/report", json=body, headers=agent.headers).status_code == 422


def test_no_token_or_claim_is_stored_as_it_is(app: EnrollApp) -> None:
    browser, order_id, agent, _ = started(app)
    session = next(value for name, value in browser.client.cookies.items() if name.endswith("session"))
    stored = ""
    with app.enroll.database.read() as database:
        for table in tables.metadata.sorted_tables:
            stored += str(database.execute(select(table)).all())
    assert order_id in stored
    for secret in (agent.secret, agent.token, session, "RAD2026", "0123456789abcdef"):
        assert secret not in stored
