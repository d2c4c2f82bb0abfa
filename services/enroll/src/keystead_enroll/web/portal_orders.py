"""Portal pages of one request: live progress, a new link, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, StreamingResponse

from keystead_contracts.agent import EnrollLink
from keystead_enroll.domain.progress import progress_of
from keystead_enroll.usecases.change_order import cancel_order, own_order, renew_link
from keystead_enroll.usecases.visit import find_visit
from keystead_enroll.web.context import SESSION, WebContext
from keystead_enroll.web.streams import SentEvent, event_stream
from keystead_enroll.web.views import Context, certificate_view, order_view, visit_view

PAGE_STREAM_SECONDS = 900.0
FormToken = Annotated[str, Form(max_length=128)]


def router(context: WebContext) -> APIRouter:
    """The pages below `/e/<uri_extension>/orders`."""
    pages = APIRouter(prefix="/e/{uri}/orders/{order_id}", include_in_schema=False)
    enroll, guard = context.enroll, context.guard
    settings = enroll.settings

    def session_token(request: Request) -> str | None:
        return context.cookies.get(request, SESSION)

    @pages.get("")
    def show(request: Request, uri: str, order_id: str) -> Response:
        now = enroll.clock.now()
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, session_token(request))
            order = own_order(tx, visit, order_id)
            profile = tx.profile(order.profile_id)
            name = profile.name if profile else ""
            claim = tx.claim_of(order.recipient)
            certificate = tx.certificate_of(order.id)
            progress = progress_of(order).to_json()
            link = None
            if claim is not None:
                link = EnrollLink(server=settings.public_origin, claim=enroll.secrets.claim_token(claim.id))
            values: Context = {
                **visit_view(visit),
                "order": order_view(order, name, visit.form, claim, link, now),
                "progress": progress,
                "certificate": certificate_view(certificate, name, visit.form, now) if certificate else None,
                "downloads": [{"label": "Get the Keystead Agent", "url": settings.agent_download_url}]
                if settings.agent_download_url
                else [],
                "agent_command": None,
            }
        seen, form_token = guard.visit(request)
        response = context.pages.render("order.html", form_token=form_token, **values)
        guard.remember(request, response, seen)
        return response

    @pages.get("/events")
    async def events(request: Request, uri: str, order_id: str) -> StreamingResponse:
        token = session_token(request)
        last: dict[str, object] = {}

        def progress() -> dict[str, object]:
            with enroll.transactions.read() as tx:
                order = own_order(tx, find_visit(tx, enroll.clock, uri, token), order_id)
                return progress_of(order).to_json()

        await run_in_threadpool(progress)  # refuse before the stream begins

        async def look() -> list[SentEvent]:
            now = await run_in_threadpool(progress)
            if now == last:
                return []
            last.clear()
            last.update(now)
            return [SentEvent("progress", now, last=bool(now["terminal"]))]

        return event_stream(
            context.wakeups, f"order:{order_id}", "page", look,
            keep_alive=settings.keep_alive_seconds, life=PAGE_STREAM_SECONDS,
        )  # fmt: skip

    @pages.post("/link")
    def new_link(request: Request, uri: str, order_id: str, form_token: FormToken = "") -> Response:
        guard.check(request, form_token)
        renew_link(enroll.transactions, enroll.clock, enroll.secrets, uri, session_token(request), order_id)
        return RedirectResponse(f"/e/{uri}/orders/{order_id}", 303)

    @pages.post("/cancel")
    def cancel(request: Request, uri: str, order_id: str, form_token: FormToken = "") -> Response:
        guard.check(request, form_token)
        cancel_order(enroll.transactions, enroll.clock, uri, session_token(request), order_id)
        return RedirectResponse(f"/e/{uri}/orders/{order_id}", 303)

    return pages
