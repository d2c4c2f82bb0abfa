"""Whose turn it is: one organization after the other, and in each one job after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from keystead_enroll.ports_bulk import BulkTurn


class Turns:
    """The order in which one worker serves jobs. Forgotten with the process: that costs nobody more than a turn."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._numbers = count(1)

    def in_order(self, jobs: Sequence[BulkTurn]) -> list[BulkTurn]:
        """The jobs, the one first whose organization, and within it which itself, was not served for longest."""
        names = {name for job in jobs for name in (job.organization_id, job.job_id)}
        self._served = {name: at for name, at in self._served.items() if name in names}
        return sorted(jobs, key=lambda job: (self._at(job.organization_id), self._at(job.job_id)))

    def served(self, job: BulkTurn) -> None:
        """The job had its turn."""
        self._served[job.organization_id] = self._served[job.job_id] = next(self._numbers)

    def _at(self, name: str) -> int:
        return self._served.get(name, 0)
