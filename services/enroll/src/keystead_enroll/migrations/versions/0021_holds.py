"""who put a certificate on hold

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was on hold before."""
    op.add_column("certificates", sa.Column("held_by_owner", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """The earlier version knows no hold: what is on hold is revoked, for no particular reason."""
    op.execute("UPDATE certificates SET revocation_reason = 'unspecified' WHERE revocation_reason = 'certificate_hold'")
    with op.batch_alter_table("certificates") as table:
        table.drop_column("held_by_owner")
