"""A scope as a condition of SQL: what `Scope.has` says of a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, cast, false, or_, true
from sqlalchemy.types import Text

from keystead_enroll.domain.administration import ALL_TYPES, Role, Scope

Condition = ColumnElement[bool]


def in_scope(
    scope: Scope,
    organization: ColumnElement[Any],
    department: ColumnElement[Any] | None,
    certificate_type: ColumnElement[Any] | None = None,
    *,
    untyped: bool = False,
) -> Condition:
    """Rows of which `Scope.has` is true. `department` None: the rows belong to whole organizations. `untyped`: those
    without a certificate type are of any."""
    if scope.everything:
        return true()
    fitting: list[Condition] = []
    for grant in scope.grants:
        conditions = [organization == grant.organization_id]
        if grant.role is Role.DRAO:
            if department is None:
                continue
            conditions.append(department == grant.department_id)
        if certificate_type is not None and grant.certificate_types != ALL_TYPES:
            of_a_type = certificate_type.in_(grant.certificate_types)
            conditions.append(or_(of_a_type, certificate_type.is_(None)) if untyped else of_a_type)
        fitting.append(and_(*conditions))
    return or_(*fitting) if fitting else false()


def in_delegation(
    scope: Scope, organization_ids: ColumnElement[Any], certificate_type: ColumnElement[Any]
) -> Condition:
    """Rows that are delegated to all (an empty list of organizations) or to one in which the scope has their type."""
    if scope.everything:
        return true()
    to_all = cast(organization_ids, Text) == "[]"
    fitting = [
        and_(
            certificate_type.in_(grant.certificate_types),
            or_(to_all, cast(organization_ids, Text).contains(f'"{grant.organization_id}"', autoescape=True)),
        )
        for grant in scope.grants
    ]
    return or_(*fitting) if fitting else false()
