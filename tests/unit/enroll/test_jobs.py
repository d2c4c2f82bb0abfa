"""A job has one report."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keystead_contracts.agent import CsrReady, Failed, Remove, Removed, Report, SoftwareEvidence
from keystead_enroll.domain.jobs import Job, JobState, report_digest
from keystead_enroll.domain.refusals import JobAlreadyReported

AT = datetime(2026, 11, 23, tzinfo=UTC)


def new_job() -> Job:
    payload = Remove(reason="superseded").model_dump(mode="json")
    return Job("1", "claim:1", "2", "4" * 32, "remove", payload, AT, sequence=9)


REMOVED = Report(job_id="1", body=Removed())


def test_the_first_report_closes_the_job() -> None:
    job = new_job()
    assert job.take_report(REMOVED, AT) is True
    assert (job.state, job.done_at) == (JobState.DONE, AT)


def test_the_same_report_again_changes_nothing() -> None:
    job = new_job()
    job.take_report(REMOVED, AT)
    assert job.take_report(REMOVED, AT.replace(year=2027)) is False
    assert job.done_at == AT


def test_another_report_is_refused() -> None:
    job = new_job()
    job.take_report(REMOVED, AT)
    with pytest.raises(JobAlreadyReported):
        job.take_report(Report(job_id="1", body=Failed(code="internal", detail="no")), AT)


def test_a_report_changes_nothing_on_a_job_that_was_taken_back() -> None:
    job = new_job()
    job.state = JobState.VOID
    assert job.take_report(REMOVED, AT) is False
    assert (job.state, job.report_digest) == (JobState.VOID, None)


def test_a_measurement_is_no_other_content() -> None:
    def report(pem: str, milliseconds: float) -> Report:
        return Report(job_id="1", body=CsrReady(csr_pem=pem, evidence=SoftwareEvidence(), duration_ms=milliseconds))

    assert report_digest(report("a", 1.0)) == report_digest(report("a", 2.0))
    assert report_digest(report("a", 1.0)) != report_digest(report("b", 1.0))


def test_the_wire_form_has_the_databases_sequence() -> None:
    wire = new_job().to_wire()
    assert (wire.sequence, wire.payload) == (9, Remove(reason="superseded"))
