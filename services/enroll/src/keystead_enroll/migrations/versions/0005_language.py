"""the language of whoever asks, and reasons that can be said in it

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders") as orders:
        orders.add_column(sa.Column("language", sa.String(length=35), nullable=False, server_default=""))
        orders.add_column(sa.Column("failure_words", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "failure_words")
    op.drop_column("orders", "language")
