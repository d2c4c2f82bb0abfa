"""Rows of bulk jobs as the worker leaves them, put there at once: for pages and commands that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from tests.support.enroll_app import EnrollApp

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_enroll.adapters import bulk_tables as b
from keystead_enroll.domain.bulk_jobs import BulkJob, BulkRow, BulkState, Mistake, RowState
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Channel, Order, OrderState, Urgency
from keystead_kit.secrets import new_id


@dataclass
class Rows:
    """The rows of one job. Line 1 is the heading."""

    app: EnrollApp
    job_id: str

    def read(self, count: int, refused: Mapping[int, tuple[Sequence[str], str, str]] | None = None) -> None:
        """The file was read: `count` rows, of which those with a line in `refused` (cells, field, reason) are wrong."""
        bad = refused or {}
        with self.app.enroll.transactions.write() as tx:
            job = tx.bulk_job(self.job_id)
            assert job is not None
            for line in range(2, count + 2):
                tx.add(self._row(job, line, bad.get(line)))
            tx.drop_chunks(self.job_id)
            job.columns, job.rows, job.read_octets, job.read_at = (
                ["device_name", "owner"], count, job.octets, self.app.clock.now(),
            )  # fmt: skip

    def order(
        self, count: int, state: OrderState = OrderState.INSTALLED, reason: str = "", *, device_id: str = ""
    ) -> None:
        """The next `count` rows that are ready have a request that stands there, of this device if it is given."""
        profile = self.app.profile("Machine")
        with self.app.enroll.transactions.write() as tx:
            job = tx.bulk_job(self.job_id)
            assert job is not None
            ready = [each for each in tx.bulk_rows(self.job_id, limit=10_000) if each.row.state is RowState.READY]
            for record in ready[:count]:
                made = self._order(job, record.row, profile, device_id or new_id())
                made.state, made.state_at, made.failure_reason = state, self.app.clock.now(), reason
                tx.add(made)
                record.row.state, record.row.order_id = RowState.ORDERED, made.id

    def orders(self) -> list[str]:
        """The ids of the rows' requests, in the order of the file."""
        with self.app.enroll.transactions.read() as tx:
            return [each.row.order_id for each in tx.bulk_rows(self.job_id, limit=10_000) if each.row.order_id]

    def wait(self, count: int) -> None:
        """The next `count` rows that are ready wait for their machine instead."""
        c = b.rows.c
        with self.app.enroll.database.write() as session:
            ready = select(c.line).where(c.job_id == self.job_id, c.state == RowState.READY).order_by(c.line)
            lines = session.scalars(ready.limit(count)).all()
            theirs = update(b.rows).where(c.job_id == self.job_id, c.line.in_(lines))
            session.execute(theirs.values(state=RowState.WAITING))

    def end(self, state: BulkState = BulkState.FINISHED) -> None:
        """The job is over."""
        with self.app.enroll.transactions.write() as tx:
            job = tx.bulk_job(self.job_id)
            assert job is not None
            job.advance(state, self.app.clock.now())

    def _row(self, job: BulkJob, line: int, wrong: tuple[Sequence[str], str, str] | None) -> BulkRow:
        name = f"laptop-{line - 1}.example.org"
        if wrong:
            cells, field, reason = wrong
            return BulkRow(
                self.job_id, line, job.organization_id, RowState.REFUSED, cells=list(cells),
                mistakes=[Mistake(field, reason).to_plain()],
            )  # fmt: skip
        return BulkRow(
            self.job_id, line, job.organization_id, RowState.READY, row_key=new_id(), device_name=name,
            owner=job.owner or "", profile_id=job.profile_id,
        )  # fmt: skip

    def _order(self, job: BulkJob, row: BulkRow, profile: str, device_id: str) -> Order:
        return Order(
            id=new_id(),
            form_id=None,
            account_id=None,
            organization_id=job.organization_id,
            profile_id=profile,
            certificate_type=CertificateType.DEVICE,
            person_email=row.owner,
            person_name=None,
            key_algorithm=KeyAlgorithm.EC_P256,
            term_days=365,
            names=CertificateNames((("CN", row.device_name),)).to_plain(),
            recipient=f"device:{device_id}",
            trace_id=new_id(),
            created_at=self.app.clock.now(),
            licence_version=None,
            machine=row.device_name,
            channel=Channel.BULK,
            urgency=Urgency.BULK,
            requested_by=job.created_by,
            bulk_job_id=self.job_id,
        )
