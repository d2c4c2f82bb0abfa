"""the endorsement keys that administrators allow or deny

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FOR_ALL = sa.text("organization_id IS NULL")


def upgrade() -> None:
    """Adds their table. A key has one entry for an organization, and one for all of them."""
    op.create_table(
        "endorsement_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("organization_id", sa.String(length=32), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("ruling", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("serial_number", sa.String(length=128), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_endorsement_keys_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_endorsement_keys"),
        sa.UniqueConstraint("sha256", "organization_id", name="uq_endorsement_keys_sha256_organization_id"),
    )
    op.create_index("ix_endorsement_keys_organization_id", "endorsement_keys", ["organization_id"])
    op.create_index(
        "ix_endorsement_keys_for_all", "endorsement_keys", ["sha256"], unique=True, postgresql_where=FOR_ALL,
        sqlite_where=FOR_ALL,
    )  # fmt: skip


def downgrade() -> None:
    """Takes it away."""
    op.drop_table("endorsement_keys")
