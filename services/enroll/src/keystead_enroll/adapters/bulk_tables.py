"""The tables of bulk jobs, and how the domain's dataclasses map onto them."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, text
from sqlalchemy.orm import registry

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_enroll.adapters.columns import ID, TEXTS, EnumText, metadata
from keystead_enroll.domain.bulk_jobs import BulkChunk, BulkFormat, BulkJob, BulkRow, BulkState, EarlierOrder, RowState
from keystead_kit.db import UtcDateTime

jobs = Table(
    "bulk_jobs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(256), nullable=False),
    Column("format", EnumText(BulkFormat), nullable=False),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("department_id", ForeignKey("departments.id")),
    Column("certificate_type", EnumText(CertificateType), nullable=False),
    Column("profile_id", ForeignKey("certificate_profiles.id")),
    Column("key_algorithm", EnumText(KeyAlgorithm)),
    Column("term_days", Integer),
    Column("owner", String(254)),
    Column("lists_tpms", Boolean, nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("actor_kind", String(32), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("state", EnumText(BulkState), nullable=False),
    Column("state_at", UtcDateTime, nullable=False),
    Column("digest", String(64), unique=True),
    Column("octets", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("reading", JSON(none_as_null=True)),
    Column("read_octets", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("tpms_listed", Integer, nullable=False),
    Column("read_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("columns", TEXTS, nullable=False),
    Column("refusal", JSON(none_as_null=True)),
    Index("ix_bulk_jobs_state_state_at", "state", "state_at"),
    Index("ix_bulk_jobs_created_at_id", "created_at", "id"),
    Index("ix_bulk_jobs_organization_id_created_at", "organization_id", "created_at"),
)
chunks = Table(
    "bulk_chunks",
    metadata,
    Column("job_id", ForeignKey("bulk_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("octets", LargeBinary, nullable=False),
)
_WAITING = text("state = 'waiting'")
"""The rows among which a machine that registers looks for its own."""
rows = Table(
    "bulk_rows",
    metadata,
    Column("job_id", ForeignKey("bulk_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("organization_id", ID, nullable=False),
    Column("state", EnumText(RowState), nullable=False),
    Column("cells", JSON(none_as_null=True)),
    Column("mistakes", JSON(none_as_null=True)),
    Column("row_key", String(64)),
    Column("device_name", String(253), nullable=False),
    Column("ek_sha256", String(64)),
    Column("device_id", ID),
    Column("named_device_id", ID),
    Column("by_name", Boolean, nullable=False),
    Column("profile_id", ID),
    Column("department_id", ID),
    Column("key_algorithm", EnumText(KeyAlgorithm)),
    Column("term_days", Integer),
    Column("owner", String(254), nullable=False),
    Column("owner_name", String(256)),
    Column("names", JSON(none_as_null=True)),
    Column("order_id", ID),
    Index("ix_bulk_rows_row_key", "row_key", unique=True),
    Index("ix_bulk_rows_job_id_state_line", "job_id", "state", "line"),
    Index("ix_bulk_rows_order_id", "order_id", unique=True),
    Index(
        "ix_bulk_rows_waiting_ek",
        "organization_id",
        "ek_sha256",
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    ),
    Index(
        "ix_bulk_rows_waiting_name",
        "organization_id",
        "device_name",
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    ),
)
earlier_orders = Table(
    "bulk_earlier_orders",
    metadata,
    Column("order_id", ID, primary_key=True),
    Column("job_id", ForeignKey("bulk_jobs.id", ondelete="CASCADE"), nullable=False),
    Column("line", Integer, nullable=False),
    Index("ix_bulk_earlier_orders_job_id_line", "job_id", "line"),
)

_mapper = registry(metadata=metadata)
for _class, _table in ((BulkJob, jobs), (BulkChunk, chunks), (BulkRow, rows), (EarlierOrder, earlier_orders)):
    _mapper.map_imperatively(_class, _table)
