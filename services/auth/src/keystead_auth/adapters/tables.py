"""auth's tables. The migrations in `migrations/versions` make them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, Text

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
    Column("organization_ids", JSON, nullable=False, server_default="[]"),
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
    Column("identity_provider", String(64), nullable=True),
    Column("name", Text, nullable=True),
    Column("attributes", JSON, nullable=False, server_default="{}"),
    Column("persons", JSON, nullable=False, server_default="{}"),
    Index("ix_sessions_link", "link"),
    Index("ix_sessions_expires_at", "expires_at"),
)

identity_providers = Table(
    "identity_providers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("metadata_url", Text, nullable=True),
    Column("metadata_xml", Text, nullable=True),
    Column("metadata_certificate", Text, nullable=True),
    Column("issuer", Text, nullable=True),
    Column("client_id", Text, nullable=True),
    Column("client_secret_name", Text, nullable=True),
    Column("attributes", JSON, nullable=False),
    Column("organization_ids", JSON, nullable=False),
    Column("for_persons", Boolean, nullable=False),
    Column("for_administrators", Boolean, nullable=False),
    Column("idp_initiated", Boolean, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    # what its metadata said when it was last read, what enroll was told of that, and when it is read again
    Column("material", JSON(none_as_null=True), nullable=True),
    Column("usable_until", UtcDateTime, nullable=True),
    Column("told", JSON(none_as_null=True), nullable=True),
    Column("next_check_at", UtcDateTime, nullable=False),
    Index("ix_identity_providers_next_check_at", "next_check_at"),
)

idp_attempts = Table(
    "idp_attempts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("provider", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("form", String(58), nullable=True),
    Column("relay", String(64), nullable=False),
    Column("browser", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("secrets", JSON, nullable=False),
    Column("answered_at", UtcDateTime, nullable=True),
    Index("ix_idp_attempts_expires_at", "expires_at"),
)

idp_arrivals = Table(
    "idp_arrivals",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("provider", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("form", String(58), nullable=True),
    Column("browser", String(64), nullable=True),
    Column("email", String(254), nullable=False),
    Column("name", Text, nullable=True),
    Column("attributes", JSON, nullable=False),
    Column("session_ends", UtcDateTime, nullable=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Index("ix_idp_arrivals_expires_at", "expires_at"),
)

used_assertions = Table(
    "used_assertions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_used_assertions_expires_at", "expires_at"),
)

persons = Table(
    "persons",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("organization_id", String(64), nullable=False),
    Column("email", String(254), nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_id_hash", String(256), nullable=True),
    Column("removed", Boolean, nullable=False),
    Index("ix_persons_email", "email"),
)

administrators = Table(
    "administrators",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("email", String(254), nullable=False),
    Column("name", Text, nullable=False),
    Column("methods", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("invitation", Integer, nullable=False),
    # auth's own
    Column("password_hash", String(256), nullable=True),
    Column("totp_secret", String(256), nullable=True),
    Column("totp_step", BigInteger, nullable=True),
    Index("ix_administrators_email", "email"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("administrator", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("used_at", UtcDateTime, nullable=True),
)

invitations = Table(
    "invitations",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("administrator", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=True),
    Index("ix_invitations_administrator", "administrator"),
    Index("ix_invitations_expires_at", "expires_at"),
)

administrator_sessions = Table(
    "administrator_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("administrator", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("id", String(32), nullable=False, server_default=""),
    Column("address", String(64), nullable=False, server_default=""),
    Column("user_agent", String(256), nullable=False, server_default=""),
    Index("ix_administrator_sessions_administrator", "administrator"),
    Index("ix_administrator_sessions_expires_at", "expires_at"),
)

half_sessions = Table(
    "half_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("administrator", String(64), nullable=False),
    Column("step", String(16), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("totp_secret", String(256), nullable=True),
    Index("ix_half_sessions_administrator", "administrator"),
    Index("ix_half_sessions_expires_at", "expires_at"),
)

reset_requests = Table(
    "reset_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("email", String(254), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("requested_from", String(64), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("language", String(35), nullable=False),
    Column("decided_at", UtcDateTime, nullable=True),
    Index("ix_reset_requests_decided_at_requested_at", "decided_at", "requested_at"),
)
