"""Structured logs: one JSON object a line on standard error, constant event names, secrets scrubbed here."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from keystead_kit.trace import bound_trace_id

_SECRET_NAME = re.compile(r"(token|secret|password|passphrase|code|claim|cookie|authorization|assertion)$", re.I)
_SECRET_TEXT = re.compile(
    r"(keystead://\S+|(?i:Bearer) \S+|eyJ[\w-]+\.[\w-]+\.[\w-]*|/auth/(?:confirm|saml/continue|administrators/invitation)/[\w-]+|://[^/\s:@]*:[^@/\s]+@"
    r"|keystead\w*_(?:session|identity|visit|administrator|step)=[^;\s]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))",
    re.S,
)
_HARMLESS = {"exit_code", "status_code", "reason_code", "problem_code", "failure_code"}
_SCRUBBED = "[scrubbed]"


def scrub(text: str) -> str:
    """`text` without bearer tokens, JWTs, enrollment and sign-in links, URL credentials, our cookies, private keys."""
    return _SECRET_TEXT.sub(_SCRUBBED, text)


def _scrub_value(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) and name not in _HARMLESS:
        return _SCRUBBED
    match value:
        case str():
            return scrub(value)
        case bytes() | Exception():
            return scrub(repr(value))
        case Mapping():
            return {key: _scrub_value(str(key), item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_scrub_value("", item) for item in value]
    return value


def _scrub_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _scrub_value(key, value)
    return event


def _add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    trace_id = bound_trace_id()
    if trace_id:
        event.setdefault("trace_id", trace_id)
    return event


def configure_logging(service: str, role: str, level: str = "INFO") -> None:
    """Sends structlog's and the standard library's records to standard error as JSON lines."""

    def add_process(_l: object, _m: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"service": service, "role": role, **event}

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        add_process,
    ]
    closing: list[Any] = [
        structlog.processors.format_exc_info,
        _scrub_event,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *closing],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *closing],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in (
        "httpx",
        "httpcore",
        "celery.worker.strategy",
        "celery.app.trace",
        "alembic",
        "uvicorn.access",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get_logger() -> Any:
    """A logger whose records carry the service, the role and the trace id in force."""
    return structlog.get_logger()
