"""orders that came by another way than a form

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Form and account may be missing; the orders of before came by their form, and somebody waits for them."""
    with op.batch_alter_table("orders") as table:
        table.alter_column("form_id", existing_type=sa.String(32), nullable=True)
        table.alter_column("account_id", existing_type=sa.String(32), nullable=True)
        table.add_column(sa.Column("channel", sa.String(32), nullable=False, server_default="form"))
        table.add_column(sa.Column("urgency", sa.SmallInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("requested_by", sa.String(256), nullable=False, server_default=""))
    with op.batch_alter_table("certificates") as table:
        table.alter_column("form_id", existing_type=sa.String(32), nullable=True)


def downgrade() -> None:
    """Fails, and changes nothing, once there is an order without a form: the earlier version has no place for it."""
    with op.batch_alter_table("certificates") as table:
        table.alter_column("form_id", existing_type=sa.String(32), nullable=False)
    with op.batch_alter_table("orders") as table:
        table.drop_column("requested_by")
        table.drop_column("urgency")
        table.drop_column("channel")
        table.alter_column("account_id", existing_type=sa.String(32), nullable=False)
        table.alter_column("form_id", existing_type=sa.String(32), nullable=False)
