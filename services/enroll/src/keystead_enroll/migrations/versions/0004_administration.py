"""administration: administrators, tokens, persons, identity providers, audit; what forms, profiles and orders gained

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LISTS = (
    ("departments", "email_domains", "[]"),
    ("departments", "dns_domains", "[]"),
    ("certificate_profiles", "extended_key_usages", "[]"),
    ("certificate_profiles", "idp_groups", "[]"),
    ("certificate_profiles", "organization_ids", "[]"),
    ("certificate_profiles", "notice_days", "[30, 14, 7, 1]"),
    ("enrollment_forms", "organization_ids", "[]"),
    ("web_form_accounts", "idp_rules", "[]"),
    ("portal_sessions", "identity_provider_organizations", "[]"),
    ("portal_sessions", "attributes", "{}"),
    ("portal_sessions", "persons", "[]"),
)
TIMES = (
    ("organizations", "created_at"),
    ("departments", "created_at"),
    ("certificate_profiles", "created_at"),
    ("enrollment_forms", "created_at"),
    ("web_form_accounts", "created_at"),
    ("licence_terms", "published_at"),
)
ACTIVE = ("certificate_profiles", "enrollment_forms", "web_form_accounts")
PLACES = ("orders", "certificates")
INDEXES = (
    ("orders", "created_at", "id"),
    ("orders", "organization_id", "created_at"),
    ("certificates", "issued_at", "id"),
    ("certificates", "organization_id", "issued_at"),
)


def upgrade() -> None:
    op.create_table(
        "administrators",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("methods", sa.JSON(), nullable=False),
        sa.Column("grants", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("invitation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_administrators"),
        sa.UniqueConstraint("email", name="uq_administrators_email"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=256), nullable=False),
        sa.Column("organization_id", sa.String(length=32), nullable=True),
        sa.Column("department_id", sa.String(length=32), nullable=True),
        sa.Column("certificate_type", sa.String(length=32), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entries_organization_id_id", "audit_entries", ["organization_id", "id"])
    op.create_index("ix_audit_entries_target_id", "audit_entries", ["target_id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_at", "idempotency_keys", ["at"])
    op.create_table(
        "identity_providers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("metadata_url", sa.Text(), nullable=True),
        sa.Column("metadata_xml", sa.Text(), nullable=True),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("client_id", sa.String(length=256), nullable=True),
        sa.Column("client_secret_name", sa.String(length=128), nullable=True),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("organization_ids", sa.JSON(), nullable=False),
        sa.Column("for_persons", sa.Boolean(), nullable=False),
        sa.Column("for_administrators", sa.Boolean(), nullable=False),
        sa.Column("idp_initiated", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=True),
        sa.Column("state_detail", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_identity_providers"),
        sa.UniqueConstraint("name", name="uq_identity_providers_name"),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("administrator_id", sa.String(length=32), nullable=False),
        sa.Column("grants", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["administrator_id"], ["administrators.id"], name="fk_api_tokens_administrator_id_administrators"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("digest", name="uq_api_tokens_digest"),
    )
    op.create_index("ix_api_tokens_administrator_id", "api_tokens", ["administrator_id"])
    op.create_table(
        "console_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("administrator_id", sa.String(length=32), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["administrator_id"], ["administrators.id"], name="fk_console_sessions_administrator_id_administrators"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_console_sessions"),
    )
    op.create_index("ix_console_sessions_administrator_id", "console_sessions", ["administrator_id"])
    op.create_index("ix_console_sessions_expires_at", "console_sessions", ["expires_at"])
    op.create_table(
        "persons",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("organization_id", sa.String(length=32), nullable=False),
        sa.Column("department_id", sa.String(length=32), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("upn", sa.String(length=254), nullable=True),
        sa.Column("secret_id_hash", sa.String(length=256), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["department_id"], ["departments.id"], name="fk_persons_department_id_departments"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_persons_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_persons"),
        sa.UniqueConstraint("organization_id", "email", name="uq_persons_organization_id_email"),
    )
    op.create_index("ix_persons_email", "persons", ["email"])

    for table, column, default in LISTS:
        op.add_column(table, sa.Column(column, sa.JSON(), nullable=False, server_default=default))
    for table, column in TIMES:
        op.add_column(table, sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    for table in ACTIVE:
        op.add_column(table, sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()))
    for table in ("organizations", "departments"):
        op.add_column(table, sa.Column("home_organization", sa.String(length=256), nullable=True))
        op.create_index(f"ix_{table}_home_organization", table, ["home_organization"], unique=True)
    op.add_column(
        "certificate_profiles", sa.Column("connector", sa.String(length=64), nullable=False, server_default="builtin")
    )
    op.add_column("portal_sessions", sa.Column("identity_provider", sa.String(length=32), nullable=True))
    op.add_column(
        "orders", sa.Column("csr_method", sa.String(length=32), nullable=False, server_default="keystead_agent")
    )
    op.add_column("certificates", sa.Column("revocation_note", sa.Text(), nullable=False, server_default=""))
    for table in PLACES:
        if "department_id" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}:
            continue  # left there by a downgrade
        # in one statement: SQLite adds no constraint afterwards
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN department_id VARCHAR(32) "
            f"CONSTRAINT fk_{table}_department_id_departments REFERENCES departments (id)"
        )
    op.execute(
        "UPDATE orders SET department_id = "
        "(SELECT department_id FROM web_form_accounts WHERE web_form_accounts.id = orders.account_id)"
    )
    op.execute("UPDATE certificates SET department_id = (SELECT department_id FROM orders WHERE orders.id = order_id)")
    for table, *columns in INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def downgrade() -> None:
    for table, *columns in INDEXES:
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table_name=table)
    for table in PLACES:
        # SQLite cannot drop a column with a reference, nor a table to which others refer: it stays, empty for the old
        if op.get_bind().dialect.name != "sqlite":
            op.drop_column(table, "department_id")
    op.drop_column("certificates", "revocation_note")
    op.drop_column("orders", "csr_method")
    op.drop_column("portal_sessions", "identity_provider")
    op.drop_column("certificate_profiles", "connector")
    for table in ("organizations", "departments"):
        op.drop_index(f"ix_{table}_home_organization", table_name=table)
        op.drop_column(table, "home_organization")
    for table in ACTIVE:
        op.drop_column(table, "active")
    for table, column in TIMES:
        op.drop_column(table, column)
    for table, column, _default in LISTS:
        op.drop_column(table, column)
    for table in (
        "persons", "console_sessions", "api_tokens", "identity_providers", "idempotency_keys", "audit_entries",
        "administrators",
    ):  # fmt: skip
        op.drop_table(table)
