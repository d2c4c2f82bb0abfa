"""who was told that requests wait for approval, and in which language

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("administrators") as administrators:
        administrators.add_column(sa.Column("approvals_told_at", sa.DateTime(timezone=True), nullable=True))
        administrators.add_column(sa.Column("language", sa.String(length=35), nullable=False, server_default=""))
    op.create_table(
        "approval_notices",
        sa.Column("administrator_id", sa.String(length=32), nullable=False),
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["administrator_id"], ["administrators.id"], name="fk_approval_notices_administrator_id_administrators"
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_approval_notices_order_id_orders"),
        sa.PrimaryKeyConstraint("administrator_id", "order_id", name="pk_approval_notices"),
    )
    op.create_index("ix_approval_notices_order_id", "approval_notices", ["order_id"])


def downgrade() -> None:
    op.drop_table("approval_notices")
    op.drop_column("administrators", "language")
    op.drop_column("administrators", "approvals_told_at")
