"""identity providers, and signing in through them

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity_providers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("metadata_url", sa.Text(), nullable=True),
        sa.Column("metadata_xml", sa.Text(), nullable=True),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("client_secret_name", sa.Text(), nullable=True),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("organization_ids", sa.JSON(), nullable=False),
        sa.Column("for_persons", sa.Boolean(), nullable=False),
        sa.Column("for_administrators", sa.Boolean(), nullable=False),
        sa.Column("idp_initiated", sa.Boolean(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("material", sa.JSON(), nullable=True),
        sa.Column("usable_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told", sa.JSON(), nullable=True),
        sa.Column("next_check_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_providers")),
    )
    op.create_index("ix_identity_providers_next_check_at", "identity_providers", ["next_check_at"])
    op.create_table(
        "idp_attempts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("form", sa.String(length=58), nullable=True),
        sa.Column("relay", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idp_attempts")),
    )
    op.create_index("ix_idp_attempts_expires_at", "idp_attempts", ["expires_at"])
    op.create_table(
        "idp_arrivals",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("form", sa.String(length=58), nullable=True),
        sa.Column("browser", sa.String(length=64), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("session_ends", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_idp_arrivals")),
    )
    op.create_index("ix_idp_arrivals_expires_at", "idp_arrivals", ["expires_at"])
    op.create_table(
        "used_assertions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_used_assertions")),
    )
    op.create_index("ix_used_assertions_expires_at", "used_assertions", ["expires_at"])
    op.add_column("forms", sa.Column("organization_ids", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("sessions", sa.Column("identity_provider", sa.String(length=64), nullable=True))
    op.add_column("sessions", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("sessions", sa.Column("attributes", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        for column in ("attributes", "name", "identity_provider"):
            sessions.drop_column(column)
    with op.batch_alter_table("forms") as forms:
        forms.drop_column("organization_ids")
    for table in ("used_assertions", "idp_arrivals", "idp_attempts", "identity_providers"):
        op.drop_table(table)
