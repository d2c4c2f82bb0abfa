"""where administrators are signed in

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds columns. A session that is there gets an id of its own; where it came from is not known."""
    for name, length in (("id", 32), ("address", 64), ("user_agent", 256)):
        op.add_column("administrator_sessions", sa.Column(name, sa.String(length), nullable=False, server_default=""))
    op.execute("UPDATE administrator_sessions SET id = substr(digest, 1, 32)")


def downgrade() -> None:
    """Takes them away."""
    for name in ("user_agent", "address", "id"):
        op.drop_column("administrator_sessions", name)
