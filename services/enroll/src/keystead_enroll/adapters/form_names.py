"""What forms are called in each organization that they are delegated to: the database itself keeps a name from being
there twice."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Column, ForeignKey, String, Table, delete, exists, insert
from sqlalchemy.engine import Connection
from sqlalchemy.sql.selectable import Exists

from keystead_enroll.adapters.columns import ID, metadata
from keystead_enroll.domain.enrollment import EnrollmentForm

TO_ALL = ""
"""Stands for the organization where a form is delegated to all of them."""
form_names = Table(
    "enrollment_form_names",
    metadata,
    Column("organization_id", ID, primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("form_id", ForeignKey("enrollment_forms.id", ondelete="CASCADE"), nullable=False, index=True),
)


def keep_names(_mapper: object, connection: Connection, form: EnrollmentForm) -> None:
    """What the mapper does whenever it writes a form. Raises IntegrityError if another is called so."""
    connection.execute(delete(form_names).where(form_names.c.form_id == form.id))
    rows = [
        {"organization_id": place, "name": form.name, "form_id": form.id} for place in _places(form.organization_ids)
    ]
    connection.execute(insert(form_names), rows)


def other_called(name: str, organization_ids: Collection[str], but: str) -> Exists:
    """Whether a form other than the one with the id `but` has this name where a form with this delegation would be."""
    c = form_names.c
    return exists().where(c.name == name, c.organization_id.in_(_places(organization_ids)), c.form_id != but)


def _places(organization_ids: Collection[str]) -> list[str]:
    return sorted(set(organization_ids)) or [TO_ALL]
