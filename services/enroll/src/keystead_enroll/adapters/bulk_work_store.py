"""What a transaction finds and changes of bulk jobs when the worker works on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import bulk_tables as b
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.bulk_jobs import UNDER_WAY, BulkJob, BulkRow, BulkState, FreshRow, RowState
from keystead_enroll.domain.endorsement_keys import EndorsementKey
from keystead_enroll.domain.orders import Device, Order, OrderState, spellings
from keystead_enroll.ports_bulk import BulkTurn, BulkWork, LivingRow
from keystead_kit.clock import Clock

_RUNS = b.jobs.c.state == BulkState.RUNNING
_OURS = (OrderState.CSR_ACCEPTED, OrderState.SIGNING)
"""Where a request waits for the service itself."""
_CANCELLABLE = (OrderState.OFFERED, OrderState.CSR_ACCEPTED, OrderState.ISSUED)
_FRUITLESS = (OrderState.FAILED, OrderState.CANCELLED, OrderState.REJECTED)


def _has_ready() -> ColumnElement[bool]:
    return exists().where(b.rows.c.job_id == b.jobs.c.id, b.rows.c.state == RowState.READY)


_WORK: Mapping[BulkWork, tuple[ColumnElement[bool], ...]] = {
    BulkWork.READ: (_RUNS, b.jobs.c.read_at.is_(None)),
    BulkWork.ORDER: (_RUNS, _has_ready()),
    BulkWork.END: (b.jobs.c.state == BulkState.CANCELLING,),
    BulkWork.FINISH: (_RUNS, b.jobs.c.read_at.is_not(None)),
}


class BulkWorkQueries:
    """See `ports_bulk.BulkTransaction` for what each method promises."""

    session: Session
    _clock: Clock
    came: list[Device]
    """The machines that came in this transaction."""
    rings: bool

    def bulk_turns(self, work: BulkWork) -> Sequence[BulkTurn]:
        query = select(b.jobs.c.id, b.jobs.c.organization_id).where(*_WORK[work])
        return [BulkTurn(*found) for found in self.session.execute(query.order_by(b.jobs.c.created_at, b.jobs.c.id))]

    def open_bulk_jobs(self) -> Sequence[str]:
        query = select(b.jobs.c.id).where(b.jobs.c.state.in_([BulkState.RUNNING, BulkState.PAUSED]))
        return self.session.scalars(query).all()

    def claim_bulk_job(self, job_id: str) -> BulkJob | None:
        query = select(BulkJob).where(b.jobs.c.id == job_id).with_for_update(skip_locked=True)
        return self.session.scalar(query.execution_options(populate_existing=True))

    def abandoned_bulk_jobs(self, before: datetime, limit: int) -> Sequence[str]:
        query = select(b.jobs.c.id).where(b.jobs.c.state == BulkState.RECEIVING, b.jobs.c.state_at < before)
        return self.session.scalars(query.limit(limit)).all()

    # Rows as they are read

    def living_rows(self, keys: Collection[str]) -> Sequence[LivingRow]:
        r, o, c, now = b.rows.c, t.orders.c, t.certificates.c, self._clock.now()
        worth_nothing = or_(c.revoked_at.is_not(None), c.not_after <= now, c.renews_at <= now)
        spent = or_(o.state.in_(_FRUITLESS), and_(o.state == OrderState.INSTALLED, worth_nothing))
        query = (
            select(r.row_key, r.job_id, b.jobs.c.name, r.line, func.coalesce(spent, False))
            .join(b.jobs, b.jobs.c.id == r.job_id)
            .outerjoin(t.orders, o.id == r.order_id)
            .outerjoin(t.certificates, c.order_id == o.id)
            .where(r.row_key.in_(keys))
        )
        return [LivingRow(*found) for found in self.session.execute(query)]

    def release_row_keys(self, keys: Collection[str]) -> None:
        self.session.execute(update(b.rows).where(b.rows.c.row_key.in_(keys)).values(row_key=None))

    def add_bulk_rows(self, rows: Sequence[FreshRow], known: Sequence[EndorsementKey]) -> bool:
        # always in the same order, so that no two workers wait for each other
        stored = [_values(row) for row in sorted(rows, key=lambda row: row.row_key or "")]
        entries = [_values(entry) for entry in sorted(known, key=lambda entry: entry.sha256)]
        try:
            with self.session.begin_nested():
                if stored:
                    self.session.execute(insert(b.rows), stored)
                if entries:
                    self.session.execute(insert(a.endorsement_keys), entries)
        except IntegrityError:
            return False
        return True

    # Machines

    def devices_with_tpms(self, organization_id: str, fingerprints: Collection[str]) -> Sequence[Device]:
        return self._devices(t.devices.c.organization_id == organization_id, t.devices.c.ek_sha256.in_(fingerprints))

    def devices_called(self, organization_id: str, names: Collection[str]) -> Sequence[Device]:
        return self._devices(t.devices.c.organization_id == organization_id, t.devices.c.name.in_(names))

    def devices_with_ids(self, device_ids: Collection[str]) -> Sequence[Device]:
        return self._devices(t.devices.c.id.in_(device_ids))

    def _devices(self, *conditions: ColumnElement[bool]) -> Sequence[Device]:
        return self.session.scalars(select(Device).where(*conditions, t.devices.c.same_as.is_(None))).all()

    def machine_came(self, device: Device) -> None:
        self.came.append(device)

    def find_rows(self) -> None:
        """Has the rows go on that wait for the machines that came: at the end of the transaction, for all at once."""
        came, self.came = [device for device in self.came if device.same_as is None], []
        if not came:
            return
        self.session.flush()
        found: dict[tuple[str, int], str] = {}
        for place in {device.organization_id for device in came}:
            theirs = [device for device in came if device.organization_id == place]
            by_ek = {device.ek_sha256: device.id for device in theirs if device.ek_sha256}
            by_name = {device.name.lower(): device.id for device in theirs}
            rows = self._rows_that_wait(place, by_ek, by_name)
            names = {said for _, _, ek, name in rows if ek is None for said in spellings(name)}
            called = Counter(each.name.lower() for each in (self.devices_called(place, names) if names else ()))
            for job_id, line, ek, name in rows:
                machine = by_ek.get(ek) if ek else by_name.get(name) if called[name] == 1 else None
                if machine:
                    found[(job_id, line)] = machine
        if found:
            self.rows_found(found)
            self.rings = True

    def _rows_that_wait(
        self, place: str, by_ek: Mapping[str, str], by_name: Mapping[str, str]
    ) -> list[tuple[str, int, str | None, str]]:
        r = b.rows.c
        named = and_(r.by_name.is_(True), r.device_name.in_(by_name))
        query = select(r.job_id, r.line, r.ek_sha256, r.device_name).where(
            r.organization_id == place, r.state == RowState.WAITING, or_(r.ek_sha256.in_(by_ek), named)
        )
        return [(job, line, ek, name) for job, line, ek, name in self.session.execute(query)]

    def waiting_rows(self, behind: tuple[str, int], limit: int) -> Sequence[BulkRow]:
        r = b.rows.c
        query = select(BulkRow).join(b.jobs, b.jobs.c.id == r.job_id).where(_RUNS, r.state == RowState.WAITING)
        query = query.where(tuple_(r.job_id, r.line) > tuple_(*behind))
        return self.session.scalars(query.order_by(r.job_id, r.line).limit(limit)).all()

    def rows_found(self, found: Mapping[tuple[str, int], str]) -> None:
        r = b.rows.c
        its = update(b.rows).where(r.job_id == bindparam("its_job"), r.line == bindparam("its_line"))
        its = its.where(r.state == RowState.WAITING).values(state=RowState.READY, device_id=bindparam("its_device"))
        values = [{"its_job": job, "its_line": line, "its_device": each} for (job, line), each in sorted(found.items())]
        self.session.connection().execute(its, values)

    # Requests

    def bulk_in_flight(self, job_id: str, since: datetime) -> int:
        o = t.orders.c
        moving = or_(o.state.in_(_OURS), and_(o.state.in_(UNDER_WAY), o.state_at > since))
        query = select(func.count()).select_from(t.orders).where(o.bulk_job_id == job_id, moving)
        return self.session.scalar(query) or 0

    def claim_ready_rows(self, job_id: str, limit: int) -> Sequence[BulkRow]:
        r = b.rows.c
        query = select(BulkRow).where(r.job_id == job_id, r.state == RowState.READY).order_by(r.line).limit(limit)
        return self.session.scalars(query.with_for_update(skip_locked=True)).all()

    # The end

    def void_bulk_rows(self, job_id: str, limit: int) -> int:
        r = b.rows.c
        open_ones = select(r.line).where(r.job_id == job_id, r.state.in_([RowState.WAITING, RowState.READY]))
        lines = self.session.scalars(open_ones.order_by(r.line).limit(limit).with_for_update(skip_locked=True)).all()
        ended = update(b.rows).where(r.job_id == job_id, r.line.in_(lines)).values(state=RowState.VOID, row_key=None)
        self.session.execute(ended)
        return len(lines)

    def claim_open_bulk_orders(self, job_id: str, limit: int) -> Sequence[Order]:
        o = t.orders.c
        query = select(Order).where(o.bulk_job_id == job_id, o.state.in_(_CANCELLABLE)).order_by(o.id).limit(limit)
        return self.session.scalars(query.with_for_update(skip_locked=True)).all()

    def bulk_job_over(self, job_id: str) -> bool:
        r, o = b.rows.c, t.orders.c
        waits = exists().where(r.job_id == job_id, r.state.in_([RowState.WAITING, RowState.READY]))
        under_way = exists().where(o.bulk_job_id == job_id, o.state.in_(UNDER_WAY))
        return not self.session.scalar(select(or_(waits, under_way)))


_FIELDS = {kind: tuple(each.name for each in fields(kind)) for kind in (FreshRow, EndorsementKey)}


def _values(entity: FreshRow | EndorsementKey) -> dict[str, Any]:
    return {name: getattr(entity, name) for name in _FIELDS[type(entity)]}
