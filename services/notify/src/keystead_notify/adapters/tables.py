"""notify's tables. The migrations in `migrations/versions` make them."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, Integer, String, Table, Text

from keystead_kit.db import UtcDateTime, new_metadata
from keystead_kit.outbox import Inbox, Outbox

SERVICE = "notify"

metadata = new_metadata()
outbox = Outbox(metadata, SERVICE)
inbox = Inbox(metadata)

letters = Table(
    "letters",
    metadata,
    Column("message_id", String(32), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("recipient", String(254), nullable=False),
    Column("fact", JSON, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("deadline_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    Column("smtp_code", Integer, nullable=True),
    Column("reason", Text, nullable=False),
    Index("ix_letters_due_at", "due_at"),
    Index("ix_letters_ended_at", "ended_at"),
)
"""`due_at`: when to send it, or, while `sending`, when the lease ends; NULL at the end."""
