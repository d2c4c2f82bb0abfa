"""names of forms by organization, and the sign-ins that opened consoles

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forms for different organizations may have the same name; those that are for all have their names apart."""
    op.add_column("console_sessions", sa.Column("sign_in", sa.String(length=32), nullable=False, server_default=""))
    with op.batch_alter_table("enrollment_forms") as table:
        table.drop_constraint("uq_enrollment_forms_name", type_="unique")
    names = op.create_table(
        "enrollment_form_names",
        sa.Column("organization_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("form_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["form_id"],
            ["enrollment_forms.id"],
            name=op.f("fk_enrollment_form_names_form_id_enrollment_forms"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "name", name=op.f("pk_enrollment_form_names")),
    )
    op.create_index(op.f("ix_enrollment_form_names_form_id"), "enrollment_form_names", ["form_id"])
    forms = sa.table("enrollment_forms", sa.column("id"), sa.column("name"), sa.column("organization_ids", sa.JSON()))
    for form in op.get_bind().execute(sa.select(forms)).all():
        for place in sorted(set(form.organization_ids)) or [""]:
            op.execute(names.insert().values(organization_id=place, name=form.name, form_id=form.id))


def downgrade() -> None:
    """Names are unique again. Of forms with the same name all but one get their id into it."""
    op.drop_table("enrollment_form_names")
    op.execute(
        "UPDATE enrollment_forms SET name = substr(name, 1, 223) || ' ' || id WHERE EXISTS (SELECT 1 FROM "
        "enrollment_forms AS o WHERE o.name = enrollment_forms.name AND o.id < enrollment_forms.id)"
    )
    with op.batch_alter_table("enrollment_forms") as table:
        table.create_unique_constraint("uq_enrollment_forms_name", ["name"])
    op.drop_column("console_sessions", "sign_in")
