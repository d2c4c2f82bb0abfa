"""One trace id from the browser's click to the installed certificate (W3C Trace Context)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
_current: ContextVar[str | None] = ContextVar("keystead_trace_id", default=None)


def new_trace_id() -> str:
    """A fresh trace-id: 32 lower-case hex digits."""
    return secrets.token_hex(16)


def parse_traceparent(header: str | None) -> str | None:
    """The trace-id of a `traceparent` header (section 3.2), or None if it is absent or malformed."""
    match = _TRACEPARENT.match(header or "")
    return match[1] if match and set(match[1]) != {"0"} else None


def format_traceparent(trace_id: str) -> str:
    """A `traceparent` header that carries `trace_id` with a fresh parent-id."""
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"


def current_trace_id() -> str:
    """The trace id of what is being done now; a fresh one outside any trace."""
    return _current.get() or new_trace_id()


@contextmanager
def tracing(trace_id: str | None) -> Iterator[str]:
    """What happens inside belongs to `trace_id` (a fresh one for None)."""
    chosen = trace_id or new_trace_id()
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


def bound_trace_id() -> str | None:
    """The trace id in force, or None."""
    return _current.get()
