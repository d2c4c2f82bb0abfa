"""administrators, persons with a Secret ID

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "persons",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_id_hash", sa.String(length=256), nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_persons")),
    )
    op.create_index("ix_persons_email", "persons", ["email"])
    op.create_table(
        "administrators",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("methods", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("invitation", sa.Integer(), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=True),
        sa.Column("totp_secret", sa.String(length=256), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_administrators")),
    )
    op.create_index("ix_administrators_email", "administrators", ["email"])
    op.create_table(
        "recovery_codes",
        sa.Column("administrator", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("used_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("administrator", "digest", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "invitations",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("administrator", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_invitations")),
    )
    op.create_index("ix_invitations_administrator", "invitations", ["administrator"])
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"])
    op.create_table(
        "administrator_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("administrator", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_administrator_sessions")),
    )
    op.create_index("ix_administrator_sessions_administrator", "administrator_sessions", ["administrator"])
    op.create_index("ix_administrator_sessions_expires_at", "administrator_sessions", ["expires_at"])
    op.create_table(
        "half_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("administrator", sa.String(length=64), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("totp_secret", sa.String(length=256), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_half_sessions")),
    )
    op.create_index("ix_half_sessions_administrator", "half_sessions", ["administrator"])
    op.create_index("ix_half_sessions_expires_at", "half_sessions", ["expires_at"])
    op.create_table(
        "reset_requests",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("requested_at", _MOMENT, nullable=False),
        sa.Column("requested_from", sa.String(length=64), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("decided_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reset_requests")),
    )
    op.create_index("ix_reset_requests_decided_at_requested_at", "reset_requests", ["decided_at", "requested_at"])
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("persons", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("sessions") as sessions:
        sessions.drop_column("persons")
    for table in ("reset_requests", "half_sessions", "administrator_sessions", "invitations", "recovery_codes",
                  "administrators", "persons"):  # fmt: skip
        op.drop_table(table)
