"""the certificate that signs an identity provider's metadata

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column."""
    op.add_column("identity_providers", sa.Column("metadata_certificate", sa.Text(), nullable=True))


def downgrade() -> None:
    """Takes it away."""
    op.drop_column("identity_providers", "metadata_certificate")
