"""What a bulk job's pages show: the job with its progress, its rows, the question before it is ended."""

from __future__ import annotations

from collections.abc import Sequence

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.bulk_jobs import ENDED, BulkFigures, BulkJob, BulkState, RowStage
from keystead_enroll.domain.lists import CERTIFICATES, DEVICES, ORDERS
from keystead_enroll.domain.search import USUAL_ROWS
from keystead_enroll.ports import Transaction
from keystead_enroll.ports_bulk import RowRecord
from keystead_enroll.web.console.bulk_widgets import BulkJobPage, BulkProgress, Count
from keystead_enroll.web.console.bulk_words import STAGES, job_tag, pace_words, rows_words, stage_tag
from keystead_enroll.web.console.cells import Cell, code, link, listed, moment, several, text
from keystead_enroll.web.console.choices import KEYS
from keystead_enroll.web.console.form_widgets import ConfirmPage
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.places import TYPE_WORDS, place_name
from keystead_enroll.web.console.resources import Standing, asked_once
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
    Empty,
    Fact,
    ListPage,
    Notice,
    Row,
    Section,
    Tab,
    Table,
)
from keystead_kit.pages import number_text

BASE = f"{HOME}/bulk-jobs"
TOP = Crumb(Words("Bulk jobs"), BASE)
MOST_TOLD = 10
"""Rows that came to nothing, on the job's own page, of each kind."""
_TROUBLE = (RowStage.REFUSED, RowStage.FAILED)
_TROUBLE_COLUMNS = (
    Column("line", Words("Line"), narrow=True),
    Column("what", Words("Field")),
    Column("reason", Words("Reason")),
)


def job_page(tx: Transaction, actor: Actor, job: BulkJob, figures: BulkFigures) -> BulkJobPage:
    """The page of a job."""
    own = f"{BASE}/{job.id}"
    place = place_name(tx, job.organization_id, job.department_id)
    profile = tx.profile(job.profile_id) if job.profile_id else None
    facts = [
        Fact(Words("Organization"), link(place, f"{HOME}/organizations/{job.organization_id}")),
        Fact(Words("For"), text(TYPE_WORDS[job.certificate_type])),
        Fact(Words("Certificate profile"), _profile(profile.name if profile else "", job)),
        Fact(Words("Owner"), text(job.owner) if job.owner else text(Words("as each row says"))),
        Fact(Words("Sent"), moment(job.created_at, "datetime", note=job.created_by)),
        Fact(Words("Read"), moment(job.read_at, "datetime")),
    ]
    if job.tpms_listed:
        facts.append(Fact(Words("TPMs that became known"), text(number_text(job.tpms_listed))))
    if job.finished_at:
        facts.append(Fact(Words("Ended"), moment(job.finished_at, "datetime")))
    detail, advice = job.refusal_words
    refusal = Notice(Words("{what} {now}", what=detail, now=advice), "bad") if job.refusal else None
    return BulkJobPage(
        title=job.name,
        subtitle=Words("Bulk job"),
        tag=job_tag(job),
        crumbs=(TOP,),
        actions=_actions(job, figures, own),
        notices=(refusal,) if refusal else (),
        progress=progress_of(tx, job, figures),
        sections=(Section(Words("The job"), facts=tuple(facts)),),
        timeline=timeline_of(tx, actor, job.id),
        live_url="" if job.state in ENDED else f"{own}/progress",
    )


def progress_of(tx: Transaction, job: BulkJob, figures: BulkFigures) -> BulkProgress:
    """How far a job has come."""
    own, reading = f"{BASE}/{job.id}", job.read_at is None and job.state not in ENDED
    trouble = [
        record
        for stage in _TROUBLE
        if figures.stages.get(stage)
        for record in tx.bulk_rows(job.id, stage=stage, limit=MOST_TOLD)
    ]
    if reading and not figures.done:
        share = job.read_octets * 100 // job.octets if job.octets else 0
        told: str = Words("The file is being read: {share} %, {rows} rows", share=share, rows=number_text(figures.rows))
        value, most = job.read_octets, job.octets
    else:
        told, value, most = rows_words(figures.done, figures.rows), figures.done, figures.rows
    downloads = (
        Action(Words("Refused rows as CSV"), f"{own}/refused.csv") if figures.stages.get(RowStage.REFUSED) else None,
        Action(Words("All results as CSV"), f"{own}/results.csv"),
    )
    return BulkProgress(
        state=job.state.value,
        value=value,
        most=most,
        told=told,
        pace=pace_words(figures.rate, figures.seconds_left) if job.state is BulkState.RUNNING else "",
        counts=tuple(
            Count(word, figures.stages.get(stage, 0), f"{own}/rows?state={stage.value}", tone)
            for stage, (tone, word) in STAGES.items()
            if figures.stages.get(stage) or stage is RowStage.INSTALLED
        ),
        remark=_remark(job, figures),
        refused=Table(_TROUBLE_COLUMNS, tuple(_trouble(record) for record in trouble)) if trouble else None,
        refused_actions=tuple(each for each in downloads if each) if trouble else (),
    )


def _remark(job: BulkJob, figures: BulkFigures) -> str:
    if job.state is BulkState.PAUSED:
        return Words("Nothing new is begun. What is at a computer goes on.")
    if figures.waiting and job.state is BulkState.RUNNING:
        return Words(
            "Rows that wait go on by themselves as soon as the agent of their machine registers: "
            "`keystead-agent register`."
        )
    return ""


