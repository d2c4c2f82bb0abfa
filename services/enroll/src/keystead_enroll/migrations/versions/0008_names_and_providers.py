"""the certificate that signs metadata, what a provider said too much of, and names by organization

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two columns; registration tokens of different organizations may have the same name."""
    op.add_column("identity_providers", sa.Column("metadata_certificate", sa.Text(), nullable=True))
    op.add_column("portal_sessions", sa.Column("attributes_cut", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("registration_tokens") as tokens:
        tokens.drop_constraint("uq_registration_tokens_name", type_="unique")
        tokens.create_unique_constraint("uq_registration_tokens_organization_id_name", ["organization_id", "name"])


def downgrade() -> None:
    """Takes them away. Of tokens with the same name all but one get their id into it."""
    op.execute(
        "UPDATE registration_tokens SET name = substr(name, 1, 95) || ' ' || id WHERE EXISTS (SELECT 1 FROM "
        "registration_tokens AS o WHERE o.name = registration_tokens.name AND o.id < registration_tokens.id)"
    )
    with op.batch_alter_table("registration_tokens") as tokens:
        tokens.drop_constraint("uq_registration_tokens_organization_id_name", type_="unique")
        tokens.create_unique_constraint("uq_registration_tokens_name", ["name"])
    op.drop_column("portal_sessions", "attributes_cut")
    op.drop_column("identity_providers", "metadata_certificate")
