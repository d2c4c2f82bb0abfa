"""What an administrator does to a bulk job under way: pause, resume, cancel, try again what failed."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.bulk_jobs import ENDED, BulkJob, BulkState, JobNotNow
from keystead_enroll.domain.lists import BULK_JOBS
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import note, reach
from keystead_enroll.usecases.bulk.receive_file import job_target

KIND = Words("bulk job")


def pause_job(transactions: Transactions, clock: Clock, actor: Actor, job_id: str) -> None:
    """Nothing new is begun for the job; requests under way go on. Paused already, it stays so.

    Raises ThingUnknown, JobNotNow.
    """
    now = clock.now()
    with transactions.write() as tx:
        job = reach_job(tx, actor, job_id)
        if job.state is not BulkState.PAUSED:
            job.advance(BulkState.PAUSED, now)
            note(tx, actor, now, "bulk_job.pause", job_target(job))


def resume_job(transactions: Transactions, clock: Clock, actor: Actor, job_id: str) -> None:
    """The job goes on. Raises ThingUnknown, JobNotNow unless it is paused or runs."""
    now = clock.now()
    with transactions.write() as tx:
        job = reach_job(tx, actor, job_id)
        if job.state is BulkState.RUNNING:
            return
        if job.state is not BulkState.PAUSED:
            raise JobNotNow(Words("The job is {state}, not paused.", state=job.state.value))
        job.advance(BulkState.RUNNING, now)
        note(tx, actor, now, "bulk_job.resume", job_target(job))
        tx.ring()


def cancel_job(transactions: Transactions, clock: Clock, actor: Actor, job_id: str) -> None:
    """Rows without a request are void at once for whoever looks; the worker ends them and open requests. Certificates
    that are installed stay. Cancelled already, it stays so. Raises ThingUnknown, JobNotNow."""
    now = clock.now()
    with transactions.write() as tx:
        job = reach_job(tx, actor, job_id)
        if job.state in (BulkState.CANCELLING, BulkState.CANCELLED):
            return
        job.advance(BulkState.CANCELLING, now)
        tx.drop_chunks(job.id)
        note(tx, actor, now, "bulk_job.cancel", job_target(job))
        tx.ring()


def retry_job(transactions: Transactions, clock: Clock, actor: Actor, job_id: str) -> int:
    """Rows whose request failed or was cancelled by itself get another one; how many those are. The earlier requests
    stay as history. Raises ThingUnknown, JobNotNow if the job was cancelled or its file refused."""
    now = clock.now()
    with transactions.write() as tx:
        job = reach_job(tx, actor, job_id)
        if job.state is not BulkState.FINISHED and (job.state in ENDED or job.state is BulkState.CANCELLING):
            raise JobNotNow(Words("The job is {state}; its rows cannot be tried again.", state=job.state.value))
        again = tx.retry_bulk_rows(job.id)
        if again:
            if job.state is BulkState.FINISHED:
                job.advance(BulkState.RUNNING, now)
            note(tx, actor, now, "bulk_job.retry", job_target(job), {"rows": again})
            tx.ring()
    return again


def reach_job(tx: Transaction, actor: Actor, job_id: str) -> BulkJob:
    """The job, locked, if it is in the actor's scope. Raises ThingUnknown."""
    job = tx.bulk_job(reach(tx, BULK_JOBS, actor, job_id, KIND).id)
    if job is None:
        raise ThingUnknown(KIND)
    return job
