"""Logs: constant events with fields, one JSON object a line, no secret."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from keystead_kit.logs import configure_logging, get_logger, scrub
from keystead_kit.trace import tracing

SECRET = "tell-nobody"
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
KEY = f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """The process's log, configured as a service does, read back."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("sample", "web")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level, config = before
    root.setLevel(level)
    structlog.configure(**config)


@pytest.mark.parametrize(
    "text",
    [
        f"keystead://enroll?server=https://a&claim={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"authorization: bearer {SECRET}",
        f"https://a.example/auth/confirm/{SECRET}",
        f"redis://user:{SECRET}@127.0.0.1:6379/0",
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        f"postgresql+psycopg://u:{SECRET}@h/d",
        f"cookie: __Host-keystead_enroll_session={SECRET}; x=1",
        f"cookie: keystead_identity={SECRET}",
        KEY,
        repr(KEY),
        KEY.partition("-----END")[0],
    ],
)
def test_a_secret_in_a_text_is_scrubbed(text: str) -> None:
    assert SECRET in text
    assert SECRET not in scrub(text)


def test_a_jwt_is_scrubbed_and_what_stands_beside_it_stays() -> None:
    assert scrub(f"before {JWT} after") == "before [scrubbed] after"


def test_harmless_text_stays() -> None:
    text = "order 5f0c https://enroll.example.org:8443/e/x ada@example.org 12:30"
    assert scrub(text) == text


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": SECRET},
        {"password": SECRET},
        {"access_code": SECRET},
        {"claim": SECRET},
        {"agent_secret": SECRET},
        {"Authorization": SECRET},
        {"details": {"token": SECRET, "deep": [{"cookie": SECRET}]}},
        {"links": [f"keystead://enroll?claim={SECRET}"]},
        {"pair": (f"Bearer {SECRET}", 1)},
        {"raw": f"Bearer {SECRET}".encode()},
        {"error": ValueError(f"redis://:{SECRET}@h")},
    ],
)
def test_a_secret_in_a_field_is_scrubbed(logged: Lines, fields: dict[str, Any]) -> None:
    get_logger().warning("something happened", order_id="5f0c", **fields)
    [line] = logged()
    assert SECRET not in json.dumps(line)
    assert line["order_id"] == "5f0c"


def test_codes_that_are_no_secret_stay(logged: Lines) -> None:
    get_logger().info("ended", exit_code=3, problem_code="csr-refused", status_code=404)
    [line] = logged()
    assert (line["exit_code"], line["problem_code"], line["status_code"]) == (3, "csr-refused", 404)


def test_a_traceback_is_scrubbed(logged: Lines) -> None:
    try:
        raise RuntimeError(f"cannot reach redis://:{SECRET}@h with {JWT}")
    except RuntimeError:
        get_logger().exception("request failed")
    [line] = logged()
    assert "RuntimeError" in line["exception"]
    assert SECRET not in json.dumps(line)
    assert JWT not in json.dumps(line)


def test_records_of_libraries_are_json_and_scrubbed(logged: Lines) -> None:
    logging.getLogger("some.library").warning("GET %s failed", f"/auth/confirm/{SECRET}")
    [line] = logged()
    assert line["event"] == "GET [scrubbed] failed"
    assert line["service"] == "sample"


def test_a_line_names_service_role_level_time_and_trace(logged: Lines) -> None:
    with tracing("a" * 32):
        get_logger().info("something happened")
    [line] = logged()
    assert (line["service"], line["role"], line["level"], line["trace_id"]) == ("sample", "web", "info", "a" * 32)
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_are_not_written(logged: Lines) -> None:
    get_logger().debug("noise")
    logging.getLogger("some.library").debug("noise")
    assert logged() == []
