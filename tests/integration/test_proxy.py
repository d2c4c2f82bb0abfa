"""nginx's own answers, from the configuration that `make up` and the container use."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from tests.support.servers import free_port, wait_until

from keystead_local import proxy
from keystead_local.net import LOOPBACK, answers

PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """nginx in front of services that are away."""
    port = free_port()
    away = f"{LOOPBACK}:{free_port()}"
    configuration = proxy.write_configuration(
        tmp_path_factory.mktemp("nginx"), [f"{LOOPBACK}:{port}"], auth=away, enroll=away
    )
    process = subprocess.Popen(proxy.command(configuration), stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port, "/proxy/alive"), "nginx")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def asked(port: int, line: str) -> str:
    """The answer to a request line that a client library would not send."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(f"{line}\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode())
        return connection.makefile("rb").read().decode()


@pytest.mark.parametrize("address", ["/e/%00", "/auth/confirm/%00", "/e/%zz", "/../.."])
def test_an_address_that_cannot_be_read_is_answered_with_a_page(port: int, address: str) -> None:
    head, _, body = asked(port, f"GET {address} HTTP/1.1").partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 ")
    assert "Content-Type: text/html; charset=utf-8" in head
    assert "Content-Security-Policy: default-src 'none'" in head
    assert "<h1>That address could not be understood</h1>" in body
    assert "nginx" not in body


def test_the_page_of_a_bad_address_has_no_address_of_its_own(port: int) -> None:
    response = httpx.get(f"http://{LOOPBACK}:{port}/proxy/malformed", headers=PAGE)
    assert response.status_code == 404
    assert "There is nothing at this address" in response.text


def test_a_program_gets_a_problem_document(port: int) -> None:
    answer = asked(port, "GET /api/agent/jobs HTTP/1.1\r\nHost: two.example")
    assert answer.startswith("HTTP/1.1 400 ")
    assert "Content-Type: application/problem+json" in answer
    assert '"type":"urn:keystead:problem:malformed"' in answer


@pytest.mark.parametrize(
    ("accept", "kind"), [("text/html", "text/html; charset=utf-8"), ("*/*", "application/problem+json")]
)
def test_a_service_that_is_away_is_told_in_the_clients_words(port: int, accept: str, kind: str) -> None:
    response = httpx.get(f"http://{LOOPBACK}:{port}/e/form", headers={"accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (502, kind)
