"""What a web process still answers when the database does not, over a real HTTP server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from sqlalchemy import text
from tests.support.enroll_app import MACHINE, PAGE, Agent, EnrollApp, http, problem_code, served
from tests.support.servers import wait_until

from keystead_contracts.agent import Routes
from keystead_enroll.adapters import tables
from keystead_kit.threads import AGENT_THREADS, LOOK_THREADS, REQUEST_THREADS

CLAIM = {"claim": "x" * 20, "agent_secret": "0" * 64, "machine": MACHINE.model_dump(mode="json")}


@contextmanager
def write_lock(app: EnrollApp) -> Iterator[None]:
    """Nobody else writes to the SQLite database meanwhile."""
    connection = sqlite3.connect(str(app.enroll.database.url.database), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


@pytest.fixture
def stuck(sqlite_url: str, redis_url: str) -> Iterator[EnrollApp]:
    """An enroll all of whose threads, those for persons and those for agents, wait for the database."""

    def arrive() -> httpx.Response:
        return httpx.get(f"{app.origin}/e/{uri}", headers=PAGE | {"cookie": f"keystead_identity={token}"}, timeout=60)

    persons, agents = REQUEST_THREADS + 4, AGENT_THREADS + 4
    with served(sqlite_url, redis_url) as app, ThreadPoolExecutor(persons + agents) as pool, write_lock(app):
        uri, token = app.uris["Staff"], app.identity()
        for _ in range(persons):
            pool.submit(arrive)
        for _ in range(agents):
            pool.submit(redeem, app)
        wait_until(lambda: all_threads_wait(app), "every thread to wait")
        yield app


def redeem(app: EnrollApp) -> httpx.Response:
    """The answer to an agent that shows a link."""
    return httpx.post(f"{app.origin}{Routes.CLAIMS}", json=CLAIM, timeout=60)


def all_threads_wait(app: EnrollApp) -> bool:
    """Whether a request finds no thread."""
    return httpx.get(f"{app.origin}/health/ready", timeout=30).status_code == 503


def test_the_process_is_alive_and_serves_its_files_while_every_request_waits(stuck: EnrollApp) -> None:
    assert httpx.get(f"{stuck.origin}/health/live").status_code == 200
    assert httpx.get(f"{stuck.origin}/static/page.js").status_code == 200
    assert httpx.get(f"{stuck.origin}/nothing", headers=PAGE).status_code == 404


def test_a_request_that_finds_no_thread_is_told_to_come_again(stuck: EnrollApp) -> None:
    page = httpx.get(f"{stuck.origin}/e/{stuck.uris['Staff']}", headers=PAGE, timeout=30)
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "Try again in a few seconds." in page.text
    document = httpx.post(f"{stuck.origin}{Routes.CLAIMS}", json=CLAIM, timeout=30)
    assert (document.status_code, problem_code(document)) == (503, "unavailable")
    assert int(document.headers["retry-after"]) > 0


def test_agents_that_wait_for_the_database_leave_pages_alone(sqlite_url: str, redis_url: str) -> None:
    asked = AGENT_THREADS + 4
    with served(sqlite_url, redis_url) as app:
        browser = app.browser(client=http(app))
        with ThreadPoolExecutor(asked) as pool, write_lock(app):
            answers = [pool.submit(redeem, app) for _ in range(asked)]
            wait_until(lambda: any(answer.done() for answer in answers), "the agents without a thread to be told so")
            assert browser.get("/request").status_code == 200
            refused = [answer.result() for answer in answers if answer.done()]
        assert {response.status_code for response in refused} == {503}
        assert all(2 <= int(response.headers["retry-after"]) <= 10 for response in refused)


def begun(app: EnrollApp, email: str = "ada@example.org") -> Agent:
    """An agent that has redeemed its link."""
    browser = app.browser(email=email, client=http(app))
    agent = app.agent(http(app))
    assert agent.redeem(browser.link(browser.order()).claim).status_code == 200
    return agent


def jobs(agent: Agent) -> httpx.Response:
    """The job stream's answer, without its events."""
    with agent.client.stream("GET", Routes.JOBS, headers=agent.headers) as response:
        if response.status_code != 200:
            response.read()
        return response


@pytest.mark.postgres
def test_streams_that_wait_for_the_database_leave_pages_alone(postgres_url: str, redis_url: str) -> None:
    with served(postgres_url, redis_url) as app:
        browser = app.browser(client=http(app))
        agents = [begun(app, f"person{number}@example.org") for number in range(LOOK_THREADS + 3)]
        connection = app.enroll.database.engine.connect()
        with ThreadPoolExecutor(len(agents)) as pool, connection:
            connection.execute(text(f"LOCK TABLE {tables.jobs.name} IN ACCESS EXCLUSIVE MODE"))
            answers = [pool.submit(jobs, agent) for agent in agents]
            assert browser.get("/request").status_code == 200
            assert {answer.result().status_code for answer in answers} == {503}
            connection.rollback()
        assert {jobs(agent).status_code for agent in agents} == {200}


def test_a_stream_that_cannot_look_is_told_to_come_again(database_url: str, redis_url: str) -> None:
    with served(database_url, redis_url) as app:
        agent = begun(app)
        with app.enroll.database.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {tables.jobs.name} RENAME TO away"))
        response = jobs(agent)
        assert (response.status_code, problem_code(response)) == (503, "unavailable")
        assert int(response.headers["retry-after"]) > 0


def test_the_newest_stream_of_an_agent_ends_the_one_before(sqlite_url: str, redis_url: str) -> None:
    with served(sqlite_url, redis_url) as app:
        agent = begun(app)
        with agent.stream() as older:
            assert next(older) == ": open"
            with agent.stream() as newer:
                assert next(newer) == ": open"
                assert "".join(older).count("event:") == 1  # and the iteration ends
                assert any(line.startswith("data:") for line in newer)


def test_a_person_opens_a_few_live_pages_and_no_more(sqlite_url: str, redis_url: str) -> None:
    with served(sqlite_url, redis_url, page_streams_per_person=2) as app:
        browser, other = app.browser(client=http(app)), app.browser(email="bob@example.org", client=http(app))
        path = f"/e/{browser.uri}/orders/{browser.order()}/events"
        theirs = f"/e/{other.uri}/orders/{other.order()}/events"
        with ExitStack() as open_pages:
            for _ in range(2):
                assert open_pages.enter_context(browser.client.stream("GET", path)).status_code == 200
            refused = browser.client.get(path)
            assert (refused.status_code, problem_code(refused)) == (429, "rate-limited")
            assert int(refused.headers["retry-after"]) > 0
            assert open_pages.enter_context(other.client.stream("GET", theirs)).status_code == 200

        def free() -> bool:
            with browser.client.stream("GET", path) as again:
                return again.status_code == 200

        wait_until(free, "the places of the closed pages")


def test_a_process_holds_as_many_streams_as_it_may(sqlite_url: str, redis_url: str) -> None:
    with served(sqlite_url, redis_url, most_streams=1) as app:
        first, second = begun(app), begun(app, "bob@example.org")
        with first.stream() as lines:
            assert next(lines) == ": open"
            refused = jobs(second)
            assert (refused.status_code, problem_code(refused)) == (503, "unavailable")
            with first.stream() as newer:  # takes its own older one's place
                assert next(newer) == ": open"
