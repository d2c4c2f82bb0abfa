"""Lists on the database: scope, search, order and pages that inserts do not shift, one mechanism for all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.orm import Session

from keystead_enroll.adapters.listed import LISTED, Condition, Listed, compare, contains
from keystead_enroll.domain.administration import Scope
from keystead_enroll.domain.administration_refusals import CursorInvalid
from keystead_enroll.domain.search import (
    Criterion,
    ListDefinition,
    Page,
    PageWanted,
    Search,
    cursor_of,
    read_cursor,
)
from keystead_kit.db import UtcDateTime

T = TypeVar("T")
MOST_INTEGER = 2**63 - 1
"""What fits into a column."""


def read_page(
    session: Session, definition: ListDefinition[T], scope: Scope, wanted: PageWanted, now: datetime
) -> Page[T]:
    """The rows of `definition` that are in `scope` and that `wanted` asks for. Raises CursorInvalid."""
    listed = LISTED[definition.name]
    sort = wanted.sort or definition.sorts[0]
    descending = wanted.descending if wanted.sort else definition.newest_first
    column = listed.sorts[sort]
    query = select(definition.entity, column, listed.id).where(*_conditions(listed, scope, wanted.search, now))
    if wanted.after:
        query = query.where(_behind(listed, column, descending, *read_cursor(wanted.after, sort, descending)))
    order = (column.desc(), listed.id.desc()) if descending else (column, listed.id)
    query = query.order_by(*order).limit(wanted.limit + 1)
    rows = session.execute(query).all()
    following = None
    if len(rows) > wanted.limit:
        _, value, entity_id = rows[wanted.limit - 1]
        following = cursor_of(sort, descending, _plain(value), str(entity_id))
    return Page(tuple(row[0] for row in rows[: wanted.limit]), following)


def count(session: Session, definition: ListDefinition[Any], scope: Scope, search: Search, now: datetime) -> int:
    """How many rows of `definition` are in `scope` and fit `search`."""
    listed = LISTED[definition.name]
    query = select(func.count()).select_from(listed.table).where(*_conditions(listed, scope, search, now))
    return session.scalar(query) or 0


def in_reach(session: Session, definition: ListDefinition[T], scope: Scope, entity_id: str) -> T | None:
    """The one of `definition` with this id, if it is in `scope`."""
    listed = LISTED[definition.name]
    if listed.id.type.python_type is int:
        if not entity_id.isascii() or not entity_id.isdigit() or len(entity_id) > 18:
            return None
        return session.scalar(select(definition.entity).where(listed.id == int(entity_id), listed.scope(scope)))
    return session.scalar(select(definition.entity).where(listed.id == entity_id, listed.scope(scope)))


def _conditions(listed: Listed, scope: Scope, search: Search, now: datetime) -> list[Condition]:
    conditions = [listed.scope(scope)]
    conditions += [or_(*(contains(column, word) for column in listed.words)) for word in search.words]
    conditions += [_criterion(listed, scope, criterion, now) for criterion in search.criteria]
    return conditions


def _criterion(listed: Listed, scope: Scope, criterion: Criterion, now: datetime) -> Condition:
    target = listed.fields[criterion.field]
    condition = compare(target, criterion) if isinstance(target, ColumnElement) else target(criterion, now, scope)
    return not_(func.coalesce(condition, False)) if criterion.negated else condition


def _behind(listed: Listed, column: ColumnElement[Any], descending: bool, value: str, entity_id: str) -> Condition:
    """Rows that follow the one with this sort value and id."""
    try:
        typed: Any = datetime.fromisoformat(value).astimezone(UTC) if isinstance(column.type, UtcDateTime) else value
        its_id: Any = int(entity_id) if listed.id.type.python_type is int else entity_id
    except (ValueError, OverflowError) as error:
        raise CursorInvalid from error
    if isinstance(its_id, int) and abs(its_id) > MOST_INTEGER:
        raise CursorInvalid
    further = column < typed if descending else column > typed
    behind = listed.id < its_id if descending else listed.id > its_id
    return or_(further, and_(column == typed, behind))


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
