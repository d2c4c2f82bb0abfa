"""OCSP responders

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds their table; the worker fills it."""
    op.create_table(
        "ocsp_responders",
        sa.Column("authority", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["authority"], ["authorities.id"], name="fk_ocsp_responders_authority_authorities"),
        sa.PrimaryKeyConstraint("authority", "number", name="pk_ocsp_responders"),
    )


def downgrade() -> None:
    """Takes it away, keys and all."""
    op.drop_table("ocsp_responders")
