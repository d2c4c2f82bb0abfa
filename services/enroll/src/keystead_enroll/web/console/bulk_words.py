"""Bulk jobs in words: where a job and its rows stand, how fast it goes, how long it takes still."""

from __future__ import annotations

from collections.abc import Mapping

from keystead_contracts.words import Words
from keystead_enroll.domain.bulk_jobs import BulkJob, BulkState, RowStage
from keystead_enroll.web.console.cells import Cell, Tone, tag
from keystead_kit.pages import number_text

JOB_STATES: Mapping[BulkState, tuple[Tone, str]] = {
    BulkState.RECEIVING: ("calm", Words("Being sent")),
    BulkState.RUNNING: ("good", Words("Running")),
    BulkState.PAUSED: ("warn", Words("Paused")),
    BulkState.CANCELLING: ("warn", Words("Being ended")),
    BulkState.CANCELLED: ("calm", Words("Ended early")),
    BulkState.FINISHED: ("good", Words("Finished")),
    BulkState.REFUSED: ("bad", Words("Not readable")),
}
STAGES: Mapping[RowStage, tuple[Tone, str]] = {
    RowStage.INSTALLED: ("good", Words("Installed")),
    RowStage.ISSUED: ("calm", Words("Being installed")),
    RowStage.SIGNING: ("calm", Words("Being signed")),
    RowStage.CSR_ACCEPTED: ("calm", Words("Request checked")),
    RowStage.OFFERED: ("calm", Words("At the computer")),
    RowStage.READY: ("calm", Words("Next")),
    RowStage.WAITING: ("warn", Words("Waits for its machine")),
    RowStage.REFUSED: ("bad", Words("Refused")),
    RowStage.FAILED: ("bad", Words("Failed")),
    RowStage.CANCELLED: ("calm", Words("Cancelled")),
}
"""In the order in which people want to know."""
MINUTE, HOUR, DAY = 60, 3600, 86_400


def job_tag(job: BulkJob) -> Cell:
    """Where a job stands."""
    tone, word = JOB_STATES[job.state]
    return tag(tone, word)


def stage_tag(stage: RowStage) -> Cell:
    """Where a row stands."""
    tone, word = STAGES[stage]
    return tag(tone, word)


def rows_words(done: int, rows: int) -> str:
    """ "6,120 of 10,000 rows" """
    return Words.plural(
        "{done} of {rows} row", "{done} of {rows} rows", rows, done=number_text(done), rows=number_text(rows)
    )


def pace_words(rate: float, seconds_left: int | None) -> str:
    """Rate and time left; "" while nothing moves."""
    if not rate:
        return ""
    if rate < 1:
        speed: str = Words.plural("{n} certificate a minute", "{n} certificates a minute", max(1, round(rate * MINUTE)))
    else:
        speed = Words("{rate} certificates a second", rate=f"{rate:.1f}" if rate < 10 else number_text(round(rate)))
    if seconds_left is None:
        return speed
    return Words("{rate}, {left}", rate=speed, left=left_words(seconds_left))


def left_words(seconds: int) -> str:
    """How long it takes still, as people say it."""
    if seconds < MINUTE:
        return Words("less than a minute left")
    if seconds < 2 * HOUR:
        return Words.plural("about {n} minute left", "about {n} minutes left", -(-seconds // MINUTE))
    if seconds < 2 * DAY:
        return Words.plural("about {n} hour left", "about {n} hours left", -(-seconds // HOUR))
    return Words.plural("about {n} day left", "about {n} days left", -(-seconds // DAY))
