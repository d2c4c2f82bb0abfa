"""As much HTTP/1.1 as agents speak (RFC 9112), for thousands of them in one process: requests over connections that
are kept, and event streams.

It reads what uvicorn and nginx write: a response has a Content-Length, a stream comes in chunks.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

TIMEOUT_SECONDS = 60.0
_END_OF_HEAD = b"\r\n\r\n"


class Broken(Exception):
    """The connection ended, or what came over it is no answer."""


@dataclass(frozen=True)
class Answer:
    """A response. `retry_after` is in seconds, 0 if it does not say; `seconds` went by since the request was sent."""

    status: int
    body: bytes
    retry_after: float
    seconds: float = 0.0


def _head(octets: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = octets.split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return int(first.split(b" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}


class _Connection(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._read, self._waiting = bytearray(), None  # type: bytearray, asyncio.Future[Answer] | None

    @property
    def usable(self) -> bool:
        """Whether another request may be sent on it."""
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(Broken("the connection ended"))

    def send(self, octets: bytes) -> asyncio.Future[Answer]:
        """Sends a request; its answer to come."""
        assert self.transport is not None
        self._read.clear()
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(octets)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(_END_OF_HEAD)
        if end < 0 or self._waiting is None or self._waiting.done():
            return
        status, fields = _head(bytes(self._read[:end]))
        length = int(fields.get(b"content-length", b"0"))
        body = self._read[end + 4 :]
        if len(body) >= length:
            if fields.get(b"connection", b"").lower() == b"close" and self.transport is not None:
                self.transport.close()
            self._waiting.set_result(Answer(status, bytes(body), float(fields.get(b"retry-after", b"0"))))


class Requests:
    """Sends requests to `host`:`port`, at most `most` at a time, over as many kept connections."""

    def __init__(self, host: str, port: int, most: int) -> None:
        self._host, self._port = host, port
        self._turn = asyncio.Semaphore(most)
        self._idle: deque[_Connection] = deque()

    async def post(self, path: str, body: bytes, authorization: str = "") -> Answer:
        """The answer to a JSON body. Raises Broken, OSError, TimeoutError."""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{authorization}\r\n"
        )
        async with self._turn:
            connection = self._idle.pop() if self._idle else await self._connect()
            while not connection.usable:
                connection = self._idle.pop() if self._idle else await self._connect()
            sent = time.perf_counter()
            answer = await asyncio.wait_for(connection.send(head.encode() + body), TIMEOUT_SECONDS)
            if connection.usable:
                self._idle.append(connection)
            return replace(answer, seconds=time.perf_counter() - sent)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection

    def close(self) -> None:
        """Closes what is kept."""
        for connection in self._idle:
            if connection.transport:
                connection.transport.close()


class EventStream(asyncio.Protocol):
    """One event stream (WHATWG HTML, 9.2). `on_event` gets each event's data, `on_end` is told once that it is over."""

    def __init__(self, request: bytes, on_event: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._request, self._on_event, self._on_end = request, on_event, on_end
        self._read, self._text = bytearray(), bytearray()
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        """The status, once its head has come; with what was answered instead if it is not 200."""

    @classmethod
    async def open(
        cls, host: str, port: int, authorization: str, path: str, on_event: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> tuple[EventStream, Answer]:  # fmt: skip
        """The stream, and how its opening was answered. Raises Broken, OSError, TimeoutError."""
        request = f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\naccept: text/event-stream\r\n{authorization}\r\n"
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: cls(request.encode(), on_event, on_end), host, port)
        try:
            return stream, await asyncio.wait_for(asyncio.shield(stream.opened), TIMEOUT_SECONDS)
        except BaseException:
            stream.close()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Broken("the stream ended before it began"))
        self._on_end()

    def close(self) -> None:
        """Ends it."""
        if self._transport:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self.opened.done():
            end = self._read.find(_END_OF_HEAD)
            if end < 0:
                return
            status, fields = _head(bytes(self._read[:end]))
            del self._read[: end + 4]
            self.opened.set_result(Answer(status, b"", float(fields.get(b"retry-after", b"0"))))
            if status != 200:
                self.close()
                return
        self._take_chunks()

    def _take_chunks(self) -> None:
        """Chunked transfer coding (RFC 9112 section 7.1)."""
        while (end := self._read.find(b"\r\n")) >= 0:
            size = int(self._read[:end].split(b";")[0], 16)
            if len(self._read) < end + 4 + size:
                return
            self._text += self._read[end + 2 : end + 2 + size]
            del self._read[: end + 4 + size]
            if size == 0:
                self.close()
                return
        while (end := self._text.find(b"\n\n")) >= 0:
            for line in bytes(self._text[:end]).split(b"\n"):
                if line.startswith(b"data:"):
                    self._on_event(line[5:])
            del self._text[: end + 2]
