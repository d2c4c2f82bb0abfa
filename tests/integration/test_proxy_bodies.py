"""The reverse proxy lets through what enroll takes, and no more."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from tests.support.servers import free_port, wait_until

from keystead_enroll.web.app import LARGER_BODIES
from keystead_kit.bodies import MOST_BODY_BYTES
from keystead_local.proxy import command, write_configuration

PIECE = 1024 * 1024


def octets(count: int) -> Iterator[bytes]:
    """As many of them, a piece at a time."""
    for begin in range(0, count, PIECE):
        yield b"x" * min(PIECE, count - begin)


def sent(address: str, count: int) -> httpx.Response:
    """The answer to a body of as many octets."""
    return httpx.post(address, content=octets(count), headers={"content-length": str(count)}, timeout=60)


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        left = int(self.headers["content-length"])
        while left:
            left -= len(self.rfile.read(min(left, PIECE)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx in front of a service that takes everything."""
    service = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    Thread(target=service.serve_forever, daemon=True).start()
    there, port = f"127.0.0.1:{service.server_port}", free_port()
    configuration = write_configuration(tmp_path_factory.mktemp("nginx"), [f"127.0.0.1:{port}"], there, there)
    process = subprocess.Popen(command(configuration), stdout=subprocess.DEVNULL)
    origin = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _alive(origin), "nginx")
        yield origin
    finally:
        process.terminate()
        process.wait(10)
        service.shutdown()


def _alive(origin: str) -> bool:
    try:
        return httpx.get(f"{origin}/proxy/alive").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("path", LARGER_BODIES)
def test_files_of_the_size_that_enroll_takes_pass(proxy: str, path: str) -> None:
    assert sent(f"{proxy}{path}", LARGER_BODIES[path]).status_code == 204
    refused = sent(f"{proxy}{path}", LARGER_BODIES[path] + MOST_BODY_BYTES + 1)
    assert refused.status_code == 413
    assert "MiB" in refused.json()["advice"]


@pytest.mark.parametrize("path", ["/", "/api/v1/persons", "/api/v1/persons/import/x", "/console/persons"])
def test_everything_else_stays_small(proxy: str, path: str) -> None:
    assert httpx.post(f"{proxy}{path}", content=b"x" * MOST_BODY_BYTES).status_code == 204
    refused = httpx.post(f"{proxy}{path}", content=b"x" * (MOST_BODY_BYTES + 1))
    assert (refused.status_code, refused.json()["advice"]) == (413, "Send at most 64 KiB.")
