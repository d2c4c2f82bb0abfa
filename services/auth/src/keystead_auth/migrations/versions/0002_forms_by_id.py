"""Forms by their id, beside their address; organizations' names of any length

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("forms") as forms:
        forms.add_column(sa.Column("form_id", sa.String(length=32), server_default="", nullable=False))
        forms.alter_column("organization", existing_type=sa.String(length=200), type_=sa.Text(), nullable=False)
        forms.drop_constraint("pk_forms", type_="primary")
        forms.create_primary_key("pk_forms", ["uri", "form_id"])


def downgrade() -> None:
    op.execute("DELETE FROM forms WHERE withdrawn")  # one form an address is left
    with op.batch_alter_table("forms") as forms:
        forms.drop_constraint("pk_forms", type_="primary")
        forms.create_primary_key("pk_forms", ["uri"])
        forms.alter_column("organization", existing_type=sa.Text(), type_=sa.String(length=200), nullable=False)
        forms.drop_column("form_id")
