"""Waiting for a server with next to nothing in memory: one open stream, of which only the first news matters.

Whoever hears the bell starts a process that opens the stream itself and gets everything again: what is heard here is
not kept, so nothing can get lost here. Imports neither pydantic nor httpx.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from keystead_agent.backoff import Backoff
from keystead_agent.sse import EventTooLong, events
from keystead_agent.transport import HEADERS, SILENCE_LIMIT, is_for_later, retry_after, through_proxy, tls

CHUNK = 65536
DEAF_LIMIT = 600.0
"""Seconds without the server after which the bell rings all the same: whoever comes on duty has httpx, which knows some
more kinds of proxies than the standard library."""


@dataclass(frozen=True)
class StreamRequest:
    """The request that opens a stream at the server at `origin`, with all that it needs; events of another name than
    `event` are nobody's business."""

    origin: str
    path: str
    event: str
    headers: Mapping[str, str]
    ca_file: Path | None = None


@dataclass(frozen=True)
class Idle:
    """What a process with nothing to do waits for: news on the stream of `request`, other than the events `heard`
    already, or that one of `files` is no longer what it was (see `stamp`)."""

    request: StreamRequest | None = None
    heard: frozenset[str] = frozenset()
    files: Mapping[Path, int] = field(default_factory=dict)


def stamp(file: Path) -> int:
    """Another number whenever `file` was written, 0 while it is not there or cannot be seen."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def await_ring(
    request: StreamRequest, heard: frozenset[str], over: threading.Event, *, deaf_limit: float = DEAF_LIMIT
) -> None:
    """Returns at news, at a refusal, and when the server ends the stream, whose token is then at its end too; when
    `over` is set it returns at the next sign of the server. A server that is away is tried again, for `deaf_limit`
    seconds."""
    backoff, deaf_since = Backoff(), time.monotonic()
    while not over.is_set() and time.monotonic() - deaf_since < deaf_limit:
        wait = 0.0
        try:
            with _opened(request) as answer:
                backoff.reset()
                try:
                    news = _has_news(answer, request.event, heard, over, backoff)
                finally:
                    deaf_since = time.monotonic()
            if not news:  # all agents of a server that is started again see that at once
                over.wait(backoff.next())
            return
        except HTTPError as refusal:
            with refusal:
                if not is_for_later(refusal.code):
                    return
                wait = retry_after(refusal.headers.get("Retry-After", ""))
        except (OSError, HTTPException):
            pass
        over.wait(backoff.next(wait))


def _opened(request: StreamRequest) -> HTTPResponse:
    """The answer to `request`. Raises HTTPError if that is a refusal or leads elsewhere, OSError, HTTPException."""
    proxies = ProxyHandler() if through_proxy(request.origin) else ProxyHandler({})
    opener = build_opener(proxies, HTTPSHandler(context=tls(request.ca_file)), _Straight())
    wanted = Request(request.origin + request.path, headers={**HEADERS, **request.headers})  # noqa: S310 http(s) alone
    answer: HTTPResponse = opener.open(wanted, timeout=SILENCE_LIMIT)
    return answer


class _Straight(HTTPRedirectHandler):
    """Takes the token nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None


def _has_news(answer: HTTPResponse, name: str, heard: frozenset[str], over: threading.Event, backoff: Backoff) -> bool:
    """Whether an event came that is news; else the stream is at its end, or `over` is set. Raises OSError,
    HTTPException."""
    chunks = iter(lambda: b"" if over.is_set() else answer.read1(CHUNK), b"")
    try:
        return any(event.name == name and event.last_id not in heard for event in events(chunks, retry=backoff.spread))
    except EventTooLong:
        return True
