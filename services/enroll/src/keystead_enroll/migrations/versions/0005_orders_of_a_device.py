"""find the orders that a device works on

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds an index."""
    op.create_index("ix_orders_recipient", "orders", ["recipient"])


def downgrade() -> None:
    """Takes it away."""
    op.drop_index("ix_orders_recipient", "orders")
