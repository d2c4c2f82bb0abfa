"""The web edge: limits, headers, problems, the form guard, rate limits."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import structlog
from fastapi import FastAPI, Form, Request, Response
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from pydantic import BaseModel
from starlette.responses import PlainTextResponse
from tests.support.servers import RedisServer

from keystead_contracts.problems import ProblemCode
from keystead_kit.bodies import MOST_BODY_BYTES
from keystead_kit.forms import Cookies, FormGuard
from keystead_kit.http import new_app
from keystead_kit.logs import configure_logging
from keystead_kit.pages import Pages
from keystead_kit.problems import ProblemException
from keystead_kit.ratelimit import RateLimiter

ORIGIN = "https://enroll.example.org"
PAGE = {"accept": "text/html"}


@pytest.fixture(autouse=True, scope="module")
def _plain_logs() -> Iterator[None]:
    """Logs as services write them: the development renderer takes seconds for a traceback."""
    config = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("sample", "web")
    yield
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)


class Body(BaseModel):
    text: str


def sample(*, secure: bool = True, ready: bool = True) -> FastAPI:
    def check() -> None:
        if not ready:
            raise ConnectionError("tell-nobody")

    large = {"/large": 2 * MOST_BODY_BYTES}
    app = new_app("sample", "Sample", pages=Pages(), ready={"thing": check}, secure=secure, larger_bodies=large)
    guard = FormGuard(b"k" * 32, Cookies("sample", secure), ORIGIN)

    @app.get("/boom")
    @app.get("/api/boom")
    def boom() -> None:
        raise RuntimeError("tell-nobody")

    @app.get("/refused")
    def refused() -> None:
        raise ProblemException(409, ProblemCode.CONFLICT, "No.", "Do <this>.", headers={"retry-after": "3"})

    @app.post("/json")
    def take(body: Body) -> dict[str, int]:
        return {"length": len(body.text)}

    @app.post("/raw")
    @app.post("/large")
    async def raw(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @app.get("/form")
    def form(request: Request) -> Response:
        visit, token = guard.visit(request)
        response = PlainTextResponse(token)
        guard.remember(request, response, visit)
        return response

    @app.post("/form")
    def sent(request: Request, form_token: Annotated[str, Form()] = "") -> str:
        guard.check(request, form_token)
        return "taken"

    return app


@pytest.fixture
def client() -> TestClient:
    return TestClient(sample(), base_url=ORIGIN, follow_redirects=False)


@pytest.mark.parametrize("path", ["/form", "/nothing", "/boom", "/refused", "/static/page.js", "/health/live"])
def test_every_answer_has_the_security_headers_and_a_trace_id(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert len(headers["x-trace-id"]) == 32


def test_plain_http_says_nothing_of_transport_security() -> None:
    assert "strict-transport-security" not in TestClient(sample(secure=False)).get("/form").headers


def test_the_trace_of_the_request_goes_on(client: TestClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (
        client.get("/form", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}).headers["x-trace-id"] == trace
    )
    assert client.get("/form", headers={"traceparent": "junk"}).headers["x-trace-id"] != trace


@pytest.mark.parametrize(("path", "headers"), [("/boom", {}), ("/boom", PAGE), ("/api/boom", PAGE)])
def test_an_unexpected_error_leaks_nothing_and_carries_its_reference(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    response = client.get(path, headers=headers)
    assert response.status_code == 500
    assert "tell-nobody" not in response.text
    assert "RuntimeError" not in response.text
    assert response.headers["x-trace-id"] in response.text
    is_page = bool(headers) and not path.startswith("/api/")
    assert response.headers["content-type"].startswith("text/html" if is_page else "application/problem+json")


def test_a_refusal_is_a_problem_document_or_a_page(client: TestClient) -> None:
    document = client.get("/refused")
    assert document.status_code == 409
    assert document.json() == {
        "type": "urn:keystead:problem:conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "No.",
        "advice": "Do <this>.",
        "reference": document.headers["x-trace-id"],
        "fields": {},
    }
    page = client.get("/refused", headers=PAGE)
    assert "Do &lt;this&gt;." in page.text
    assert document.headers["retry-after"] == page.headers["retry-after"] == "3"


def test_an_unknown_address_is_a_problem(client: TestClient) -> None:
    assert client.get("/nothing").json()["type"] == "urn:keystead:problem:not-found"
    assert client.get("/nothing", headers=PAGE).headers["content-type"].startswith("text/html")


def test_a_program_that_asks_an_unknown_address_is_told_where_they_are_described(client: TestClient) -> None:
    assert "/api/openapi.json" in client.get("/api/nothing").json()["advice"]
    assert "/api/" not in client.get("/nothing").json()["advice"]


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/nothing", "/api/v1/organizations/../nothing"])
def test_a_program_gets_no_page_from_the_api_s_addresses(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "openapi.json" in answer.json()["advice"]


@pytest.mark.parametrize(("path", "title", "again"), [
    ("/boom", "That did not work", True),
    ("/nothing", "There is nothing here", False),
    ("/refused", "We could not do that", False),
])  # fmt: skip
def test_a_problems_page_is_titled_by_its_kind_and_offers_another_try_where_that_helps(
    client: TestClient, path: str, title: str, again: bool
) -> None:
    page = client.get(path, headers=PAGE).text
    assert f"<h1>{title}</h1>" in page
    assert ("Try again</a>" in page) == again


def test_a_nul_in_an_address_is_an_unknown_address(client: TestClient) -> None:
    assert client.get("/form%00").json()["type"] == "urn:keystead:problem:not-found"
    assert client.get("/form%00", headers=PAGE).status_code == 404


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    response = client.put("/json")
    assert response.status_code == 405
    assert response.json()["type"] == "urn:keystead:problem:method-not-allowed"
    assert response.headers["allow"] == "POST"


def test_no_redirect_follows_the_host_header(client: TestClient) -> None:
    response = client.get("/form/", headers={"host": "evil.example"})
    assert response.status_code == 404
    assert "location" not in response.headers


@pytest.mark.parametrize("path", ["/json", "/raw", "/form"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(client: TestClient, path: str, chunked: bool) -> None:
    body = b'{"text": "' + b"x" * MOST_BODY_BYTES + b'"}'
    kind = "application/x-www-form-urlencoded" if path == "/form" else "application/json"
    content = iter([body[:1000], body[1000:]]) if chunked else body
    response = client.post(path, content=content, headers={"content-type": kind, "origin": ORIGIN})
    assert response.status_code == 413
    assert response.json()["type"] == "urn:keystead:problem:too-large"


def test_a_body_of_the_limits_size_is_taken(client: TestClient) -> None:
    assert client.post("/raw", content=b"x" * MOST_BODY_BYTES).json() == {"length": MOST_BODY_BYTES}


def test_an_address_may_take_more_than_others_and_has_a_limit_too(client: TestClient) -> None:
    assert client.post("/large", content=b"x" * 2 * MOST_BODY_BYTES).json() == {"length": 2 * MOST_BODY_BYTES}
    assert client.post("/large", content=b"x" * (2 * MOST_BODY_BYTES + 1)).status_code == 413
    assert client.post("/raw", content=b"x" * 2 * MOST_BODY_BYTES).status_code == 413


@pytest.mark.parametrize("length", ["-1", "1e9", "abc"])
def test_a_length_that_is_no_number_is_refused(client: TestClient, length: str) -> None:
    assert client.post("/raw", content=b"x", headers={"content-length": length}).status_code == 413


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"text": 1}', b"{}", b"[" * 60000, b"1" * 60000, b"\xff\xfe"],
    ids=["empty", "cut", "list", "null", "number", "absent", "deep", "long-number", "not-utf8"],
)
def test_a_malformed_body_is_the_clients_fault(client: TestClient, content: bytes) -> None:
    response = client.post("/json", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.json()["type"] == "urn:keystead:problem:malformed"


def test_wrong_fields_are_named(client: TestClient) -> None:
    assert client.post("/json", json={"text": 1}).json()["fields"].keys() == {"text"}


def test_readiness_names_what_is_missing_without_its_secrets() -> None:
    assert TestClient(sample()).get("/health/ready").json() == {"status": "ok", "checks": {"thing": "ok"}}
    response = TestClient(sample(ready=False)).get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "checks": {"thing": "ConnectionError"}}
    assert TestClient(sample(ready=False)).get("/health/live").status_code == 200


def test_unknown_methods_make_no_new_time_series(client: TestClient) -> None:
    for number in range(3):
        client.request(f"BREW{number}", "/form")
    methods = {
        metric.labels["method"]
        for family in REGISTRY.collect()
        if family.name == "keystead_http_request_duration_seconds"
        for metric in family.samples
    }
    assert "other" in methods
    assert not any(method.startswith("BREW") for method in methods)


def test_metrics_name_routes_not_addresses(client: TestClient) -> None:
    client.get("/nothing/tell-nobody")
    assert "tell-nobody" not in client.get("/metrics").text


@pytest.fixture
def visited(client: TestClient) -> tuple[TestClient, str]:
    return client, client.get("/form").text


def test_a_form_from_our_own_page_is_taken(visited: tuple[TestClient, str]) -> None:
    client, token = visited
    assert client.post("/form", data={"form_token": token}, headers={"origin": ORIGIN}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "null"}, {"origin": "https://evil.example"}, {"origin": ORIGIN + ".evil.example"}]
)
def test_a_form_from_elsewhere_is_refused(visited: tuple[TestClient, str], headers: dict[str, str]) -> None:
    client, token = visited
    response = client.post("/form", data={"form_token": token}, headers=headers)
    assert (response.status_code, response.json()["type"]) == (403, "urn:keystead:problem:wrong-origin")


@pytest.mark.parametrize("given", ["", "x", "0" * 64, "ä"])
def test_a_form_without_its_token_is_refused(visited: tuple[TestClient, str], given: str) -> None:
    client, _ = visited
    response = client.post("/form", data={"form_token": given}, headers={"origin": ORIGIN})
    assert (response.status_code, response.json()["type"]) == (403, "urn:keystead:problem:form-token-invalid")


def test_a_form_token_of_another_browser_is_refused(visited: tuple[TestClient, str]) -> None:
    client, _ = visited
    other = TestClient(client.app, base_url=ORIGIN).get("/form").text
    assert client.post("/form", data={"form_token": other}, headers={"origin": ORIGIN}).status_code == 403


def test_a_form_token_without_the_cookie_is_refused(visited: tuple[TestClient, str]) -> None:
    client, token = visited
    client.cookies.clear()
    assert client.post("/form", data={"form_token": token}, headers={"origin": ORIGIN}).status_code == 403


def test_cookies_are_bound_to_the_host_and_hidden_from_scripts(client: TestClient) -> None:
    cookie = client.get("/form").headers["set-cookie"]
    assert cookie.startswith("__Host-sample_visit=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "secure", "path=/", "samesite=lax"}


def test_cookies_on_plain_http_are_not_secure_only() -> None:
    cookie = TestClient(sample(secure=False)).get("/form").headers["set-cookie"]
    assert cookie.startswith("sample_visit=")
    assert "secure" not in cookie.lower()


def test_a_rate_limit_counts_per_key(redis_url: str) -> None:
    limiter = RateLimiter(redis_url, "sample")
    assert [limiter.hit("2/hour", "code", "ada") is None for _ in range(3)] == [True, True, False]
    assert limiter.hit("2/hour", "code", "bob") is None
    assert limiter.hit("2/hour", "link", "ada") is None
    wait = limiter.hit("2/hour", "code", "ada")
    assert wait is not None
    assert 1 <= wait <= 2 * 3600 + 1


def test_processes_share_a_limit_through_redis(redis_url: str) -> None:
    one, other = RateLimiter(redis_url, "sample"), RateLimiter(redis_url, "sample")
    assert one.hit("1/hour", "ada") is None
    assert other.hit("1/hour", "ada") is not None


def test_services_do_not_share_limits(redis_url: str) -> None:
    assert RateLimiter(redis_url, "one").hit("1/hour", "ada") is None
    assert RateLimiter(redis_url, "two").hit("1/hour", "ada") is None


def test_without_redis_a_process_counts_for_itself() -> None:
    one, other = (RateLimiter("redis://127.0.0.1:1/0", "sample") for _ in range(2))
    assert [one.hit("2/hour", "ada") is None for _ in range(3)] == [True, True, False]
    assert other.hit("2/hour", "ada") is None


@pytest.fixture
def limiter(own_redis: RedisServer) -> Iterator[tuple[RateLimiter, RedisServer]]:
    yield RateLimiter(own_redis.url, "sample"), own_redis


def test_redis_may_go_and_come_back(limiter: tuple[RateLimiter, RedisServer]) -> None:
    limits, server = limiter
    assert limits.hit("1/hour", "ada") is None
    server.stop()
    assert limits.hit("1/hour", "ada") is None
    assert limits.hit("1/hour", "ada") is not None
    server.start()
    assert limits.hit("1/hour", "ada") is None
    assert limits.hit("1/hour", "ada") is not None


@pytest.mark.parametrize("path", ["/files", "/files/7"])
def test_files_may_be_larger_where_an_app_says_so(path: str) -> None:
    app = new_app("test", "Test", pages=Pages(), ready={}, secure=False, larger_bodies={"/files": 1024 * 1024})

    @app.post("/{rest:path}")
    async def take(request: Request) -> int:
        return len(await request.body())

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post(path, content=b"x" * 1024 * 1024).json() == 1024 * 1024
        refused = client.post(path, content=b"x" * (1024 * 1024 + 1))
        assert (refused.status_code, refused.json()["advice"]) == (413, "Send at most 1 MiB.")
        assert client.post("/filesystem", content=b"x" * (MOST_BODY_BYTES + 1)).status_code == 413


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    return [record for record in records if record["event"] == "refusal answered"]


@pytest.mark.parametrize(
    ("method", "path", "status", "route", "code", "level"),
    [
        ("GET", "/refused", 409, "/refused", "conflict", "info"),
        ("GET", "/boom", 500, "/boom", "internal", "error"),
        ("GET", "/nothing/s3cret", 404, "none", "not-found", "info"),
        ("BREW", "/refused", 405, "/refused", "method-not-allowed", "info"),
        ("GET", "/health/ready", 503, "/health/ready", "", "warning"),
    ],
)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_the_log_has_a_line_for_the_reference_of_every_refusal(
    capsys: pytest.CaptureFixture[str], method: str, path: str, status: int, route: str, code: str, level: str,
    accept: str,
) -> None:  # fmt: skip
    configure_logging("sample", "web")
    client = TestClient(sample(ready=False), base_url=ORIGIN, raise_server_exceptions=False)
    response = client.request(method, f"{path}?token=s3cret", headers={"accept": accept})
    (record,) = told(capsys)
    assert response.status_code == record["status"] == status
    assert record["trace_id"] == response.headers["x-trace-id"]
    assert (record["route"], record["problem_code"], record["level"]) == (route, code, level)
    assert record["method"] == (method if method == "GET" else "other")
    assert "s3cret" not in json.dumps(record)
    assert "x-problem" not in response.headers


def test_an_answer_that_is_no_refusal_leaves_no_line(capsys: pytest.CaptureFixture[str], client: TestClient) -> None:
    configure_logging("sample", "web")
    assert client.get("/form").status_code == 200
    assert told(capsys) == []
