"""What a transaction finds and changes of bulk jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from keystead_contracts.words import from_plain
from keystead_enroll.adapters import bulk_tables as b
from keystead_enroll.adapters import tables as t
from keystead_enroll.adapters.administration_store import locked
from keystead_enroll.domain.bulk_jobs import (
    RATE_OVER,
    BulkFigures,
    BulkJob,
    BulkRow,
    RowStage,
    RowState,
    stage_of,
)
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.ports_bulk import RowRecord

_CAME_OF_IT = (
    t.orders.c.state, t.orders.c.state_at, t.orders.c.machine, t.orders.c.failure_reason, t.orders.c.failure_advice,
    t.orders.c.failure_words, t.orders.c.assurance, t.certificates.c.id, t.certificates.c.serial,
    t.certificates.c.not_after,
)  # fmt: skip

_OF_ORDERS = frozenset(RowStage) - {RowStage.REFUSED, RowStage.WAITING, RowStage.READY, RowStage.CANCELLED}


class BulkQueries:
    """See `ports_bulk.BulkTransaction` for what each method promises."""

    session: Session

    def bulk_job(self, job_id: str) -> BulkJob | None:
        return self.session.scalar(locked(select(BulkJob).where(b.jobs.c.id == job_id)))

    def bulk_job_with(self, digest: str) -> BulkJob | None:
        return self.session.scalar(locked(select(BulkJob).where(b.jobs.c.digest == digest)))

    def chunk(self, job_id: str, position: int) -> bytes | None:
        c = b.chunks.c
        return self.session.scalar(select(c.octets).where(c.job_id == job_id, c.position == position))

    def drop_chunks(self, job_id: str, before: int | None = None) -> None:
        theirs = delete(b.chunks).where(b.chunks.c.job_id == job_id)
        self.session.execute(theirs if before is None else theirs.where(b.chunks.c.position < before))

    def forget_bulk_job(self, job_id: str) -> None:
        self.drop_chunks(job_id)
        self.session.execute(delete(b.jobs).where(b.jobs.c.id == job_id))

    def bulk_figures(self, job_ids: Collection[str], now: datetime) -> Mapping[str, BulkFigures]:
        stages: dict[str, dict[RowStage, int]] = {job_id: defaultdict(int) for job_id in job_ids}
        r, o = b.rows.c, t.orders.c
        of_rows = select(r.job_id, r.state, func.count()).where(r.job_id.in_(job_ids), r.state != RowState.ORDERED)
        for job_id, state, count in self.session.execute(of_rows.group_by(r.job_id, r.state)):
            stages[job_id][stage_of(state, None)] += count
        of_orders = select(o.bulk_job_id, o.state, func.count()).where(o.bulk_job_id.in_(job_ids))
        for job_id, state, count in self.session.execute(of_orders.group_by(o.bulk_job_id, o.state)):
            stages[job_id][stage_of(RowState.ORDERED, state)] += count
        recent = select(o.bulk_job_id, func.count()).where(
            o.bulk_job_id.in_(job_ids), o.state == OrderState.INSTALLED, o.state_at > now - RATE_OVER
        )
        ended = {found.bulk_job_id: found.count_1 for found in self.session.execute(recent.group_by(o.bulk_job_id))}
        of_jobs = select(b.jobs.c.id, b.jobs.c.started_at).where(b.jobs.c.id.in_(job_ids))
        since = {job_id: now - at for job_id, at in self.session.execute(of_jobs) if at is not None}
        return {
            job_id: BulkFigures(dict(found), ended.get(job_id, 0), min(RATE_OVER, since.get(job_id, RATE_OVER)))
            for job_id, found in stages.items()
        }

    def bulk_rows(
        self, job_id: str, *, stage: RowStage | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[RowRecord]:
        r, o = b.rows.c, t.orders.c
        query = (
            select(BulkRow, *_CAME_OF_IT)
            .outerjoin(t.orders, o.id == r.order_id)
            .outerjoin(t.certificates, t.certificates.c.order_id == o.id)
            .where(r.job_id == job_id, r.line > after)
        )
        if stage is not None:
            query = query.where(_at(stage))
        if stage in _OF_ORDERS:
            query = query.where(o.bulk_job_id == job_id)  # few requests are found by it, however many rows there are
        found = self.session.execute(query.order_by(r.line).limit(limit))
        return [_record(row, *came) for row, *came in found]

    def bulk_rows_for(self, recipient: str, limit: int) -> Sequence[tuple[BulkJob, RowRecord]]:
        o = t.orders.c
        query = (
            select(BulkJob, BulkRow, *_CAME_OF_IT)
            .join(b.rows, b.rows.c.job_id == b.jobs.c.id)
            .join(t.orders, o.id == b.rows.c.order_id)
            .outerjoin(t.certificates, t.certificates.c.order_id == o.id)
            .where(o.recipient == recipient, o.bulk_job_id.is_not(None))
        )
        found = self.session.execute(query.order_by(o.created_at.desc(), o.id).limit(limit))
        return [(job, _record(row, *came)) for job, row, *came in found]

    def earlier_orders(self, job_id: str, lines: Collection[int]) -> Mapping[int, Sequence[str]]:
        e = b.earlier_orders.c
        found: dict[int, list[str]] = {}
        query = select(e.line, e.order_id).where(e.job_id == job_id, e.line.in_(lines))
        for line, order_id in self.session.execute(query):
            found.setdefault(line, []).append(order_id)
        return found

    def retry_bulk_rows(self, job_id: str) -> int:
        r, o, e = b.rows.c, t.orders.c, b.earlier_orders.c
        failed = select(o.id).where(o.bulk_job_id == job_id, o.state == OrderState.FAILED)
        theirs = (r.job_id == job_id, r.order_id.in_(failed), r.row_key.is_not(None))
        history = select(r.order_id, r.job_id, r.line).where(*theirs)
        self.session.execute(insert(b.earlier_orders).from_select(["order_id", "job_id", "line"], history))
        again = update(b.rows).where(*theirs).values(state=RowState.READY, order_id=None)
        count = self.session.execute(again).rowcount  # type: ignore[attr-defined]
        replaced = select(e.order_id).where(e.job_id == job_id)
        let_go = update(t.orders).where(o.bulk_job_id == job_id, o.state == OrderState.FAILED, o.id.in_(replaced))
        self.session.execute(let_go.values(bulk_job_id=None))
        return int(count)


def _at(stage: RowStage) -> ColumnElement[bool]:
    """Of rows and their orders: that they have come so far."""
    state, ordered = b.rows.c.state, b.rows.c.state == RowState.ORDERED
    match stage:
        case RowStage.REFUSED | RowStage.WAITING | RowStage.READY:
            return state == RowState(stage.value)
        case RowStage.CANCELLED:
            return or_(state == RowState.VOID, and_(ordered, t.orders.c.state == OrderState.CANCELLED))
        case _:
            return and_(ordered, t.orders.c.state == OrderState(stage.value))


def _record(
    row: BulkRow,
    state: OrderState | None,
    at: datetime | None,
    machine: str | None,
    reason: str | None,
    advice: str | None,
    words: Mapping[str, object] | None,
    *rest: object,
) -> RowRecord:
    if words:
        reason, advice = from_plain(words.get("reason")), from_plain(words.get("advice"))
    return RowRecord(row, stage_of(row.state, state), at, machine or "", reason or "", advice or "", *rest)  # type: ignore[arg-type]
