"""`/api/v1/bulk-jobs`.

This module evaluates its annotations when a router is made, because they name what is at hand: no `from __future__
import annotations` here.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_contracts.problems import ProblemCode
from keystead_contracts.words import Words
from keystead_enroll.csv_text import MEDIA_TYPE as CSV
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.bulk_columns import COLUMNS
from keystead_enroll.domain.bulk_inputs import BulkOptions, BulkRowsInput
from keystead_enroll.domain.bulk_jobs import BulkFigures, BulkFormat, BulkJob, BulkState, RowStage
from keystead_enroll.domain.lists import BULK_JOBS
from keystead_enroll.domain.search import MOST_ROWS, USUAL_ROWS, PageWanted
from keystead_enroll.ports import Transaction
from keystead_enroll.ports_bulk import RowRecord
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.bulk import steer_job
from keystead_enroll.usecases.bulk.export_rows import export_refused, export_results
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools, PageOf
from keystead_enroll.web.bulk_upload import BulkUpload
from keystead_kit.problems import ProblemException
from keystead_kit.threads import in_thread

PATH = "/bulk-jobs"
MEDIA_TYPES = {
    "text/csv": BulkFormat.CSV,
    "application/x-ndjson": BulkFormat.JSONL,
    "application/jsonl": BulkFormat.JSONL,
}
"""Content-Type → how the file is written."""
_UNSUPPORTED: dict[int | str, dict[str, Any]] = {
    415: {**PROBLEMS[400], "description": "The file is of another kind, or it is compressed."}
}
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file as it is, not compressed, CSV in UTF-8 or UTF-16 or JSON lines: one object a line. "
        "Columns: " + " ".join(f"`{name}`: {meaning}." for name, meaning in COLUMNS.items()),
        "content": {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES},
    }
}
_CSV_FILE: dict[int | str, dict[str, Any]] = {200: {"description": "The file.", "content": {CSV: {}}}}


class BulkProgressOut(BaseModel):
    """How far a job has come. `stages`: how many of its rows stand where. `rate`: certificates installed a second in
    the last minute; `seconds_left`: until all machines that are known have theirs at that rate, null if nothing moves.
    While the file is read, `read_octets` of `octets` say how far that has come."""

    rows: int
    done: int
    stages: dict[RowStage, int]
    rate: float
    seconds_left: int | None
    read_octets: int
    octets: int
    reading: bool


class BulkRefusalOut(BaseModel):
    """Why the file as a whole cannot be read, and what to do."""

    detail: str
    advice: str


class BulkJobOut(BaseModel):
    """A file of machines that are to have certificates. What a row does not say itself is as the job says."""

    id: str
    name: str
    format: BulkFormat
    state: BulkState
    state_at: AwareDatetime
    organization_id: str
    organization: str
    department_id: str | None
    department: str | None
    certificate_type: CertificateType
    profile_id: str | None
    profile: str | None
    key_algorithm: KeyAlgorithm | None
    term_days: int | None
    owner: str | None
    created_by: str
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    read_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    tpms_listed: int
    refusal: BulkRefusalOut | None
    progress: BulkProgressOut


class BulkMistakeOut(BaseModel):
    """What is wrong with a row: in which column (empty: the whole row), and why."""

    field: str
    reason: str


class BulkRowOut(BaseModel):
    """A row, and what came of it. `line` is the line of the file on which it begins, or for rows that came as JSON its
    number. `reason` and `advice`: of a request that came to nothing."""

    line: int
    state: RowStage
    at: AwareDatetime | None
    device_name: str
    ek_sha256: str | None
    owner: str
    profile_id: str | None
    key_algorithm: KeyAlgorithm | None
    term_days: int | None
    device_id: str | None
    machine: str
    request_id: str | None
    earlier_request_ids: list[str]
    certificate_id: str | None
    serial: str | None
    not_after: AwareDatetime | None
    assurance: AssuranceLevel | None
    mistakes: list[BulkMistakeOut]
    reason: str
    advice: str


class RetriedOut(BaseModel):
    """How many rows are tried again."""

    rows: int


def progress_of(job: BulkJob, figures: BulkFigures) -> BulkProgressOut:
    """The progress of a job as it is told."""
    return BulkProgressOut(
        rows=figures.rows,
        done=figures.done,
        stages={stage: figures.stages.get(stage, 0) for stage in RowStage},
        rate=round(figures.rate, 2),
        seconds_left=figures.seconds_left,
        read_octets=job.read_octets,
        octets=job.octets,
        reading=job.state in (BulkState.RUNNING, BulkState.PAUSED) and job.read_at is None,
    )


def job_shown(tx: Transaction, job: BulkJob, figures: BulkFigures) -> BulkJobOut:
    """A job as it is told."""
    profile = tx.profile(job.profile_id) if job.profile_id else None
    detail, advice = job.refusal_words
    return BulkJobOut(
        id=job.id,
        name=job.name,
        format=job.format,
        state=job.state,
        state_at=job.state_at or job.created_at,
        organization_id=job.organization_id,
        organization=tx.organization(job.organization_id).name,
        department_id=job.department_id,
        department=tx.department(job.department_id).name if job.department_id else None,
        certificate_type=job.certificate_type,
        profile_id=job.profile_id,
        profile=profile.name if profile else None,
        key_algorithm=job.key_algorithm,
        term_days=job.term_days,
        owner=job.owner,
        created_by=job.created_by,
        created_at=job.created_at,
        started_at=job.started_at,
        read_at=job.read_at,
        finished_at=job.finished_at,
        tpms_listed=job.tpms_listed,
        refusal=BulkRefusalOut(detail=detail, advice=advice) if job.refusal else None,
        progress=progress_of(job, figures),
    )


def row_shown(record: RowRecord, earlier: list[str]) -> BulkRowOut:
    """A row as it is told."""
    row = record.row
    return BulkRowOut(
        line=row.line,
        state=record.stage,
        at=record.at,
        device_name=row.device_name,
        ek_sha256=row.ek_sha256,
        owner=row.owner,
        profile_id=row.profile_id,
        key_algorithm=row.key_algorithm,
        term_days=row.term_days,
        device_id=row.device_id,
        machine=record.machine,
        request_id=row.order_id,
        earlier_request_ids=earlier,
        certificate_id=record.certificate_id,
        serial=record.serial,
        not_after=record.not_after,
        assurance=record.assurance,
        mistakes=[BulkMistakeOut(field=each.field, reason=each.reason) for each in row.told_mistakes],
        reason=record.reason,
        advice=record.advice,
    )


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["bulk-jobs"], responses=PROBLEMS)
    transactions, clock, enroll = tools.transactions, tools.clock, tools.enroll
    Asker = Annotated[Actor, Depends(tools.actor)]
    Wanted = Annotated[PageWanted, Depends(tools.page_wanted(BULK_JOBS))]
    OnceKey = Annotated[
        str | None,
        Header(
            alias="idempotency-key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$",
            description="Sent again with the same key, a creation happens once (kept for two days).",
        ),
    ]  # fmt: skip

    def shown(actor: Actor, job_id: str) -> BulkJobOut:
        with transactions.read() as tx:
            job = reach(tx, BULK_JOBS, actor, job_id, steer_job.KIND)
            return job_shown(tx, job, tx.bulk_figures([job.id], clock.now())[job.id])

    async def received(
        request: Request,
        response: Response,
        actor: Actor,
        wanted: BulkOptions,
        format: BulkFormat,
        content: AsyncIterator[bytes],
        key: str | None,
    ) -> BulkJobOut:
        upload = BulkUpload(enroll, request.app.state.threads)
        found = await upload.receive(actor, wanted, format, content, key=key)
        response.status_code = 201 if found.created else 200
        return await in_thread(partial(shown, actor, found.job_id), request.app.state.threads)

    @api.post(
        PATH,
        status_code=201,
        operation_id="create_bulk_job",
        summary="Send a file of machines that are to have certificates",
        responses={200: {"model": BulkJobOut, "description": "The file came before: its job."}, **_UNSUPPORTED},
        openapi_extra=_FILE,
    )
    async def submit(
        request: Request,
        response: Response,
        actor: Asker,
        wanted: Annotated[BulkOptions, Query()],
        idempotency_key: OnceKey = None,
    ) -> BulkJobOut:
        """Good rows proceed, bad ones are told by line and column. The same file with the same options is the same job,
        however often it is sent. It is read as it comes, and its rows are worked off behind it."""
        return await received(request, response, actor, wanted, format_of(request), request.stream(), idempotency_key)

    @api.post(
        f"{PATH}/rows",
        status_code=201,
        operation_id="create_bulk_job_of_rows",
        summary="Send rows of machines that are to have certificates",
        responses={200: {"model": BulkJobOut, "description": "The rows came before: their job."}},
    )
    async def submit_rows(
        request: Request, response: Response, actor: Asker, body: BulkRowsInput, idempotency_key: OnceKey = None
    ) -> BulkJobOut:
        """As a file with as many lines of JSON."""

        async def lines() -> AsyncIterator[bytes]:
            yield "".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in body.rows).encode()

        return await received(request, response, actor, body, BulkFormat.JSONL, lines(), idempotency_key)

    @api.get(PATH, operation_id="list_bulk_jobs", summary="List bulk jobs")
    def list_all(actor: Asker, wanted: Wanted) -> PageOf[BulkJobOut]:
        with transactions.read() as tx:
            page = tx.page(BULK_JOBS, actor.scope, wanted)
            figures = tx.bulk_figures([job.id for job in page.items], clock.now())
            return PageOf(items=[job_shown(tx, job, figures[job.id]) for job in page.items], next=page.next)

    @api.get(
        f"{PATH}/{{id}}",
        operation_id="show_bulk_job",
        summary="Show one bulk job and how far it has come",
        responses={304: {"description": "Nothing changed since the answer with this ETag."}},
    )
    def show(
        actor: Asker, id: str, response: Response, if_none_match: Annotated[str | None, Header(max_length=256)] = None
    ) -> BulkJobOut:
        """Made to be asked for again and again: with the ETag of the answer before, 304 says that nothing changed."""
        found = shown(actor, id)
        etag = f'W/"{hashlib.sha256(found.model_dump_json().encode()).hexdigest()[:32]}"'
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if if_none_match == etag:
            return Response(status_code=304, headers=headers)  # type: ignore[return-value]
        response.headers.update(headers)
        return found

    @api.get(f"{PATH}/{{id}}/rows", operation_id="list_bulk_rows", summary="List the rows of one bulk job")
    def rows(
        actor: Asker,
        id: str,
        state: Annotated[RowStage | None, Query(description="Those that stand there.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = USUAL_ROWS,
        after: Annotated[int, Query(ge=0, le=2**31 - 1, description="`next` of the page before.")] = 0,
    ) -> PageOf[BulkRowOut]:
        """In the order of the file."""
        with transactions.read() as tx:
            job = reach(tx, BULK_JOBS, actor, id, steer_job.KIND)
            found = tx.bulk_rows(job.id, stage=state, after=after, limit=limit + 1)
            page = found[:limit]
            earlier = tx.earlier_orders(job.id, [record.row.line for record in page])
            items = [row_shown(record, list(earlier.get(record.row.line, ()))) for record in page]
            return PageOf(items=items, next=str(page[-1].row.line) if len(found) > limit else None)

    @api.get(
        f"{PATH}/{{id}}/refused.csv",
        operation_id="export_refused_bulk_rows",
        summary="The rows that were refused, as they came, with line, field and reason",
        response_class=StreamingResponse,
        responses=_CSV_FILE,
    )
    def refused(actor: Asker, id: str) -> StreamingResponse:
        """To be corrected and sent again: the last three columns are read over. What a spreadsheet would take for a
        formula begins with an apostrophe, which is taken off again."""
        return _file("refused.csv", export_refused(transactions, actor, id))

    @api.get(
        f"{PATH}/{{id}}/results.csv",
        operation_id="export_bulk_results",
        summary="Every row and what came of it",
        response_class=StreamingResponse,
        responses=_CSV_FILE,
    )
    def results(actor: Asker, id: str) -> StreamingResponse:
        """In the order of the file."""
        return _file("results.csv", export_results(transactions, actor, id))

    @api.post(f"{PATH}/{{id}}/pause", operation_id="pause_bulk_job", summary="Begin nothing new for one bulk job")
    def pause(actor: Asker, id: str) -> BulkJobOut:
        """Requests under way go on. Again it answers the same."""
        steer_job.pause_job(transactions, clock, actor, id)
        return shown(actor, id)

    @api.post(f"{PATH}/{{id}}/resume", operation_id="resume_bulk_job", summary="Go on with one bulk job")
    def resume(actor: Asker, id: str) -> BulkJobOut:
        """Again it answers the same."""
        steer_job.resume_job(transactions, clock, actor, id)
        return shown(actor, id)

    @api.post(f"{PATH}/{{id}}/cancel", operation_id="cancel_bulk_job", summary="End one bulk job")
    def cancel(actor: Asker, id: str) -> BulkJobOut:
        """Rows that wait are void and open requests are cancelled, a batch at a time; certificates that are installed
        stay. Again it answers the same."""
        steer_job.cancel_job(transactions, clock, actor, id)
        return shown(actor, id)

    @api.post(
        f"{PATH}/{{id}}/retry", operation_id="retry_bulk_job", summary="Try the failed rows of one bulk job again"
    )
    def retry(actor: Asker, id: str) -> RetriedOut:
        """Each gets a new request; the one that failed stays as it is."""
        return RetriedOut(rows=steer_job.retry_job(transactions, clock, actor, id))

    return api


def format_of(request: Request) -> BulkFormat:
    """How the body is written. Raises ProblemException 415."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise ProblemException(
            415, ProblemCode.MALFORMED, Words("The file is compressed."), Words("Send it as it is."),
            headers={"connection": "close"},
        )  # fmt: skip
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in MEDIA_TYPES:
        raise ProblemException(
            415, ProblemCode.MALFORMED, Words("The Content-Type says neither CSV nor JSON lines."),
            Words("Send one of: {types}.", types=", ".join(MEDIA_TYPES)), headers={"connection": "close"},
        )  # fmt: skip
    return MEDIA_TYPES[kind]


def _file(name: str, lines: Any) -> StreamingResponse:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(lines, media_type=CSV, headers=headers)
