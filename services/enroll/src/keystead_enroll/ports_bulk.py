"""What the use cases of bulk jobs need of a transaction; see `ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.bulk_jobs import BulkFigures, BulkJob, BulkRow, RowStage


@dataclass(frozen=True)
class RowRecord:
    """A row, and what came of it: `machine` as its agent calls it, `reason` and `advice` of a request that came to
    nothing, the certificate's id, serial number and end."""

    row: BulkRow
    stage: RowStage
    at: datetime | None = None
    machine: str = ""
    reason: str = ""
    advice: str = ""
    assurance: AssuranceLevel | None = None
    certificate_id: str | None = None
    serial: str | None = None
    not_after: datetime | None = None


class BulkTransaction(Protocol):
    """The part of a transaction that bulk jobs use."""

    def bulk_job(self, job_id: str) -> BulkJob | None:
        """The job, locked: nobody else changes it before this transaction ends."""
        ...

    def bulk_job_with(self, digest: str) -> BulkJob | None:
        """The job of the file with this digest, locked."""
        ...

    def chunk(self, job_id: str, position: int) -> bytes | None:
        """A part of the job's file; None behind its end."""
        ...

    def drop_chunks(self, job_id: str, before: int | None = None) -> None:
        """Deletes the parts of the job's file, or those before this position."""
        ...

    def forget_bulk_job(self, job_id: str) -> None:
        """Deletes a job whose file never came whole."""
        ...

    def bulk_figures(self, job_ids: Collection[str], now: datetime) -> Mapping[str, BulkFigures]:
        """How many rows of each of these jobs stand where."""
        ...

    def bulk_rows(
        self, job_id: str, *, stage: RowStage | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[RowRecord]:
        """The job's rows behind the line `after`, in the file's order; with `stage` those that have come so far."""
        ...

    def bulk_rows_for(self, recipient: str, limit: int) -> Sequence[tuple[BulkJob, RowRecord]]:
        """The newest rows for which this recipient worked on a request, newest first, each with its job."""
        ...

    def earlier_orders(self, job_id: str, lines: Collection[int]) -> Mapping[int, Sequence[str]]:
        """Of these rows: the ids of requests that came to nothing and were tried again."""
        ...

    def retry_bulk_rows(self, job_id: str) -> int:
        """Has the job's rows whose request failed get another one; how many those are. Rows whose machine another row
        asks for meanwhile stay as they are."""
        ...
