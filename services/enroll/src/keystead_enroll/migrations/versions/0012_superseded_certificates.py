"""which certificate an order's takes the place of

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column; the orders of before take nobody's place."""
    op.add_column("orders", sa.Column("supersedes", sa.String(32), nullable=True))


def downgrade() -> None:
    """Takes it away."""
    op.drop_column("orders", "supersedes")
