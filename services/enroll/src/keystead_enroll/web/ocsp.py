"""The OCSP responder's door: RFC 6960 appendix A.1 over HTTP, with the caching of RFC 5019 section 6.

It stands before the rest of the application, because relying parties ask thousands of times a second and need nothing
of what surrounds a page. Requests that come while others are looked up are looked up together after them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial

from anyio import CapacityLimiter, to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from keystead_enroll.domain.ocsp import MALFORMED, MOST_REQUEST_OCTETS, TRY_LATER, OcspAnswer
from keystead_enroll.domain.status import OCSP
from keystead_kit.clock import Clock
from keystead_kit.logs import get_logger
from keystead_kit.metrics import HTTP_REQUESTS
from keystead_kit.threads import STATUS_THREADS

MOST_WAITING, MOST_TOGETHER = 2000, 64
_BELOW = f"{OCSP}/"
_TYPE = (b"content-type", b"application/ocsp-response")
_log = get_logger()
Answer = Callable[[Sequence[bytes]], Sequence[OcspAnswer]]
Header = tuple[bytes, bytes]


class Together:
    """Has requests answered in a thread, those that came meanwhile together."""

    def __init__(self, answer: Answer, most: int = MOST_WAITING) -> None:
        self._answer, self._most, self._one = answer, most, CapacityLimiter(STATUS_THREADS)
        self._waiting: deque[tuple[bytes, asyncio.Future[OcspAnswer]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, request: bytes) -> OcspAnswer:
        """The answer; `TRY_LATER` if too many wait, or if the database does not answer."""
        if len(self._waiting) >= self._most:
            return TRY_LATER
        future: asyncio.Future[OcspAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
                answers = await self._answered([request for request, _ in batch])
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
        finally:
            self._worker = None

    async def _answered(self, requests: list[bytes]) -> Sequence[OcspAnswer]:
        try:
            return await to_thread.run_sync(partial(self._answer, requests), limiter=self._one)
        except Exception:
            _log.exception("OCSP requests not answered", requests=len(requests))
            return [TRY_LATER] * len(requests)


class OcspDoor:
    """Answers at and below `/ocsp`; everything else goes on to `app`. `kept`: for how long caches may give out an
    answer without asking again."""

    def __init__(self, app: ASGIApp, *, answer: Answer, clock: Clock, kept: timedelta, service: str) -> None:
        self._app, self._clock, self._kept, self._service = app, clock, kept, service
        self._together = Together(answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (scope["path"] == OCSP or scope["path"].startswith(_BELOW)):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
        status, headers, body = await self._answer(method, scope["path"], receive)
        HTTP_REQUESTS.labels(self._service, method, OCSP, str(status)).observe(time.perf_counter() - started)
        headers += [(b"content-length", b"%d" % len(body)), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _answer(self, method: str, path: str, receive: Receive) -> tuple[int, list[Header], bytes]:
        fresh = [(b"cache-control", b"no-store")]
        if method == "POST" and path == OCSP:
            request = await _body(receive)
            if request is None:
                return 413, [_TYPE, (b"connection", b"close"), *fresh], MALFORMED.der
            answer = await self._together.ask(request)
            return 200, [_TYPE, *fresh], answer.der
        if method in ("GET", "HEAD") and path.startswith(_BELOW):
            decoded = _decoded(path.removeprefix(_BELOW))
            answer = MALFORMED if decoded is None else await self._together.ask(decoded)
            return 200, [_TYPE, *(self._cached(answer) if answer.cacheable else fresh)], answer.der
        allowed = b"POST" if path == OCSP else b"GET, HEAD"
        return 405, [(b"allow", allowed), *fresh], b""

    def _cached(self, answer: OcspAnswer) -> list[Header]:
        """RFC 5019 section 6.2."""
        if answer.since is None or answer.until is None:
            raise ValueError("a refusal is not cached")
        seconds = max(0, int(min(self._kept, answer.until - self._clock.now()).total_seconds()))
        return [
            (b"cache-control", b"max-age=%d, public, no-transform, must-revalidate" % seconds),
            (b"last-modified", _date(answer.since)),
            (b"expires", _date(answer.until)),
            (b"etag", b'"%s"' % hashlib.sha256(answer.der).hexdigest()[:32].encode()),
        ]


def _date(moment: datetime) -> bytes:
    return format_datetime(moment, usegmt=True).encode()


async def _body(receive: Receive) -> bytes | None:
    """The body; None if it is too large to be a request."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MOST_REQUEST_OCTETS:
            return None
        if not message.get("more_body", False):
            return body


def _decoded(text: str) -> bytes | None:
    """The request in an address: base64 (RFC 6960 appendix A.1), also with what clients and proxies make of it: the
    alphabet for addresses, a blank for a plus sign, no padding. None if it is none."""
    plain = text.translate(_VARIANTS).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


_VARIANTS = str.maketrans("-_ ", "+/+")
