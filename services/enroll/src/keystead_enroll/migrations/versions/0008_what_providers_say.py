"""the certificate that signs an identity provider's metadata, and what of a person it said too much of

Revision ID: 0008
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two columns."""
    op.add_column("identity_providers", sa.Column("metadata_certificate", sa.Text(), nullable=True))
    op.add_column("portal_sessions", sa.Column("attributes_cut", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Takes them away."""
    with op.batch_alter_table("portal_sessions") as portal_sessions:
        portal_sessions.drop_column("attributes_cut")
    with op.batch_alter_table("identity_providers") as identity_providers:
        identity_providers.drop_column("metadata_certificate")
