"""The tables of who administers, who is known by name, who vouches, and what was done."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, text
from sqlalchemy.orm import registry

from keystead_contracts.base import CertificateType
from keystead_contracts.people import AdministratorMethod, IdentityProviderKind, IdentityProviderState
from keystead_enroll.adapters.columns import ID, OBJECT, TEXTS, EnumList, EnumText, metadata
from keystead_enroll.domain.administration import ActorKind, Administrator, ApiToken, AuditEntry, ConsoleSession
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.persons import Person
from keystead_kit.db import UtcDateTime

persons = Table(
    "persons",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("department_id", ForeignKey("departments.id")),
    Column("email", String(254), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("upn", String(254)),
    Column("secret_id_hash", String(256)),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime),
    Column("invited_at", UtcDateTime),
    UniqueConstraint("organization_id", "email"),
)
identity_providers = Table(
    "identity_providers",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("kind", EnumText(IdentityProviderKind), nullable=False),
    Column("metadata_url", Text),
    Column("metadata_xml", Text),
    Column("metadata_certificate", Text),
    Column("issuer", Text),
    Column("client_id", String(256)),
    Column("client_secret_name", String(128)),
    Column("attributes", OBJECT, nullable=False),
    Column("organization_ids", TEXTS, nullable=False),
    Column("for_persons", Boolean, nullable=False),
    Column("for_administrators", Boolean, nullable=False),
    Column("idp_initiated", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime),
    Column("state", EnumText(IdentityProviderState)),
    Column("state_detail", Text, nullable=False),
    Column("state_words", JSON(none_as_null=True)),
    Column("entity_id", Text, nullable=False),
    Column("valid_until", UtcDateTime),
    Column("checked_at", UtcDateTime),
)
administrators = Table(
    "administrators",
    metadata,
    Column("id", ID, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(256), nullable=False),
    Column("methods", EnumList(AdministratorMethod), nullable=False),
    Column("grants", TEXTS, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("invitation", Integer, nullable=False),
    Column("created_at", UtcDateTime),
    Column("last_seen_at", UtcDateTime),
    Column("approvals_told_at", UtcDateTime),
    Column("language", String(35), nullable=False, server_default=""),
)
approval_notices = Table(
    "approval_notices",
    metadata,
    Column("administrator_id", ForeignKey("administrators.id"), primary_key=True),
    Column("order_id", ForeignKey("orders.id"), primary_key=True, index=True),
    Column("at", UtcDateTime, nullable=False),
)
"""Of which waiting requests an administrator was written, until they wait no longer."""
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("administrator_id", ForeignKey("administrators.id"), nullable=False, index=True),
    Column("grants", TEXTS, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)
console_sessions = Table(
    "console_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("administrator_id", ForeignKey("administrators.id"), nullable=False, index=True),
    Column("method", EnumText(AdministratorMethod), nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("address", String(64), nullable=False),
    Column("sign_in", ID, nullable=False, server_default=""),
)
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_kind", EnumText(ActorKind), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target_id", String(64), nullable=False, index=True),
    Column("target", String(256), nullable=False),
    Column("organization_id", ID),
    Column("department_id", ID),
    Column("certificate_type", EnumText(CertificateType)),
    Column("details", JSON, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Index("ix_audit_entries_organization_id_id", "organization_id", "id"),
    sqlite_autoincrement=True,
)
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("actor_id", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("target_id", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
)
_FOR_ALL = text("organization_id IS NULL")
endorsement_keys = Table(
    "endorsement_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), index=True),
    Column("sha256", String(64), nullable=False),
    Column("ruling", EnumText(Ruling), nullable=False),
    Column("label", String(128), nullable=False),
    Column("serial_number", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(256), nullable=False),
    UniqueConstraint("sha256", "organization_id"),
    Index("ix_endorsement_keys_for_all", "sha256", unique=True, postgresql_where=_FOR_ALL, sqlite_where=_FOR_ALL),
)

_mapper = registry(metadata=metadata)
for _class, _table in (
    (Person, persons),
    (IdentityProvider, identity_providers),
    (Administrator, administrators),
    (ApiToken, api_tokens),
    (ConsoleSession, console_sessions),
    (AuditEntry, audit_entries),
    (EndorsementKey, endorsement_keys),
):
    _mapper.map_imperatively(_class, _table)
