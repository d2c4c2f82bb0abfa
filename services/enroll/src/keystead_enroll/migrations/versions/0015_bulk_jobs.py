"""bulk jobs

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'waiting'")
IN_BULK = sa.text("bulk_job_id IS NOT NULL")


def upgrade() -> None:
    """Adds jobs, the parts of their files, their rows; and which job an order is of."""
    op.create_table(
        "bulk_jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("organization_id", sa.String(32), nullable=False),
        sa.Column("department_id", sa.String(32)),
        sa.Column("certificate_type", sa.String(32), nullable=False),
        sa.Column("profile_id", sa.String(32)),
        sa.Column("key_algorithm", sa.String(32)),
        sa.Column("term_days", sa.Integer()),
        sa.Column("owner", sa.String(254)),
        sa.Column("lists_tpms", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("actor_kind", sa.String(32), nullable=False),
        sa.Column("actor_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("octets", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("reading", sa.JSON()),
        sa.Column("read_octets", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("tpms_listed", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("refusal", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_bulk_jobs_organization_id_organizations"
        ),
        sa.ForeignKeyConstraint(["department_id"], ["departments.id"], name="fk_bulk_jobs_department_id_departments"),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["certificate_profiles.id"], name="fk_bulk_jobs_profile_id_certificate_profiles"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_bulk_jobs"),
        sa.UniqueConstraint("digest", name="uq_bulk_jobs_digest"),
    )
    op.create_index("ix_bulk_jobs_state_state_at", "bulk_jobs", ["state", "state_at"])
    op.create_index("ix_bulk_jobs_created_at_id", "bulk_jobs", ["created_at", "id"])
    op.create_index("ix_bulk_jobs_organization_id_created_at", "bulk_jobs", ["organization_id", "created_at"])
    op.create_table(
        "bulk_chunks",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["bulk_jobs.id"], name="fk_bulk_chunks_job_id_bulk_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_bulk_chunks"),
    )
    op.create_table(
        "bulk_rows",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("cells", sa.JSON()),
        sa.Column("mistakes", sa.JSON()),
        sa.Column("row_key", sa.String(64)),
        sa.Column("device_name", sa.String(253), nullable=False),
        sa.Column("ek_sha256", sa.String(64)),
        sa.Column("device_id", sa.String(32)),
        sa.Column("named_device_id", sa.String(32)),
        sa.Column("by_name", sa.Boolean(), nullable=False),
        sa.Column("profile_id", sa.String(32)),
        sa.Column("department_id", sa.String(32)),
        sa.Column("key_algorithm", sa.String(32)),
        sa.Column("term_days", sa.Integer()),
        sa.Column("owner", sa.String(254), nullable=False),
        sa.Column("owner_name", sa.String(256)),
        sa.Column("names", sa.JSON()),
        sa.Column("order_id", sa.String(32)),
        sa.ForeignKeyConstraint(["job_id"], ["bulk_jobs.id"], name="fk_bulk_rows_job_id_bulk_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "line", name="pk_bulk_rows"),
    )
    op.create_index("ix_bulk_rows_row_key", "bulk_rows", ["row_key"], unique=True)
    op.create_index("ix_bulk_rows_job_id_state_line", "bulk_rows", ["job_id", "state", "line"])
    op.create_index("ix_bulk_rows_order_id", "bulk_rows", ["order_id"], unique=True)
    for name, column in (("ek", "ek_sha256"), ("name", "device_name")):
        op.create_index(
            f"ix_bulk_rows_waiting_{name}",
            "bulk_rows",
            ["organization_id", column],
            postgresql_where=WAITING,
            sqlite_where=WAITING,
        )
    op.create_table(
        "bulk_earlier_orders",
        sa.Column("order_id", sa.String(32), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["bulk_jobs.id"], name="fk_bulk_earlier_orders_job_id_bulk_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("order_id", name="pk_bulk_earlier_orders"),
    )
    op.create_index("ix_bulk_earlier_orders_job_id_line", "bulk_earlier_orders", ["job_id", "line"])
    op.add_column("orders", sa.Column("bulk_job_id", sa.String(32)))
    op.create_index(
        "ix_orders_bulk_job_id_state_state_at",
        "orders",
        ["bulk_job_id", "state", "state_at"],
        postgresql_where=IN_BULK,
        sqlite_where=IN_BULK,
    )
    op.create_index("ix_devices_organization_id_name", "devices", ["organization_id", "name"])


def downgrade() -> None:
    """Takes them away; orders of bulk jobs stay, as such that came by that way."""
    op.drop_index("ix_devices_organization_id_name", "devices")
    op.drop_index("ix_orders_bulk_job_id_state_state_at", "orders")
    with op.batch_alter_table("orders") as table:
        table.drop_column("bulk_job_id")
    op.drop_table("bulk_earlier_orders")
    op.drop_table("bulk_rows")
    op.drop_table("bulk_chunks")
    op.drop_table("bulk_jobs")
