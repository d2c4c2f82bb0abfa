"""what a profile says that keys may do

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column; the profiles of before say nothing, and their keys sign as they did."""
    op.add_column("certificate_profiles", sa.Column("key_usages", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Takes it away."""
    op.drop_column("certificate_profiles", "key_usages")
