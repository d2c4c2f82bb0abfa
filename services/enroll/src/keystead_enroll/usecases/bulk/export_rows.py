"""The rows of a bulk job as CSV, a page at a time, so that a million of them need no more memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from keystead_enroll.csv_text import csv_line
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.bulk_columns import COLUMNS, IGNORED
from keystead_enroll.domain.bulk_jobs import BulkJob, RowStage
from keystead_enroll.domain.lists import BULK_JOBS
from keystead_enroll.ports import Transaction, Transactions
from keystead_enroll.ports_bulk import RowRecord
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.bulk.steer_job import KIND

AT_ONCE = 500
RESULTS = (
    "line", "state", "device_name", "owner", "profile", "department", "ek_sha256", "device_id", "machine", "request",
    "certificate", "serial", "not_after", "assurance", "changed", "field", "reason", "advice",
)  # fmt: skip


def export_refused(transactions: Transactions, actor: Actor, job_id: str) -> Iterator[str]:
    """The lines of a file of the rows that were refused: as they came, then line, field and reason. Such a file can be
    corrected and sent again. Raises ThingUnknown at once."""
    with transactions.read() as tx:
        job = reach(tx, BULK_JOBS, actor, job_id, KIND)
    columns = job.columns or list(COLUMNS)
    return _lines(transactions, job, (*columns, *IGNORED), _refused(len(columns)), RowStage.REFUSED)


def export_results(transactions: Transactions, actor: Actor, job_id: str) -> Iterator[str]:
    """The lines of a file of all rows and what came of each. Raises ThingUnknown at once."""
    with transactions.read() as tx:
        job = reach(tx, BULK_JOBS, actor, job_id, KIND)
    return _lines(transactions, job, RESULTS, _result, None)


def _lines(
    transactions: Transactions,
    job: BulkJob,
    headings: Sequence[str],
    cells: Callable[[Transaction, RowRecord], Sequence[object]],
    stage: RowStage | None,
) -> Iterator[str]:
    yield csv_line(headings)
    after = 0
    while True:
        with transactions.read() as tx:
            page = tx.bulk_rows(job.id, stage=stage, after=after, limit=AT_ONCE)
            lines = "".join(csv_line(cells(tx, record)) for record in page)
        if not page:
            return
        yield lines
        after = page[-1].row.line


def _refused(width: int) -> Callable[[Transaction, RowRecord], Sequence[object]]:
    def cells(_tx: Transaction, record: RowRecord) -> Sequence[object]:
        came = list(record.row.cells or ())[:width]
        field, reason = _mistakes(record)
        return (*came, *[None] * (width - len(came)), record.row.line, field, reason)

    return cells


def _result(tx: Transaction, record: RowRecord) -> Sequence[object]:
    row = record.row
    field, mistakes = _mistakes(record)
    profile = tx.profile(row.profile_id) if row.profile_id else None
    return (
        row.line,
        record.stage,
        row.device_name,
        row.owner,
        profile.name if profile else None,
        tx.department(row.department_id).name if row.department_id else None,
        row.ek_sha256,
        row.device_id,
        record.machine,
        row.order_id,
        record.certificate_id,
        record.serial,
        record.not_after,
        record.assurance,
        record.at,
        field,
        record.reason or mistakes,
        record.advice,
    )


def _mistakes(record: RowRecord) -> tuple[str, str]:
    """In which columns of a refused row something is wrong, and what."""
    told = record.row.told_mistakes
    if len(told) == 1:
        return told[0].field, told[0].reason
    fields = ", ".join(each.field for each in told if each.field)
    return fields, " ".join(f"{each.field}: {each.reason}" if each.field else each.reason for each in told)
