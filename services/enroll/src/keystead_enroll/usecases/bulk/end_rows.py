"""End jobs: those that are cancelled, a batch of rows at a time; those of which nothing is left; those whose file never
came whole."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.bulk_jobs import BulkJob, BulkState
from keystead_enroll.ports import Clock, Transactions
from keystead_enroll.ports_bulk import BulkWork
from keystead_enroll.usecases.bulk.receive_file import UNFINISHED_KEPT, give_up
from keystead_enroll.usecases.bulk.turns import Turns
from keystead_enroll.usecases.change_order import end_by_administrator

ROWS, ORDERS = 1000, 50
REASON = Words("Your administrator cancelled the job of which this request was a part.")


def end_cancelled(transactions: Transactions, clock: Clock, turns: Turns, origin: str) -> int:
    """One batch of a job that is being cancelled: rows that wait are void, open requests are cancelled. What is being
    signed at this moment is left for later. How much was ended. Safe for several workers at once."""
    now = clock.now()
    with transactions.read() as tx:
        waiting = turns.in_order(tx.bulk_turns(BulkWork.END))
    for turn in waiting:
        with transactions.write() as tx:
            done = tx.void_bulk_rows(turn.job_id, ROWS)
            orders = [] if done else tx.claim_open_bulk_orders(turn.job_id, ORDERS)
            for order in orders:
                end_by_administrator(tx, order, now, "bulk job cancelled", REASON, origin)
            done += len(orders)
            tx.flush()
            if not done and tx.bulk_job_over(turn.job_id):
                job = tx.claim_bulk_job(turn.job_id)
                if job is not None and job.state is BulkState.CANCELLING:
                    job.advance(BulkState.CANCELLED, now)
                    job.digest = None
                    done = 1
        if done:
            turns.served(turn)
            return done
    return 0


def finish_jobs(transactions: Transactions, clock: Clock) -> int:
    """Marks jobs as finished of which every row is over; how many those are."""
    with transactions.read() as tx:
        over = [turn.job_id for turn in tx.bulk_turns(BulkWork.FINISH) if tx.bulk_job_over(turn.job_id)]
    done = 0
    for job_id in over:
        with transactions.write() as tx:
            job: BulkJob | None = tx.claim_bulk_job(job_id)
            if job is not None and job.state is BulkState.RUNNING and tx.bulk_job_over(job_id):
                job.advance(BulkState.FINISHED, clock.now())
                done += 1
    return done


def forget_unfinished(transactions: Transactions, clock: Clock) -> None:
    """Forgets files of which nothing more came for `UNFINISHED_KEPT`."""
    with transactions.read() as tx:
        gone = tx.abandoned_bulk_jobs(clock.now() - UNFINISHED_KEPT, ROWS)
    for job_id in gone:
        give_up(transactions, job_id)
