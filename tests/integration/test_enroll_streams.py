"""Event streams over a real HTTP server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import jwt
import pytest
from tests.integration.test_enroll_devices import register, signed_in
from tests.support.enroll_app import ADA, Agent, Browser, EnrollApp, files, http, next_job, served
from tests.support.servers import RedisServer

from keystead_contracts.agent import AGENT_TOKEN_AUDIENCE, Install, MakeKeyAndCsr, Routes
from keystead_enroll.adapters.keyed_secrets import AGENT_TOKEN_ISSUER
from keystead_kit.secrets import TokenSigner


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with served(database_url, redis_url) as app:
        yield app


def begun(app: EnrollApp) -> tuple[Browser, str, Agent]:
    browser = app.browser(client=http(app))
    order_id = browser.order()
    agent = app.agent(http(app))
    assert agent.redeem(browser.link(order_id).claim).status_code == 200
    return browser, order_id, agent


def test_one_stream_carries_an_order_from_the_key_to_the_installation(app: EnrollApp) -> None:
    browser, order_id, agent = begun(app)
    with agent.stream() as lines:
        job = next_job(lines)
        assert isinstance(job.payload, MakeKeyAndCsr)
        assert agent.report(agent.csr_report(job)).status_code == 200
        app.work()
        job = next_job(lines)
        assert isinstance(job.payload, Install)
        assert agent.report(agent.installed_report(job)).status_code == 200
    page = browser.client.get(f"/e/{browser.uri}/orders/{order_id}/events")  # ends by itself: the order has ended
    events = [json.loads(line[6:]) for line in page.text.splitlines() if line.startswith("data: ")]
    assert [(event["state"], event["terminal"]) for event in events] == [("installed", True)]


def test_a_page_sees_each_step(app: EnrollApp) -> None:
    browser, order_id, agent = begun(app)
    with browser.client.stream("GET", f"/e/{browser.uri}/orders/{order_id}/events") as response:
        lines = (line for line in response.iter_lines() if line.startswith("data: "))
        assert json.loads(next(lines)[6:])["state"] == "offered"
        agent.report(agent.csr_report(agent.jobs()[0]))
        assert json.loads(next(lines)[6:])["state"] == "csr_accepted"
        assert browser.post(f"/orders/{order_id}/cancel").status_code == 303
        assert json.loads(next(lines)[6:])["state"] == "cancelled"
        assert next(lines, None) is None


def test_what_was_not_reported_is_sent_again_on_each_connection(app: EnrollApp) -> None:
    _, _, agent = begun(app)
    with agent.stream() as lines:
        first = next_job(lines)
    with agent.stream(**{"last-event-id": str(first.sequence)}) as lines:
        assert next_job(lines) == first


def test_an_event_has_the_jobs_sequence_as_its_id(app: EnrollApp) -> None:
    _, _, agent = begun(app)
    with agent.stream() as lines:
        event = {}
        for line in lines:
            name, _, value = line.partition(": ")
            event[name] = value
            if name == "data":
                break
    assert event["event"] == "job"
    assert event["id"] == str(json.loads(event["data"])["sequence"])


def test_a_job_is_pushed_to_a_stream_that_waits(app: EnrollApp) -> None:
    _, order_id, agent = begun(app)
    assert agent.report(agent.csr_report(agent.jobs()[0])).status_code == 200
    with agent.stream() as lines:
        assert next(lines) == ": open"
        app.work()
        assert next_job(lines).order_id == order_id


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x.y.z", "Basic eDp5"])
def test_a_stream_needs_a_token(app: EnrollApp, header: str) -> None:
    response = http(app).get(Routes.JOBS, headers={"authorization": header})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["type"] == "urn:keystead:problem:unauthenticated"


def test_a_stream_ends_when_its_token_does(app: EnrollApp) -> None:
    _, _, agent = begun(app)
    now = int(time.time())
    agent.token = TokenSigner.from_file(files().token_key).sign(
        {"iss": AGENT_TOKEN_ISSUER, "aud": AGENT_TOKEN_AUDIENCE, "sub": agent.recipient, "iat": now, "exp": now + 2}
    )
    with agent.stream() as lines:
        assert any(line.startswith("data:") for line in lines)
        assert not any(line.startswith("data:") for line in lines)  # and the iteration ends
    with pytest.raises(jwt.ExpiredSignatureError):
        app.enroll.secrets.agent_of(agent.token)


def test_another_persons_page_stream_is_refused_before_it_begins(app: EnrollApp) -> None:
    browser, order_id, _ = begun(app)
    other = app.browser(email="bob@example.org", client=http(app))
    response = other.client.get(f"/e/{browser.uri}/orders/{order_id}/events")
    assert response.status_code == 404


def test_a_lost_wake_up_is_made_good_by_the_next_look(sqlite_url: str, own_redis: RedisServer) -> None:
    with served(sqlite_url, own_redis.url, keep_alive_seconds=0.2) as app:
        _, order_id, agent = begun(app)
        assert agent.report(agent.csr_report(agent.jobs()[0])).status_code == 200
        with agent.stream() as lines:
            assert next(lines) == ": open"
            own_redis.stop()
            assert app.work() == 1
            assert next_job(lines).order_id == order_id
        own_redis.start()


def test_streams_end_when_the_server_stops(app: EnrollApp) -> None:
    _, _, agent = begun(app)
    with agent.stream() as lines:
        next_job(lines)
        app.web.state.end_streams()
        assert not any(line.startswith("data:") for line in lines)  # and the iteration ends


def test_a_registered_devices_job_is_pushed(app: EnrollApp) -> None:
    device = register(app, http(app))
    agent = signed_in(app, device, http(app))
    with agent.stream() as lines:
        assert next(lines) == ": open"
        browser = app.browser(email=ADA, client=http(app))
        order_id = browser.order(target=device.id)
        job = next_job(lines)
        assert job.order_id == order_id
        assert "keystead://" not in browser.get(f"/orders/{order_id}").text
        assert agent.report(agent.csr_report(job)).status_code == 200
