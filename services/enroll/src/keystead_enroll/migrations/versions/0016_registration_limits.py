"""registration tokens by group, with limits; devices know by which they came

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tokens of before have no limit, and count what registers from now on."""
    with op.batch_alter_table("registration_tokens") as table:
        table.add_column(sa.Column("group", sa.String(128), nullable=False, server_default=""))
        table.add_column(sa.Column("most_devices", sa.Integer()))
        table.add_column(sa.Column("uses", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("created_at", sa.DateTime(timezone=True)))
        table.add_column(sa.Column("created_by", sa.String(256), nullable=False, server_default=""))
        table.add_column(sa.Column("revoked_at", sa.DateTime(timezone=True)))
    with op.batch_alter_table("devices") as table:
        table.add_column(sa.Column("group", sa.String(128), nullable=False, server_default=""))
        table.add_column(sa.Column("token_id", sa.String(32)))
        table.add_column(sa.Column("token_name", sa.String(128), nullable=False, server_default=""))


def downgrade() -> None:
    """The earlier version knows no revoked or used-up token: those end at once."""
    op.execute(
        "UPDATE registration_tokens SET expires_at = CURRENT_TIMESTAMP "
        "WHERE revoked_at IS NOT NULL OR uses >= most_devices"
    )
    with op.batch_alter_table("devices") as table:
        for name in ("token_name", "token_id", "group"):
            table.drop_column(name)
    with op.batch_alter_table("registration_tokens") as table:
        for name in ("revoked_at", "created_by", "created_at", "uses", "most_devices", "group"):
            table.drop_column(name)
