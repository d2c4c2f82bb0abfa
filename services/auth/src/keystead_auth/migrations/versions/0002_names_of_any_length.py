"""names of any number of organizations

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
        forms.alter_column("organization", existing_type=sa.String(length=200), type_=sa.Text(), nullable=False)


def downgrade() -> None:
    # PostgreSQL refuses what is longer than the column; the form's next publication brings the whole names again
    op.execute(sa.text("UPDATE forms SET organization = substr(organization, 1, 200)"))
    with op.batch_alter_table("forms") as forms:
        forms.alter_column("organization", existing_type=sa.Text(), type_=sa.String(length=200), nullable=False)
