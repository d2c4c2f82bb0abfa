"""The tables of enroll, and how the domain's dataclasses map onto them (imperatively: the domain knows nothing)."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    text,
)
from sqlalchemy.orm import registry, relationship

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_contracts.identity import SignInMethod
from keystead_enroll.adapters import administration_tables as _administration_tables  # noqa: F401 part of the schema
from keystead_enroll.adapters import attestation_tables as _attestation_tables  # noqa: F401 part of the schema
from keystead_enroll.adapters import bulk_tables as _bulk_tables  # noqa: F401 part of the schema
from keystead_enroll.adapters.columns import ID, OBJECT, TEXTS, EnumList, EnumNumber, EnumText
from keystead_enroll.adapters.columns import metadata as metadata
from keystead_enroll.adapters.form_names import keep_names
from keystead_enroll.adapters.status_tables import AUTHORITY, note_change
from keystead_enroll.domain.certificate_record import Certificate, IntentState, IssuanceIntent
from keystead_enroll.domain.enrollment import (
    Authorization,
    CertificateProfile,
    CsrGenerationMethod,
    Department,
    EnrollmentForm,
    LicenceTerms,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.jobs import Job, JobState
from keystead_enroll.domain.key_usages import KeyUsage
from keystead_enroll.domain.orders import Channel, Claim, Device, Order, OrderState, OrderTransition, Urgency
from keystead_enroll.domain.registration_tokens import RegistrationToken
from keystead_enroll.domain.visits import PortalSession
from keystead_kit.db import UtcDateTime
from keystead_kit.outbox import Inbox, Outbox

SERVICE = "enroll"


outbox = Outbox(metadata, SERVICE)
inbox = Inbox(metadata)

organizations = Table(
    "organizations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(256), nullable=False, unique=True),
    Column("email_domains", TEXTS, nullable=False),
    Column("dns_domains", TEXTS, nullable=False),
    Column("home_organization", String(256), unique=True, index=True),
    Column("created_at", UtcDateTime),
)
departments = Table(
    "departments",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", String(256), nullable=False),
    Column("email_domains", TEXTS, nullable=False),
    Column("dns_domains", TEXTS, nullable=False),
    Column("home_organization", String(256), unique=True, index=True),
    Column("created_at", UtcDateTime),
    UniqueConstraint("organization_id", "name"),
)
profiles = Table(
    "certificate_profiles",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("certificate_type", EnumText(CertificateType), nullable=False),
    Column("key_algorithms", EnumList(KeyAlgorithm), nullable=False),
    Column("term_days", TEXTS, nullable=False),
    Column("subject", Text, nullable=False),
    Column("subject_alternative_names", TEXTS, nullable=False),
    Column("minimum_assurance", EnumText(AssuranceLevel), nullable=False),
    Column("scope", EnumText(CertificateScope)),
    Column("device_name_pattern", Text, nullable=False),
    Column("renewal_window_days", Integer, nullable=False),
    Column("policy_oids", TEXTS, nullable=False),
    Column("key_usages", EnumList(KeyUsage), nullable=False),
    Column("extended_key_usages", TEXTS, nullable=False),
    Column("idp_groups", TEXTS, nullable=False),
    Column("organization_ids", TEXTS, nullable=False),
    Column("notice_days", TEXTS, nullable=False),
    Column("connector", String(64), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcDateTime),
)
forms = Table(
    "enrollment_forms",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(256), nullable=False),
    Column("certificate_type", EnumText(CertificateType), nullable=False),
    Column("uri_extension", String(58), nullable=False, unique=True),
    Column("methods", EnumList(SignInMethod), nullable=False),
    Column("help_text", String(2048), nullable=False),
    Column("help_link", Text),
    Column("version", Integer, nullable=False),
    Column("published", OBJECT, nullable=False),
    Column("organization_ids", TEXTS, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcDateTime),
)
accounts = Table(
    "web_form_accounts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("form_id", ForeignKey("enrollment_forms.id"), nullable=False, index=True),
    Column("name", String(128), nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("department_id", ForeignKey("departments.id")),
    Column("profile_ids", TEXTS, nullable=False),
    Column("csr_method", EnumText(CsrGenerationMethod), nullable=False),
    Column("authorization", EnumText(Authorization), nullable=False),
    Column("access_code_digest", String(64), unique=True),
    Column("automatic_approval", Boolean, nullable=False),
    Column("idp_rules", TEXTS, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcDateTime),
    UniqueConstraint("form_id", "organization_id", "name"),
)
registration_tokens = Table(
    "registration_tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("owner", String(254)),
    Column("expires_at", UtcDateTime),
    Column("group", String(128), nullable=False, server_default=""),
    Column("most_devices", Integer),
    Column("uses", Integer, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime),
    Column("created_by", String(256), nullable=False, server_default=""),
    Column("revoked_at", UtcDateTime),
    UniqueConstraint("organization_id", "name"),
)
_CURRENT = text("current")
"""One version is current at most, whatever happens at once."""
licences = Table(
    "licence_terms",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("text", Text, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("published_at", UtcDateTime),
    Index("ix_licence_terms_current", "current", unique=True, postgresql_where=_CURRENT, sqlite_where=_CURRENT),
)
sessions = Table(
    "portal_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("form_id", ForeignKey("enrollment_forms.id"), nullable=False),
    Column("email", String(254), nullable=False),
    Column("name", String(256)),
    Column("method", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("account_id", ForeignKey("web_form_accounts.id")),
    Column("unlocked_account_id", ForeignKey("web_form_accounts.id")),
    Column("identity_provider", ID),
    Column("identity_provider_organizations", TEXTS, nullable=False),
    Column("attributes", OBJECT, nullable=False),
    Column("attributes_cut", TEXTS, nullable=False, server_default="[]"),
    Column("persons", TEXTS, nullable=False),
)
burned = Table(
    "burned_identities",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
)
_IN_BULK = text("bulk_job_id IS NOT NULL")
_ACCEPTED = text("state = 'csr_accepted'")
"""Orders that wait to be issued; only they are in the index by which issuance finds them."""
orders = Table(
    "orders",
    metadata,
    Column("id", ID, primary_key=True),
    Column("form_id", ForeignKey("enrollment_forms.id")),
    Column("account_id", ForeignKey("web_form_accounts.id")),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("profile_id", ForeignKey("certificate_profiles.id"), nullable=False),
    Column("certificate_type", EnumText(CertificateType), nullable=False),
    Column("person_email", String(254), nullable=False),
    Column("person_name", String(256)),
    Column("key_algorithm", EnumText(KeyAlgorithm), nullable=False),
    Column("term_days", Integer, nullable=False),
    Column("names", JSON, nullable=False),
    Column("recipient", String(48), nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("licence_version", String(64)),
    Column("state", EnumText(OrderState), nullable=False),
    Column("state_at", UtcDateTime, nullable=False),
    Column("machine", String(253), nullable=False),
    Column("agent_seen_at", UtcDateTime),
    Column("csr_pem", Text),
    Column("spki_sha256", String(64)),
    Column("evidence", JSON(none_as_null=True)),
    Column("assurance", EnumText(AssuranceLevel)),
    Column("key_location", String(1024), nullable=False),
    Column("failure_code", String(64), nullable=False),
    Column("failure_reason", Text, nullable=False),
    Column("failure_advice", Text, nullable=False),
    Column("failure_words", JSON(none_as_null=True)),
    Column("request_digest", String(64)),
    Column("department_id", ForeignKey("departments.id")),
    Column("csr_method", EnumText(CsrGenerationMethod), nullable=False),
    Column("language", String(35), nullable=False, server_default=""),
    Column("supersedes", ID),
    Column("channel", EnumText(Channel), nullable=False, server_default=Channel.FORM.value),
    Column("urgency", EnumNumber(Urgency), nullable=False, server_default=str(Urgency.SOMEBODY_WAITS.value)),
    Column("requested_by", String(256), nullable=False, server_default=""),
    Column("scope", EnumText(CertificateScope)),
    Column("bulk_job_id", ID),
    Index(
        "ix_orders_bulk_job_id_state_state_at",
        "bulk_job_id",
        "state",
        "state_at",
        postgresql_where=_IN_BULK,
        sqlite_where=_IN_BULK,
    ),
    Index("ix_orders_spki_sha256", "spki_sha256", unique=True),
    Index("ix_orders_request_digest", "request_digest", unique=True),
    Index("ix_orders_state_state_at", "state", "state_at"),
    Index(
        "ix_orders_accepted",
        "urgency",
        "organization_id",
        "state_at",
        postgresql_where=_ACCEPTED,
        sqlite_where=_ACCEPTED,
    ),
    Index("ix_orders_form_id_person_email", "form_id", "person_email"),
    Index("ix_orders_recipient", "recipient"),
    Index("ix_orders_created_at_id", "created_at", "id"),
    Index("ix_orders_organization_id_created_at", "organization_id", "created_at"),
)
transitions = Table(
    "order_transitions",
    metadata,
    Column("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("source", EnumText(OrderState)),
    Column("target", EnumText(OrderState), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("note", Text, nullable=False),
)
claims = Table(
    "enrollment_claims",
    metadata,
    Column("id", ID, primary_key=True),
    Column("order_id", ForeignKey("orders.id"), nullable=False, index=True),
    Column("token_digest", String(64), nullable=False, unique=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("agent_secret_digest", String(64)),
    Column("redeemed_at", UtcDateTime),
    Column("resumable_until", UtcDateTime),
)
devices = Table(
    "devices",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", String(253), nullable=False),
    Column("platform", String(64), nullable=False),
    Column("public_key_pem", Text, nullable=False),
    Column("spki_sha256", String(64), nullable=False, unique=True),
    Column("owner", String(254), index=True),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime),
    Column("machine", OBJECT, nullable=False),
    Column("stream_holder", String(32)),
    Column("stream_seen_at", UtcDateTime),
    Column("ek_sha256", String(64)),
    Column("assurance", EnumText(AssuranceLevel)),
    Column("attested_at", UtcDateTime),
    Column("same_as", ID),
    Column("group", String(128), nullable=False, server_default=""),
    Column("token_id", ID),
    Column("token_name", String(128), nullable=False, server_default=""),
    Index("ix_devices_organization_id_ek_sha256", "organization_id", "ek_sha256", unique=True),
    Index("ix_devices_organization_id_name", "organization_id", "name"),
)
jobs = Table(
    "device_jobs",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("id", ID, nullable=False, unique=True),
    Column("recipient", String(48), nullable=False),
    Column("order_id", ForeignKey("orders.id"), nullable=False, index=True),
    Column("trace_id", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("organization", String(256), nullable=False),
    Column("profile", String(128), nullable=False),
    Column("state", EnumText(JobState), nullable=False),
    Column("report_digest", String(64)),
    Column("refusal", JSON(none_as_null=True)),
    Column("done_at", UtcDateTime),
    UniqueConstraint("order_id", "recipient", "kind"),
    Index("ix_device_jobs_recipient_state_sequence", "recipient", "state", "sequence"),
    sqlite_autoincrement=True,
)
intents = Table(
    "issuance_intents",
    metadata,
    Column("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("serial", String(40), nullable=False, unique=True),
    Column("precertificate", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("leased_until", UtcDateTime, nullable=False),
    Column("state", EnumText(IntentState), nullable=False),
    Index("ix_issuance_intents_state_leased_until", "state", "leased_until"),
)
_REVOKED = text("revoked_at IS NOT NULL")
"""Those that revocation lists have."""
certificates = Table(
    "certificates",
    metadata,
    Column("id", ID, primary_key=True),
    Column("order_id", ForeignKey("orders.id"), nullable=False, unique=True),
    Column("form_id", ForeignKey("enrollment_forms.id")),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("owner", String(254), nullable=False),
    Column("profile_id", ForeignKey("certificate_profiles.id"), nullable=False),
    Column("certificate_type", EnumText(CertificateType), nullable=False),
    Column("key_algorithm", EnumText(KeyAlgorithm), nullable=False),
    Column("assurance", EnumText(AssuranceLevel), nullable=False),
    Column("serial", String(40), nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("names", TEXTS, nullable=False),
    Column("sha1", String(40), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("chain_pem", TEXTS, nullable=False),
    Column("root_pem", Text, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False, index=True),
    Column("renews_at", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("machine", String(253), nullable=False),
    Column("location", String(1024), nullable=False),
    Column("reasons", JSON(none_as_null=True)),
    Column("revoked_at", UtcDateTime),
    Column("revocation_reason", String(32)),
    Column("department_id", ForeignKey("departments.id")),
    Column("revocation_note", Text, nullable=False),
    Column("authority", AUTHORITY, nullable=False, server_default=""),
    Column("held_by_owner", Boolean, nullable=False, server_default=false()),
    Index("ix_certificates_revoked", "authority", "not_after", postgresql_where=_REVOKED, sqlite_where=_REVOKED),
    Index("ix_certificates_form_id_owner", "form_id", "owner"),
    Index("ix_certificates_issued_at_id", "issued_at", "id"),
    Index("ix_certificates_organization_id_issued_at", "organization_id", "issued_at"),
)

_mapper = registry(metadata=metadata)
for _class, _table in (
    (Organization, organizations),
    (Department, departments),
    (CertificateProfile, profiles),
    (EnrollmentForm, forms),
    (WebFormAccount, accounts),
    (RegistrationToken, registration_tokens),
    (LicenceTerms, licences),
    (PortalSession, sessions),
    (OrderTransition, transitions),
    (Claim, claims),
    (Device, devices),
    (Job, jobs),
    (IssuanceIntent, intents),
    (Certificate, certificates),
):
    _mapper.map_imperatively(_class, _table)
_mapper.map_imperatively(
    Order,
    orders,
    properties={
        "log": relationship(OrderTransition, order_by=transitions.c.position, cascade="all, delete-orphan"),
    },
)
for _written in ("after_insert", "after_update"):
    event.listen(EnrollmentForm, _written, keep_names)
event.listen(Certificate, "after_update", note_change)
