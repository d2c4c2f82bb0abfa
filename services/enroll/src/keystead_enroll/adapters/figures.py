"""The dashboard's numbers in five statements, whatever there is to count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session

from keystead_contracts.base import AssuranceLevel, CertificateType
from keystead_contracts.people import IdentityProviderState
from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import tables as t
from keystead_enroll.adapters.scoping import Condition, in_scope
from keystead_enroll.domain.administration import Scope
from keystead_enroll.domain.figures import (
    DAYS,
    EXPIRING_WITHIN,
    FAILED_WITHIN,
    WEEKS,
    DayFigure,
    Figures,
    WeekFigure,
)
from keystead_enroll.domain.orders import OrderState

_o, _c = t.orders.c, t.certificates.c


def read_figures(session: Session, scope: Scope, now: datetime) -> Figures:
    """What is in `scope`, counted."""
    today = datetime.combine(now.astimezone(UTC).date(), datetime.min.time(), UTC)
    orders = in_scope(scope, _o.organization_id, _o.department_id, _o.certificate_type)
    mine = in_scope(scope, _c.organization_id, _c.department_id, _c.certificate_type)
    in_use = and_(mine, _c.revoked_at.is_(None), _c.not_after > now)

    waits = _o.state == OrderState.AWAITING_APPROVAL
    failed = and_(_o.state == OrderState.FAILED, _o.state_at >= now - FAILED_WITHIN)
    waiting, failures = session.execute(
        select(_how_many(waits), _how_many(failed)).where(
            orders, _o.state.in_([OrderState.AWAITING_APPROVAL, OrderState.FAILED])
        )
    ).one()

    starts = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    columns = [_how_many(_within(_c.issued_at, start, timedelta(days=1))) for start in starts]
    by_type = session.execute(
        select(_c.certificate_type, *columns)
        .where(mine, _c.issued_at >= starts[0])
        .group_by(_c.certificate_type)
        .order_by(_c.certificate_type)
    ).all()
    issued = {row[0]: row[1:] for row in by_type}

    levels = session.execute(select(_c.assurance, func.count()).where(in_use).group_by(_c.assurance)).all()
    assurance = {AssuranceLevel(level): count for level, count in levels}

    begins = [today + timedelta(weeks=ahead) for ahead in range(WEEKS)]
    soon, *weeks = session.execute(
        select(
            _how_many(_c.not_after < now + EXPIRING_WITHIN),
            *(_how_many(_within(_c.not_after, begin, timedelta(weeks=1))) for begin in begins),
        ).where(in_use, _c.not_after < begins[-1] + timedelta(weeks=1))
    ).one()
    return Figures(
        awaiting_approval=waiting,
        failed=failures,
        expiring=soon,
        valid=sum(assurance.values()),
        failing_providers=_failing_providers(session) if scope.everything else (),
        days=tuple(
            DayFigure(start.date(), {kind: issued[kind][at] if kind in issued else 0 for kind in CertificateType})
            for at, start in enumerate(starts)
        ),
        assurance={level: assurance.get(level, 0) for level in AssuranceLevel},
        weeks=tuple(WeekFigure(begin.date(), count) for begin, count in zip(begins, weeks, strict=True)),
    )


def _how_many(condition: Condition) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _within(column: ColumnElement[Any], begin: datetime, span: timedelta) -> Condition:
    return and_(column >= begin, column < begin + span)


def _failing_providers(session: Session) -> tuple[str, ...]:
    table = a.identity_providers
    failing = (table.c.active.is_(True), table.c.state == IdentityProviderState.FAILED)
    return tuple(session.scalars(select(table.c.name).where(*failing).order_by(table.c.name)).all())
