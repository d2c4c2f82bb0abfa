"""device presence, jobs of an order for more than one recipient

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JOBS = {"table_kwargs": {"sqlite_autoincrement": True}}


def upgrade() -> None:
    with op.batch_alter_table("devices") as devices:
        devices.add_column(sa.Column("stream_holder", sa.String(length=32), nullable=True))
        devices.add_column(sa.Column("stream_seen_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("device_jobs", **JOBS) as jobs:
        jobs.drop_constraint("uq_device_jobs_order_id_kind", type_="unique")
        jobs.create_unique_constraint("uq_device_jobs_order_id_recipient_kind", ["order_id", "recipient", "kind"])


def downgrade() -> None:
    with op.batch_alter_table("device_jobs", **JOBS) as jobs:
        jobs.drop_constraint("uq_device_jobs_order_id_recipient_kind", type_="unique")
        jobs.create_unique_constraint("uq_device_jobs_order_id_kind", ["order_id", "kind"])
    with op.batch_alter_table("devices") as devices:
        devices.drop_column("stream_seen_at")
        devices.drop_column("stream_holder")
