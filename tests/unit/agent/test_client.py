from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import httpx
import pytest
from tests.unit.agent.samples import TRACE, job

from keystead_agent import client as clients
from keystead_agent.client import LONGEST_ANSWER, ServerClient, UnknownJob
from keystead_agent.errors import ServerRefused, ServerUnreachable
from keystead_contracts.agent import AgentToken, Removed, Report, TokenRequest

TOKEN = AgentToken(access_token="token", expires_in=60, recipient="r")


def client(handler: object) -> ServerClient:
    return ServerClient("http://127.0.0.1:1", transport=httpx.MockTransport(handler))  # type: ignore[arg-type]


def answering(status: int, body: object = None, headers: dict[str, str] | None = None) -> ServerClient:
    return client(lambda request: httpx.Response(status, json=body, headers=headers))


def test_a_problem_document_becomes_words_and_advice() -> None:
    problem = {
        "type": "urn:keystead:problem:claim-invalid",
        "title": "Claim invalid",
        "status": 403,
        "detail": "The link was used.",
        "advice": "Ask for a new one.",
        "reference": TRACE,
    }
    with pytest.raises(ServerRefused) as caught:
        answering(403, problem).device_token(TokenRequest(assertion="x"))
    assert caught.value.detail == f"The link was used. (reference {TRACE})"
    assert caught.value.advice == "Ask for a new one."
    assert (caught.value.status, caught.value.problem) == (403, "claim-invalid")


def test_a_refusal_without_a_problem_document_is_still_explained() -> None:
    with pytest.raises(ServerRefused, match="answered 404"):
        client(lambda request: httpx.Response(404, text="<html>")).device_token(TokenRequest(assertion="x"))


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_what_may_work_later_says_when(status: int) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        answering(status, headers={"Retry-After": "7"}).device_token(TokenRequest(assertion="x"))
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("value", ["soon", "-5", "Mon, 01 Jan 2001 00:00:00 GMT", ""])
def test_an_odd_retry_after_is_no_wait(value: str) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        answering(503, headers={"Retry-After": value}).device_token(TokenRequest(assertion="x"))
    assert caught.value.retry_after == 0.0


def test_a_broken_connection_is_unreachable() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ServerUnreachable, match="cannot be reached: refused"):
        client(broken).device_token(TokenRequest(assertion="x"))


def test_a_report_carries_token_and_trace() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"order_state": "installed"})

    client(handler).report(TOKEN, Report(job_id="a/b", body=Removed()), TRACE)
    (request,) = seen
    assert request.url.raw_path == b"/api/agent/jobs/a%2Fb/report"
    assert request.headers["Authorization"] == "Bearer token"
    version, trace, span, flags = request.headers["traceparent"].split("-")
    assert (version, trace, len(span), flags) == ("00", TRACE, 16, "01")


def test_jobs_come_with_their_ids_and_other_events_are_ignored() -> None:
    text = f"event: hello\ndata: x\n\nevent: job\nid: 4\ndata: {job().model_dump_json()}\n\n"

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["Last-Event-ID"] == "3"
        return httpx.Response(200, text=text)

    with client(handler).jobs(TOKEN, "3", nullcontext) as events:
        (event,) = events
    assert (event.event_id, event.job) == ("4", job())


def test_it_is_told_within_how_long_the_server_wants_its_agents_back() -> None:
    told: list[float] = []
    answer = httpx.Response(200, text=": open\nretry: 2500\n\n")
    with client(lambda request: answer).jobs(TOKEN, "", nullcontext, told.append) as events:
        assert list(events) == []
    assert told == [2.5]


def test_a_job_of_a_newer_server_is_not_mistaken_for_a_failure_of_the_stream() -> None:
    newer = json.loads(job().model_dump_json()) | {"payload": {"kind": "dance"}}
    text = f"event: job\nid: 4\ndata: {json.dumps(newer)}\n\n"
    with client(lambda request: httpx.Response(200, text=text)).jobs(TOKEN, "", nullcontext) as events:
        (event,) = events
    assert event.job == UnknownJob(job_id="job-1", order_id="order-1", trace_id=TRACE)


def test_a_refused_stream_is_explained() -> None:
    with pytest.raises(ServerRefused) as caught, answering(401, {}).jobs(TOKEN, "", nullcontext):
        pass
    assert caught.value.status == 401


def test_an_answer_that_is_not_understood_says_to_update() -> None:
    with pytest.raises(ServerUnreachable) as caught:
        answering(200, {"nonsense": 1}).device_token(TokenRequest(assertion="x"))
    assert caught.value.advice == "Update the agent."


def endless() -> Iterator[bytes]:
    while True:
        yield b" " * 1024


def asked(of: ServerClient) -> object:
    return of.device_token(TokenRequest(assertion="x"))


def streamed(of: ServerClient) -> object:
    with of.jobs(TOKEN, "", nullcontext) as events:
        return list(events)


@pytest.mark.parametrize(
    ("status", "ask"), [(200, asked), (400, asked), (503, asked), (400, streamed), (503, ServerClient.check)]
)
def test_a_server_that_answers_without_end_is_left(status: int, ask: Callable[[ServerClient], object]) -> None:
    with pytest.raises(ServerUnreachable, match="answers too much"):
        ask(client(lambda request: httpx.Response(status, content=endless())))


def test_a_server_that_answers_too_slowly_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "WHOLE_ANSWER_LIMIT", -1.0)
    with pytest.raises(ServerUnreachable, match="answers too slowly"):
        asked(client(lambda request: httpx.Response(200, content=endless())))


@pytest.mark.parametrize("ask", [asked, streamed])
def test_nothing_compressed_is_asked_for_or_taken(ask: Callable[[ServerClient], object]) -> None:
    def bomb(request: httpx.Request) -> httpx.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        packed = gzip.compress(b" " * LONGEST_ANSWER)
        return httpx.Response(200, content=iter([packed]), headers={"Content-Encoding": "gzip"})

    with pytest.raises(ServerUnreachable, match="compressed"):
        ask(client(bomb))
