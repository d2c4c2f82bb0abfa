"""find the orders that wait to be issued

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds an index of the accepted orders alone, by urgency and organization."""
    accepted = sa.text("state = 'csr_accepted'")
    op.create_index(
        "ix_orders_accepted", "orders", ["urgency", "organization_id", "state_at"],
        postgresql_where=accepted, sqlite_where=accepted,
    )  # fmt: skip


def downgrade() -> None:
    """Takes it away."""
    op.drop_index("ix_orders_accepted", "orders")
