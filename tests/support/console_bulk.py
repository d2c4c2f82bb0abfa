"""Bulk jobs of the console in every state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.console_details import TIMELINE
from tests.support.console_frame import ID, LONG, NOW, ConsoleSample, frame

from keystead_enroll.domain.bulk_jobs import RowStage
from keystead_enroll.web.console.bulk_widgets import BulkJobPage, BulkProgress, Count
from keystead_enroll.web.console.bulk_words import JOB_STATES, STAGES, pace_words, rows_words
from keystead_enroll.web.console.cells import code, link, moment, several, tag, text
from keystead_enroll.web.console.widgets import Action, Column, Crumb, Fact, Notice, Row, Section, Table

OWN = f"/console/bulk-jobs/{ID}"
NUMBERS = {
    RowStage.INSTALLED: 6100, RowStage.SIGNING: 32, RowStage.OFFERED: 288, RowStage.READY: 3220,
    RowStage.WAITING: 340, RowStage.REFUSED: 12, RowStage.FAILED: 8,
}  # fmt: skip
TROUBLE = Table(
    (Column("line", "Line", narrow=True), Column("what", "Field"), Column("reason", "Reason")),
    (
        Row("", (text(17), several([code("device_name")]), several(["has a character that no host name has: <b>"]))),
        Row("", (text(204), several([code("owner"), code("term_days")]), several(["is no address", "is no number"]))),
        Row(f"/console/requests/{ID}", (text(981), text("a-very-long-name-" * 4 + ".example.org"),
                                        text("The TPM is locked.", "Wait for an hour, then try it again."))),
    ),
)  # fmt: skip
RUNNING = BulkJobPage(
    title="devices-of-the-whole-hospital-2027.csv",
    subtitle="Bulk job",
    tag=tag(*JOB_STATES["running"]),  # type: ignore[index]
    crumbs=(Crumb("Bulk jobs", "/console/bulk-jobs"),),
    actions=(
        Action("Pause", f"{OWN}/pause", method="post"),
        Action("Try 8 failed rows again", f"{OWN}/retry", method="post"),
        Action("Results", f"{OWN}/results.csv", icon="download"),
        Action("End it…", f"{OWN}/cancel", "danger"),
    ),
    progress=BulkProgress(
        state="running",
        value=6120,
        most=10_000,
        told=rows_words(6120, 10_000),
        pace=pace_words(182.4, 21),
        counts=tuple(
            Count(word, NUMBERS[stage], f"{OWN}/rows?state={stage}", tone)
            for stage, (tone, word) in STAGES.items()
            if stage in NUMBERS
        ),
        remark="Rows that wait go on by themselves as soon as the agent of their machine registers: "
        "`keystead-agent register`.",
        refused=TROUBLE,
        refused_actions=(
            Action("Refused rows as CSV", f"{OWN}/refused.csv"), Action("All results as CSV", f"{OWN}/results.csv"),
        ),
    ),
    sections=(
        Section(
            "The job",
            (
                Fact("Organization", link("Northwind University, Physics", f"/console/organizations/{ID}")),
                Fact("For", text("Device certificates")),
                Fact("Certificate profile", text("Managed laptops", "ECDSA P-256, 365 days")),
                Fact("Sent", moment(NOW - timedelta(minutes=3), "datetime", note="Grace Hopper")),
            ),
        ),
    ),
    timeline=TIMELINE[:2],
)  # fmt: skip
READING = replace(
    RUNNING,
    progress=BulkProgress("running", 120_000, 500_000, "The file is being read: 24 %, 2,300 rows"),
    actions=RUNNING.actions[:1],
    timeline=(),
)
UNREADABLE = replace(
    RUNNING,
    title=LONG,
    tag=tag(*JOB_STATES["refused"]),  # type: ignore[index]
    notices=(Notice("The file has no column device_name. Name it in the first line.", "bad"),),
    progress=BulkProgress("refused", 0, 0, rows_words(0, 0)),
    actions=(),
)
FINISHED = replace(
    RUNNING,
    tag=tag(*JOB_STATES["finished"]),  # type: ignore[index]
    progress=replace(
        RUNNING.progress, state="finished", value=10_000, told=rows_words(10_000, 10_000), pace="", remark=""
    ),
)
BULK = [
    ConsoleSample(f"bulk-{name}", page, frame("jobs"))
    for name, page in {"running": RUNNING, "reading": READING, "unreadable": UNREADABLE, "finished": FINISHED}.items()
]