def _actions(job: BulkJob, figures: BulkFigures, own: str) -> tuple[Action, ...]:
    found = []
    if job.state is BulkState.RUNNING:
        found.append(Action(Words("Pause"), f"{own}/pause", method="post"))
    if job.state is BulkState.PAUSED:
        found.append(Action(Words("Resume"), f"{own}/resume", "primary", "post"))
    failed = figures.stages.get(RowStage.FAILED, 0)
    if failed and job.state in (BulkState.RUNNING, BulkState.PAUSED, BulkState.FINISHED):
        again = Words.plural("Try the failed row again", "Try {n} failed rows again", failed)
        found.append(Action(again, f"{own}/retry", method="post"))
    if not job.refusal:
        found.append(Action(Words("Results"), f"{own}/results.csv", icon="download"))
    if job.state in (BulkState.RUNNING, BulkState.PAUSED):
        found.append(Action(Words("End it…"), f"{own}/cancel", "danger"))
    return tuple(found)


def _profile(name: str, job: BulkJob) -> Cell:
    more = [KEYS[job.key_algorithm]] if job.key_algorithm else []
    more += [Words.plural("{n} day", "{n} days", job.term_days)] if job.term_days else []
    return text(name or Words("as each row says"), listed(more) if more else "")


def _trouble(record: RowRecord) -> Row:
    row = record.row
    if record.stage is RowStage.FAILED:
        why = text(record.reason, record.advice)
        return Row(f"{HOME}/requests/{row.order_id}", (text(row.line), text(row.device_name or row.owner), why))
    mistakes = row.told_mistakes
    fields = several([code(each.field) if each.field else text(Words("whole row")) for each in mistakes])
    return Row("", (text(row.line), fields, several([each.reason for each in mistakes])))


# Rows


def rows_page(
    tx: Transaction, actor: Actor, job: BulkJob, figures: BulkFigures, stage: RowStage | None, after: int
) -> ListPage:
    """A part of the job's rows, in the order of the file."""
    own = f"{BASE}/{job.id}"
    found = tx.bulk_rows(job.id, stage=stage, after=after, limit=USUAL_ROWS + 1)
    shown = found[:USUAL_ROWS]
    kept = f"state={stage.value}&" if stage else ""
    tabs = (
        Tab(Words("All"), f"{own}/rows", stage is None, figures.rows),
        *(
            Tab(word, f"{own}/rows?state={each.value}", each is stage, figures.stages.get(each, 0))
            for each, (_, word) in STAGES.items()
            if figures.stages.get(each) or each is stage
        ),
    )
    return ListPage(
        title=Words("Rows"),
        crumbs=(TOP, Crumb(job.name, own)),
        columns=(
            Column("line", Words("Line"), narrow=True),
            Column("state", Words("State"), narrow=True),
            Column("machine", Words("Machine")),
            Column("came", Words("What came of it")),
            Column("at", Words("Since"), narrow=True),
        ),
        rows=tuple(_row(tx, actor, record) for record in shown),
        tabs=tabs,
        empty=Empty(Words("No rows"), Words("None stands there now.")),
        next_url=f"{own}/rows?{kept}after={shown[-1].row.line}" if len(found) > USUAL_ROWS else "",
        first_url=f"{own}/rows{f'?{kept[:-1]}' if kept else ''}" if after else "",
    )


def _row(tx: Transaction, actor: Actor, record: RowRecord) -> Row:
    row = record.row
    known = tx.in_reach(DEVICES, actor.scope, row.device_id) if row.device_id else None
    name = row.device_name or row.owner
    asked = name if known and name != known.name else ""
    called = record.machine if record.machine != name else ""
    machine = link(known.name, f"{HOME}/devices/{known.id}", asked) if known else text(name, called)
    cells = (text(row.line), stage_tag(record.stage), machine, _came(tx, actor, record),
             moment(record.at, "stacked"))  # fmt: skip
    return Row("", cells)


def _came(tx: Transaction, actor: Actor, record: RowRecord) -> Cell:
    row = record.row
    if row.mistakes:
        return several([_mistake(each.field, each.reason) for each in row.told_mistakes])
    if record.certificate_id and tx.in_reach(CERTIFICATES, actor.scope, record.certificate_id):
        return link(record.serial or "", f"{HOME}/certificates/{record.certificate_id}")
    if row.order_id and tx.in_reach(ORDERS, actor.scope, row.order_id):
        return link(record.reason or Words("Request"), f"{HOME}/requests/{row.order_id}", record.advice)
    return text(record.reason, record.advice)


def _mistake(field: str, reason: str) -> Cell:
    return text(reason, field)


def confirm_end(job: BulkJob) -> ConfirmPage:
    """Asks before a job is ended."""
    return asked_once(
        Standing(f"{BASE}/{job.id}", job.name, (TOP,)),
        Words("End the job"),
        Words("Rows that wait come to nothing, and open requests are cancelled."),
        Words("Certificates that are installed stay as they are."),
        Words("This cannot be undone. To go on later, pause it instead."),
        question=Words("End “{name}”?", name=job.name),
        path="cancel",
    )


def job_cells(tx: Transaction, job: BulkJob, figures: BulkFigures) -> Sequence[Cell]:
    """A job in the list."""
    percent = figures.done * 100 // figures.rows if figures.rows else 0
    bad = sum(figures.stages.get(each, 0) for each in _TROUBLE)
    trouble = Words.plural("{n} row came to nothing", "{n} rows came to nothing", bad) if bad else ""
    return (
        text(job.name, place_name(tx, job.organization_id, job.department_id)),
        job_tag(job),
        text(Words("{percent} %, {rows}", percent=percent, rows=rows_words(figures.done, figures.rows)), trouble),
        text(job.created_by),
        moment(job.created_at, "datetime", relative=True),
    )
