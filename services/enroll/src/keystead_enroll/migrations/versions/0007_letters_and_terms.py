"""who was told that requests wait for approval, and in which language; one current version of the licence terms;
what identity providers lack, in words that can be translated

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CURRENT = sa.text("current")
ONE_CURRENT = """
    UPDATE licence_terms SET current = false WHERE current AND version <> (
        SELECT version FROM licence_terms WHERE current
        ORDER BY published_at IS NULL, published_at DESC, version DESC LIMIT 1
    )
"""
"""Of two that were published at the same instant the one that lists show first stays."""


def upgrade() -> None:
    with op.batch_alter_table("administrators") as administrators:
        administrators.add_column(sa.Column("approvals_told_at", sa.DateTime(timezone=True), nullable=True))
        administrators.add_column(sa.Column("language", sa.String(length=35), nullable=False, server_default=""))
    op.add_column("identity_providers", sa.Column("state_words", sa.JSON(), nullable=True))
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
    op.execute(ONE_CURRENT)
    op.create_index(
        "ix_licence_terms_current", "licence_terms", ["current"], unique=True, postgresql_where=CURRENT,
        sqlite_where=CURRENT,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_licence_terms_current", "licence_terms")
    op.drop_table("approval_notices")
    op.drop_column("identity_providers", "state_words")
    op.drop_column("administrators", "language")
    op.drop_column("administrators", "approvals_told_at")
