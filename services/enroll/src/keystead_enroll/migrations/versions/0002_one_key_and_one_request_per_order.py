"""one key and one request per order

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("request_digest", sa.String(length=64), nullable=True))
    # Where one key served several orders, the first of them keeps it; the others still have it in their request.
    op.execute(
        """
        UPDATE orders SET spki_sha256 = NULL WHERE EXISTS (
            SELECT 1 FROM orders AS earlier WHERE earlier.spki_sha256 = orders.spki_sha256 AND (
                earlier.created_at < orders.created_at
                OR (earlier.created_at = orders.created_at AND earlier.id < orders.id)
            )
        )
        """
    )
    op.create_index("ix_orders_spki_sha256", "orders", ["spki_sha256"], unique=True)
    op.create_index("ix_orders_request_digest", "orders", ["request_digest"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_orders_request_digest", table_name="orders")
    op.drop_index("ix_orders_spki_sha256", table_name="orders")
    op.drop_column("orders", "request_digest")
