"""What the use cases of bulk jobs need of a transaction; see `ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.bulk_jobs import BulkFigures, BulkJob, BulkRow, FreshRow, RowStage
from keystead_enroll.domain.endorsement_keys import EndorsementKey
from keystead_enroll.domain.orders import Device, Order


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


class BulkWork(StrEnum):
    """What there may be to do for a job."""

    READ = "read"
    ORDER = "order"
    END = "end"
    FINISH = "finish"


@dataclass(frozen=True)
class BulkTurn:
    """A job that might have a turn."""

    job_id: str
    organization_id: str


@dataclass(frozen=True)
class LivingRow:
    """A row that holds a key; `spent`: what came of it is over, and its machine may be asked for again."""

    row_key: str
    job_id: str
    job_name: str
    line: int
    spent: bool


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

    # What the worker does

    def bulk_turns(self, work: BulkWork) -> Sequence[BulkTurn]:
        """The jobs for which there is this kind of work, oldest first."""
        ...

    def open_bulk_jobs(self) -> Sequence[str]:
        """The ids of the jobs that run or are paused."""
        ...

    def claim_bulk_job(self, job_id: str) -> BulkJob | None:
        """The job, locked; None if another worker holds it."""
        ...

    def abandoned_bulk_jobs(self, before: datetime, limit: int) -> Sequence[str]:
        """The ids of jobs of whose file nothing came since `before`."""
        ...

    def living_rows(self, keys: Collection[str]) -> Sequence[LivingRow]:
        """The rows that hold these keys, and what came of them."""
        ...

    def release_row_keys(self, keys: Collection[str]) -> None:
        """The rows that hold these keys hold nobody back any more."""
        ...

    def add_bulk_rows(self, rows: Sequence[FreshRow], known: Sequence[EndorsementKey]) -> bool:
        """Stores rows, and endorsement keys that are known from now on, at once; False, and none is stored, if a key or
        an entry is there already."""
        ...

    def devices_with_tpms(self, organization_id: str, fingerprints: Collection[str]) -> Sequence[Device]:
        """The organization's devices that may be given something to do and have one of these TPMs."""
        ...

    def devices_called(self, organization_id: str, names: Collection[str]) -> Sequence[Device]:
        """The same of those that have one of these names, as they are spelled."""
        ...

    def devices_with_ids(self, device_ids: Collection[str]) -> Sequence[Device]:
        """Those of these ids that may be given something to do."""
        ...

    def bulk_in_flight(self, job_id: str, since: datetime) -> int:
        """How many of the job's requests are under way and moved since then, or are at the service itself."""
        ...

    def claim_ready_rows(self, job_id: str, limit: int) -> Sequence[BulkRow]:
        """Rows of the job whose machine is known, in the file's order, locked; those another worker holds are left
        out."""
        ...

    def machine_came(self, device: Device) -> None:
        """A machine registered, or showed its TPM: before this transaction ends, rows that wait for it go on. Those
        that know it by its name alone do if no other device is called so."""
        ...

    def waiting_rows(self, behind: tuple[str, int], limit: int) -> Sequence[BulkRow]:
        """Rows of running jobs that wait for their machine, behind that job id and line, in this order."""
        ...

    def rows_found(self, found: Mapping[tuple[str, int], str]) -> None:
        """Job id and line → the id of the machine for which the row no longer waits."""
        ...

    def void_bulk_rows(self, job_id: str, limit: int) -> int:
        """Ends rows of the job that have no request; how many those are."""
        ...

    def claim_open_bulk_orders(self, job_id: str, limit: int) -> Sequence[Order]:
        """Requests of the job that may be cancelled, locked, in the order of their ids; those another worker holds are
        left out."""
        ...

    def bulk_job_over(self, job_id: str) -> bool:
        """Whether none of the job's rows waits and none of its requests is under way."""
        ...
