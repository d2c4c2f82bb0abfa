"""the language of whoever asks

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sign_in_requests") as sign_in_requests:
        sign_in_requests.add_column(sa.Column("language", sa.String(length=35), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("sign_in_requests") as sign_in_requests:
        sign_in_requests.drop_column("language")
