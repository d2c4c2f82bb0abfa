"""Bulk jobs in the console: send a file, watch it, steer it, fetch what came of it.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

import hashlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData, UploadFile

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.csv_text import MEDIA_TYPE, csv_line
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.bulk_columns import COLUMNS
from keystead_enroll.domain.bulk_inputs import BulkOptions
from keystead_enroll.domain.bulk_jobs import BulkFigures, BulkFormat, BulkJob, RowStage
from keystead_enroll.domain.lists import BULK_JOBS, PROFILES
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.bulk import steer_job
from keystead_enroll.usecases.bulk.export_rows import export_refused, export_results
from keystead_enroll.web.bulk_upload import BulkUpload
from keystead_enroll.web.console.bulk_pages import (
    BASE,
    TOP,
    confirm_end,
    job_cells,
    job_page,
    progress_of,
    rows_page,
)
from keystead_enroll.web.console.cells import link, text
from keystead_enroll.web.console.choices import KEYS, every, options
from keystead_enroll.web.console.form_widgets import Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.lists import Listing, list_page
from keystead_enroll.web.console.mistakes import checked
from keystead_enroll.web.console.places import AT_PLACE, PLACE, TYPE_WORDS, place_ids, place_options
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import Action, Column, Empty, Fact, ListPage, Row
from keystead_kit.drafts import Draft
from keystead_kit.threads import in_thread

NAV = "jobs"
PIECE = 256 * 1024
_FORMATS = {".jsonl": BulkFormat.JSONL, ".ndjson": BulkFormat.JSONL}
_NEW = Action(Words("Send a file"), f"{BASE}/new", "primary", icon="add")
_LIST = ListPage(
    title=Words("Bulk jobs"),
    intro=Words("Certificates for the machines of a file. Each gets its own as soon as its agent is there."),
    columns=(
        Column("name", Words("File")),
        Column("state", Words("State"), narrow=True),
        Column("progress", Words("Progress")),
        Column("by", Words("Sent by")),
        Column("created", Words("Sent"), narrow=True),
    ),
    rows=(),
    create=_NEW,
    empty=Empty(
        Words("No bulk jobs yet"),
        Words("Send a file with a line for each machine: good lines proceed, bad ones are told with their reasons."),
        _NEW,
    ),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    transactions, clock, context = tools.transactions, tools.clock, tools.context
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def figures_of(tx: Transaction, job: BulkJob) -> BulkFigures:
        return tx.bulk_figures([job.id], clock.now())[job.id]

    def reached(tx: Transaction, visitor: Visitor, id: str) -> BulkJob:
        return reach(tx, BULK_JOBS, visitor.actor, id, steer_job.KIND)

    def row(tx: Transaction, job: BulkJob) -> Row:
        return Row(f"{BASE}/{job.id}", tuple(job_cells(tx, job, figures_of(tx, job))))

    def asking(request: Request, visitor: Visitor, draft: Draft) -> Response:
        with transactions.read() as tx:
            page = _new(tx, visitor.actor, draft)
        return tools.render(request, visitor, page, NAV)

    @pages.get(BASE)
    def list_all(request: Request, visitor: Here) -> Response:
        listing = Listing(BULK_JOBS, _LIST, row, BASE)
        return tools.render(request, visitor, list_page(tools, request, visitor, listing), NAV)

    @pages.get(f"{BASE}/new")
    def show_new(request: Request, visitor: Here) -> Response:
        return asking(request, visitor, tools.draft(request))

    @pages.post(f"{BASE}/new")
    async def create(request: Request, visitor: Here) -> Response:
        """The file waits on disk until the form is whole, and goes on from there a piece at a time."""
        threads = request.app.state.threads
        async with request.form(max_files=1, max_fields=20, max_part_size=64 * 1024) as form:
            posted = _posted(form)
            context.guard.check(request, posted.text("form_token"))
            try:
                wanted, file = _wanted(posted, form)
                format = _FORMATS.get(_suffix(file), BulkFormat.CSV)
                found = await BulkUpload(tools.enroll, threads).receive(visitor.actor, wanted, format, _pieces(file))
            except InputRefused as refusal:
                told = InputRefused({AT_PLACE.get(name, name): why for name, why in refusal.fields.items()})
                again = partial(tools.again, request, posted, told, partial(asking, request, visitor))
                return await in_thread(again, threads)
        return tools.done(request, f"{BASE}/{found.job_id}", "created" if found.created else "came_before")

    @pages.get(f"{BASE}/template.csv")
    def template(_visitor: Here) -> Response:
        headers = {"content-disposition": 'attachment; filename="devices.csv"'}
        return Response(csv_line(tuple(COLUMNS)), media_type=MEDIA_TYPE, headers=headers)

    @pages.get(f"{BASE}/{{id}}")
    def show(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            job = reached(tx, visitor, id)
            page = job_page(tx, visitor.actor, job, figures_of(tx, job))
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{BASE}/{{id}}/progress")
    def show_progress(request: Request, visitor: Here, id: str) -> Response:
        """The part of the page that goes on; with the ETag of the answer before, 304 says that nothing changed."""
        with transactions.read() as tx:
            job = reached(tx, visitor, id)
            progress = progress_of(tx, job, figures_of(tx, job))
        response = context.pages.render(progress.template, progress=progress)
        etag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        response.headers["etag"] = etag
        return response

    @pages.get(f"{BASE}/{{id}}/rows")
    def show_rows(request: Request, visitor: Here, id: str, state: str = "", after: str = "") -> Response:
        stage = RowStage(state) if state in set(RowStage) else None
        line = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else 0
        with transactions.read() as tx:
            job = reached(tx, visitor, id)
            page = rows_page(tx, visitor.actor, job, figures_of(tx, job), stage, line)
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{BASE}/{{id}}/refused.csv")
    def refused(visitor: Here, id: str) -> Response:
        return _file("refused.csv", export_refused(transactions, visitor.actor, id))

    @pages.get(f"{BASE}/{{id}}/results.csv")
    def results(visitor: Here, id: str) -> Response:
        return _file("results.csv", export_results(transactions, visitor.actor, id))

    @pages.post(f"{BASE}/{{id}}/pause")
    def pause(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        steer_job.pause_job(transactions, clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}")

    @pages.post(f"{BASE}/{{id}}/resume")
    def resume(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        steer_job.resume_job(transactions, clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}")

    @pages.post(f"{BASE}/{{id}}/retry")
    def retry(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        again = steer_job.retry_job(transactions, clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}", "tried_again" if again else "unchanged")

    @pages.get(f"{BASE}/{{id}}/cancel")
    def ask_cancel(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            page = confirm_end(reached(tx, visitor, id))
        return tools.render(request, visitor, page, NAV)

    @pages.post(f"{BASE}/{{id}}/cancel")
    def cancel(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        steer_job.cancel_job(transactions, clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}")

    return pages


def _new(tx: Transaction, actor: Actor, draft: Draft) -> FormPage:
    scope = actor.scope
    places = place_options(tx, lambda o, d: any(scope.has(o, d, kind) for kind in CertificateType))
    profiles = [each for each in every(tx, actor, PROFILES) if each.active]
    columns = tuple(Fact(name, text(meaning)) for name, meaning in COLUMNS.items())
    template = Fact(Words("Template"), link("devices.csv", f"{BASE}/template.csv"))
    begun = {PLACE: places[0].value if len(places) == 1 else "", "certificate_type": CertificateType.DEVICE.value}
    return FormPage(
        title=Words("Send a file"),
        intro=Words(
            "CSV with a line of column names, as spreadsheets save it, or JSON with an object a line. Good lines "
            "proceed, bad ones are told with line, field and reason. The same file again is the same job."
        ),
        action=f"{BASE}/new",
        fieldsets=(
            Fieldset(
                (
                    FormField("file", Words("File"), "file", more={"accept": ".csv,.jsonl,.ndjson,text/csv"}),
                    FormField(PLACE, Words("Whose machines they are"), "select", options=places),
                    FormField(
                        "certificate_type", Words("What the certificates are for"), "radios",
                        options=tuple(Option(kind.value, words) for kind, words in TYPE_WORDS.items()),
                    ),
                )
            ),
            Fieldset(
                (
                    FormField(
                        "profile_id", Words("Certificate profile"), "select", required=False,
                        options=tuple(Option(each.id, each.name) for each in profiles),
                    ),
                    FormField(
                        "key_algorithm", Words("Key algorithm"), "select", required=False, options=options(KEYS)
                    ),
                    FormField(
                        "term_days", Words("Days that a certificate is valid"), "number", required=False, short=True,
                        more={"min": 1, "max": 3650},
                    ),
                    FormField("owner", Words("E-mail address of the owner"), "email", required=False),
                ),
                legend=Words("For lines that do not say it themselves"),
            ),
            Fieldset(
                (),
                legend=Words("Columns of the file"),
                intro=Words("In any order; leave out what you do not need."),
                facts=(template, *columns),
            ),
        ),
        submit=Words("Send the file"),
        cancel_url=BASE,
        values=draft.values or begun,
        errors=draft.errors,
        crumbs=(TOP,),
    )  # fmt: skip


def _posted(form: FormData) -> Posted:
    values: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            values.setdefault(name, []).append(value)
    return Posted(values, {})


def _wanted(posted: Posted, form: FormData) -> tuple[BulkOptions, UploadFile]:
    """What was asked for, and the file. Raises InputRefused with every mistake."""
    file, told = form.get("file"), {}
    if not isinstance(file, UploadFile) or not file.filename:
        told["file"] = Words("Choose a file.")
    if not posted.text(PLACE):
        told[PLACE] = Words("Choose an organization.")
    values: dict[str, Any] = {
        name: posted.optional(name)
        for name in ("certificate_type", "profile_id", "key_algorithm", "term_days", "owner")
    }
    values |= place_ids(posted.text(PLACE))
    try:
        wanted = checked(BulkOptions, values | {"name": _name(file)})
    except InputRefused as refusal:
        raise InputRefused(dict(refusal.fields) | told) from refusal
    if told or not isinstance(file, UploadFile):
        raise InputRefused(told)
    return wanted, file


def _name(file: object) -> str:
    """The file's name without what a name cannot have."""
    name = (file.filename or "") if isinstance(file, UploadFile) else ""
    return "".join(sign if sign.isprintable() else " " for sign in name)[-128:].strip()


def _suffix(file: UploadFile) -> str:
    return f".{(file.filename or '').lower().rpartition('.')[2]}"


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(PIECE):
        yield piece


def _file(name: str, lines: Iterator[str]) -> StreamingResponse:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=headers)
