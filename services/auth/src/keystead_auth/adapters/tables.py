"""auth's tables. The migrations in `migrations/versions` make them."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table, Text

from keystead_kit.db import UtcDateTime, new_metadata
from keystead_kit.outbox import Inbox, Outbox

SERVICE = "auth"

metadata = new_metadata()
outbox = Outbox(metadata, SERVICE)
inbox = Inbox(metadata)

forms = Table(
    "forms",
    metadata,
    Column("uri", String(58), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", String(200), nullable=False),
    Column("organization", Text, nullable=False),
    Column("methods", JSON, nullable=False),
    Column("email_domains", JSON, nullable=False),
    Column("help_text", Text, nullable=False),
    Column("help_link", Text, nullable=True),
    Column("withdrawn", Boolean, nullable=False),
)

sign_in_requests = Table(
    "sign_in_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("form", String(58), nullable=False),
    Column("email", String(254), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("requested_from", String(64), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("language", String(35), nullable=False, server_default=""),
    Column("decision", String(16), nullable=True),
    Column("decided_at", UtcDateTime, nullable=True),
    Index("ix_sign_in_requests_decision_requested_at", "decision", "requested_at"),
)

links = Table(
    "links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("form", String(58), nullable=False),
    Column("email", String(254), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("used_at", UtcDateTime, nullable=True),
    Column("used_by", String(64), nullable=True),
    Index("ix_links_expires_at", "expires_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("email", String(254), nullable=False),
    Column("method", String(16), nullable=False),
    Column("link", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_sessions_link", "link"),
    Index("ix_sessions_expires_at", "expires_at"),
)
