"""whose certificates are on a machine: a person's or the whole computer's

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = ("certificate_profiles", "orders")


def upgrade() -> None:
    """Adds a column to each; what was there before says nothing, and goes where it went."""
    for table in TABLES:
        op.add_column(table, sa.Column("scope", sa.String(32), nullable=True))


def downgrade() -> None:
    """Takes it away."""
    for table in TABLES:
        op.drop_column(table, "scope")
