"""find the orders that a device works on

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds an index."""
    op.create_index("ix_orders_recipient", "orders", ["recipient"])


def downgrade() -> None:
    """Takes it away."""
    op.drop_index("ix_orders_recipient", "orders")
