"""What ends the wait of a process with nothing to do, over real HTTP on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

import pytest

from keystead_agent.doorbell import DEAF_LIMIT, Idle, StreamRequest, await_ring, stamp
from keystead_agent.quiet import Quiet

JOB = b"event: job\nid: 7\ndata: {}\n\n"
ALIVE = b": here\n\n"
Answer = tuple[int, list[bytes | None]]
"""A status and what follows; None holds the connection."""


class Server(ThreadingHTTPServer):
    """Gives its answers in turn, the last one for ever."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.asked: SimpleQueue[dict[str, str]] = SimpleQueue()
        self.held = threading.Event()
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    def request(self) -> StreamRequest:
        origin = f"http://127.0.0.1:{self.server_address[1]}"
        return StreamRequest(origin, "/jobs", "job", {"Authorization": "Bearer t", "Accept": "text/event-stream"})


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.put(dict(self.headers))
        answers = self.server.answers
        status, pieces = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        for piece in pieces:
            if piece is None:
                self.server.held.wait(10)
            else:
                self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for server in made:
        server.held.set()
        server.shutdown()
        server.server_close()


class Waiting:
    """Somebody who waits for the bell."""

    def __init__(self, request: StreamRequest, *heard: str, deaf_limit: float = DEAF_LIMIT) -> None:
        self.over = threading.Event()
        self._thread = threading.Thread(
            target=lambda: await_ring(request, frozenset(heard), self.over, deaf_limit=deaf_limit), daemon=True
        )
        self._thread.start()

    def rung(self, seconds: float = 10) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((200, [ALIVE, JOB, None]), id="a job"),
        pytest.param((200, [ALIVE]), id="the end of the stream"),
        pytest.param((401, []), id="a token that is no longer good"),
        pytest.param((404, []), id="another refusal"),
        pytest.param((302, []), id="a way to another server"),
    ],
)
def test_it_rings(servers: list[Server], answer: Answer) -> None:
    servers.append(server := Server(answer))
    assert Waiting(server.request()).rung()
    assert server.asked.get()["Authorization"] == "Bearer t"


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(JOB, id="a job that was heard before"),
        pytest.param(b"event: later\nid: 8\ndata: x\n\n", id="an event of a newer server"),
    ],
)
def test_it_does_not_ring(servers: list[Server], known: bytes) -> None:
    servers.append(server := Server((200, [known, ALIVE, None])))
    waiting = Waiting(server.request(), "7")
    server.asked.get()
    assert not waiting.rung(0.3)
    server.held.set()
    assert waiting.rung()


def test_a_server_that_is_away_is_tried_again(servers: list[Server]) -> None:
    servers.append(server := Server((503, []), (429, []), (200, [JOB])))
    assert Waiting(server.request()).rung()
    assert server.asked.qsize() == 3


def test_a_server_that_stays_away_is_left_to_who_comes_on_duty(servers: list[Server]) -> None:
    servers.append(server := Server((503, [])))
    assert Waiting(server.request(), deaf_limit=0.01).rung()


def test_nobody_listens_any_longer_once_the_wait_is_over(servers: list[Server]) -> None:
    servers.append(server := Server((200, [ALIVE, None, ALIVE, None])))
    waiting = Waiting(server.request())
    server.asked.get()
    waiting.over.set()
    server.held.set()
    assert waiting.rung()


def test_a_file_that_was_written_or_removed_has_another_stamp(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert stamp(file) == 0
    file.touch()
    assert stamp(file) != 0


def test_it_is_quiet_after_a_lull_without_work_beside_it() -> None:
    now = 0.0
    quiet, idle = Quiet(lambda: now), Idle()
    assert quiet.lasting(0) is None
    with quiet.lull(idle):
        now = 9
        assert quiet.lasting(10) is None
        with quiet.busy():
            now = 20
            assert quiet.lasting(10) is None
        assert quiet.lasting(10) is None
        now = 30
        assert quiet.lasting(10) is idle
    assert quiet.lasting(10) is None
