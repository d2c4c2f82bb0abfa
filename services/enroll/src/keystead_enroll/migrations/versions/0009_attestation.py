"""what TPMs prove: challenges, attestation keys, the machine of a device, evidence of orders

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds three tables and four columns. A machine is registered once in an organization, by its endorsement key."""
    op.create_table(
        "attestation_challenges",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=48), nullable=False),
        sa.Column("attestation_name", sa.String(length=132), nullable=False),
        sa.Column("sent", sa.JSON(), nullable=False),
        sa.Column("public_area", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer_digest", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_attestation_challenges"),
    )
    op.create_index("ix_attestation_challenges_recipient", "attestation_challenges", ["recipient"])
    op.create_index("ix_attestation_challenges_expires_at", "attestation_challenges", ["expires_at"])
    op.create_table(
        "attestation_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=48), nullable=False),
        sa.Column("name", sa.String(length=132), nullable=False),
        sa.Column("ek_sha256", sa.String(length=64), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_attestation_keys"),
        sa.UniqueConstraint("recipient", "name", name="uq_attestation_keys_recipient_name"),
    )
    op.create_index("ix_attestation_keys_ek_sha256", "attestation_keys", ["ek_sha256"])
    op.create_table(
        "order_evidence",
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_evidence_order_id_orders"),
        sa.PrimaryKeyConstraint("order_id", name="pk_order_evidence"),
    )
    op.add_column("devices", sa.Column("ek_sha256", sa.String(length=64), nullable=True))
    op.add_column("devices", sa.Column("assurance", sa.String(length=32), nullable=True))
    op.add_column("devices", sa.Column("attested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("devices", sa.Column("same_as", sa.String(length=32), nullable=True))
    op.create_index("ix_devices_organization_id_ek_sha256", "devices", ["organization_id", "ek_sha256"], unique=True)


def downgrade() -> None:
    """Takes them away."""
    op.drop_index("ix_devices_organization_id_ek_sha256", "devices")
    for column in ("same_as", "attested_at", "assurance", "ek_sha256"):
        op.drop_column("devices", column)
    for table in ("order_evidence", "attestation_keys", "attestation_challenges"):
        op.drop_table(table)
