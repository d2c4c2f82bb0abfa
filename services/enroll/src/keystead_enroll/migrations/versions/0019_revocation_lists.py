"""revocation lists; certificates know which CA issued them

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op
from cryptography import x509

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_certificates = sa.table("certificates", sa.column("authority", sa.String), sa.column("chain_pem", sa.JSON))


def upgrade() -> None:
    """Certificates of before are given their CA's name from the chain that is stored with them, one statement a CA."""
    op.create_table(
        "authorities",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_authorities"),
    )
    op.create_table(
        "revocation_lists",
        sa.Column("authority", sa.String(16), nullable=False),
        sa.Column("partition", sa.String(7), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("this_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["authority"], ["authorities.id"], name="fk_revocation_lists_authority_authorities"),
        sa.PrimaryKeyConstraint("authority", "partition", name="pk_revocation_lists"),
    )
    op.create_table(
        "status_changes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("authority", sa.String(16), nullable=False),
        sa.Column("partition", sa.String(7), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_status_changes"),
    )
    op.create_index("ix_status_changes_authority", "status_changes", ["authority"])
    op.add_column("certificates", sa.Column("authority", sa.String(16), nullable=False, server_default=""))
    _name_authorities()
    revoked = sa.text("revoked_at IS NOT NULL")
    op.create_index(
        "ix_certificates_revoked", "certificates", ["authority", "not_after"],
        postgresql_where=revoked, sqlite_where=revoked,
    )  # fmt: skip


def _name_authorities() -> None:
    chain = sa.cast(_certificates.c.chain_pem, sa.Text)
    for (stored,) in op.get_bind().execute(sa.select(chain).distinct()).all():
        try:
            issuing = x509.load_pem_x509_certificate(json.loads(stored)[0].encode())
            identifier = issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except (ValueError, LookupError, x509.ExtensionNotFound):
            continue  # no CA of this product issued it
        named = sa.update(_certificates).where(chain == stored).values(authority=identifier.hex()[:16])
        op.get_bind().execute(named)


def downgrade() -> None:
    """Takes them away; what relying parties have stays true until its nextUpdate."""
    op.drop_index("ix_certificates_revoked", "certificates")
    with op.batch_alter_table("certificates") as table:
        table.drop_column("authority")
    for name in ("status_changes", "revocation_lists", "authorities"):
        op.drop_table(name)
