"""Device jobs: what an agent is to do, and the one report that answers each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import TypeAdapter

from keystead_contracts.agent import DeviceJob, JobPayload, Report
from keystead_enroll.domain.refusals import JobAlreadyReported

_PAYLOAD: TypeAdapter[JobPayload] = TypeAdapter(JobPayload)


class JobState(StrEnum):
    """open: the agent gets it on every connection until it reports. void: the order ended before the report."""

    OPEN = "open"
    DONE = "done"
    VOID = "void"


@dataclass(eq=False)
class Job:
    """One thing for one recipient to do. `sequence` is given by the database and is the SSE event id."""

    id: str
    recipient: str
    order_id: str
    trace_id: str
    kind: str
    payload: dict[str, object]
    created_at: datetime
    organization: str = ""
    profile: str = ""
    state: JobState = JobState.OPEN
    report_digest: str | None = None
    refusal: dict[str, str] | None = None
    """Set if the report was refused: the same report gets the same refusal again."""
    done_at: datetime | None = None
    sequence: int | None = None

    def to_wire(self) -> DeviceJob:
        """The job as the agent gets it."""
        return DeviceJob(
            job_id=self.id,
            sequence=self.sequence or 0,
            order_id=self.order_id,
            trace_id=self.trace_id,
            created_at=self.created_at,
            organization=self.organization,
            profile=self.profile,
            payload=_PAYLOAD.validate_python(self.payload),
        )

    def take_report(self, report: Report, now: datetime) -> bool:
        """Closes the job with `report`; False if this very report closed it before, or if the job is void: then the
        order ended first, and no report changes anything.

        Raises JobAlreadyReported if another report closed it.
        """
        digest = report_digest(report)
        if self.state is JobState.OPEN:
            self.state, self.report_digest, self.done_at = JobState.DONE, digest, now
            return True
        if self.state is JobState.DONE and self.report_digest != digest:
            raise JobAlreadyReported("This job was answered before.")
        return False


def report_digest(report: Report) -> str:
    """SHA-256 over the report in canonical form, hex. `duration_ms` is a measurement and does not count."""
    body = report.body.model_dump(mode="json", exclude={"duration_ms"})
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
