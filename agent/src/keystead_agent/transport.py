"""What holds for every connection of the agent to a server: whom it trusts, through which proxy, how long it waits. In
words that httpx and the standard library both understand, for what waits for days does without the first."""

from __future__ import annotations

import email.utils
import ssl
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from keystead_agent import __version__

HEADERS = {"User-Agent": f"keystead-agent/{__version__}", "Accept-Encoding": "identity"}

CONNECT_LIMIT = 10.0
ANSWER_LIMIT = 30.0
LONGEST_RETRY_AFTER = 3600.0
SILENCE_LIMIT = 45.0
"""Seconds without a byte after which a stream is dead: three of the server's keep-alive comments."""


def through_proxy(origin: str) -> bool:
    """Whether the system's proxy is for the server at `origin`: variables, on Windows else the account's Internet
    settings with their exceptions."""
    host = urlsplit(origin).hostname or ""
    return origin.startswith("https:") and not urllib.request.proxy_bypass(host)


def _system_trust() -> ssl.SSLContext:
    """What this computer trusts. On Windows that is asked of Windows itself, as browsers do: it has roots that come by
    policy, and gets others when they are first needed."""
    if sys.platform == "win32":
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context()


def tls(ca_file: Path | None) -> ssl.SSLContext:
    """TLS to a server, which may also be trusted by a root of `ca_file` (PEM)."""
    context = _system_trust()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def is_for_later(status: int) -> bool:
    """Whether the same request may have another answer than `status` later."""
    return status >= 500 or status in (408, 425, 429)


def retry_after(value: str) -> float:
    """Seconds from a Retry-After field (RFC 9110 section 10.2.3): a number or a date."""
    if value.isdecimal():
        seconds = float(value)
    else:
        when = http_date(value)
        seconds = when.timestamp() - time.time() if when else 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def http_date(value: str) -> datetime | None:
    """An HTTP-date, None if it is not one."""
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
