"""Find what many recipients are to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from keystead_enroll.ports import Transactions

MOST_JOBS = 100
"""That one recipient is told of at a time; it is told of others once it has done some."""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job as its agent gets it (`DeviceJob`, JSON); `sequence` is its place among all jobs."""

    sequence: int
    wire: str


def find_jobs(transactions: Transactions, recipients: Collection[str]) -> Mapping[str, Sequence[OpenJob]]:
    """The open jobs of each recipient, in order of their sequence. Who is not in the answer was removed."""
    with transactions.read() as tx:
        found = tx.open_jobs_of_each(recipients, MOST_JOBS)
        return {
            recipient: [OpenJob(job.sequence or 0, job.to_wire().model_dump_json()) for job in jobs]
            for recipient, jobs in found.items()
        }
