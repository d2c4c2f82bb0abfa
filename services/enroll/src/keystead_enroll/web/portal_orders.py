"""Portal pages of one request: live progress, a new link, cancel."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse, StreamingResponse

from keystead_contracts.agent import EnrollLink
from keystead_contracts.words import Words
from keystead_enroll.domain.orders import Order
from keystead_enroll.domain.progress import progress_of
from keystead_enroll.usecases.change_order import cancel_order, own_order, renew_link
from keystead_enroll.usecases.use_link import use_link
from keystead_enroll.usecases.visit import find_visit
from keystead_enroll.web.context import FormToken, WebContext
from keystead_enroll.web.stream_places import Owner
from keystead_enroll.web.streams import SentEvent, Stream
from keystead_enroll.web.views import Context, certificate_view, order_view, visit_view
from keystead_kit.http import client_address
from keystead_kit.i18n import translated
from keystead_kit.threads import in_thread

PAGE_STREAM_SECONDS = 900.0


def router(context: WebContext) -> APIRouter:
    """The pages below `/e/<uri_extension>/orders`."""
    pages = APIRouter(prefix="/e/{uri}/orders/{order_id}", include_in_schema=False)
    enroll, guard = context.enroll, context.guard
    settings = enroll.settings

    @pages.get("")
    def show(request: Request, uri: str, order_id: str) -> Response:
        now = enroll.clock.now()
        with enroll.transactions.read() as tx:
            visit = find_visit(tx, enroll.clock, uri, context.session_token(request))
            order = own_order(tx, visit, order_id)
            profile = tx.profile(order.profile_id)
            name = profile.name if profile else ""
            claim = tx.claim_of(order.recipient)
            certificate = tx.certificate_of(order.id)
            progress = translated(progress_of(order).to_json())
            link = None
            if claim is not None:
                link = EnrollLink(
                    server=settings.public_origin,
                    claim=enroll.secrets.claim_token(claim.id),
                    scope=order.whose.value,
                )
            values: Context = {
                **visit_view(visit),
                "order": order_view(order, name, visit.form, claim, link, now),
                "progress": progress,
                "certificate": certificate_view(certificate, name, visit.form, now) if certificate else None,
                "downloads": [{"label": Words("Get the Keystead Agent"), "url": settings.agent_download_url}]
                if settings.agent_download_url
                else [],
                "agent_command": None,
            }
        return context.render(request, "order.html", **values)

    @pages.get("/events")
    async def events(request: Request, uri: str, order_id: str) -> StreamingResponse:
        token = context.session_token(request)
        last: dict[str, object] = {}

        def find() -> Order:
            with enroll.transactions.read() as tx:
                order = own_order(tx, find_visit(tx, enroll.clock, uri, token), order_id)
                list(order.log)
                return order

        def look() -> list[SentEvent]:
            now = translated(progress_of(find()).to_json())
            if now == last:
                return []
            last.clear()
            last.update(now)
            return [SentEvent("progress", now, last=bool(now["terminal"]))]

        person = (await in_thread(find, context.streams.looks)).person_email
        owner = Owner(person, settings.page_streams_per_person)
        return await context.streams.open(Stream(f"order:{order_id}", "page", owner, look, PAGE_STREAM_SECONDS))

    @pages.post("/link")
    def new_link(request: Request, uri: str, order_id: str, form_token: FormToken = "") -> Response:
        guard.check(request, form_token)
        renew_link(enroll.transactions, enroll.clock, enroll.secrets, uri, context.session_token(request), order_id)
        return RedirectResponse(f"/e/{uri}/orders/{order_id}", 303)

    @pages.post("/use-link")
    def link_instead(request: Request, uri: str, order_id: str, form_token: FormToken = "") -> Response:
        guard.check(request, form_token)
        use_link(enroll.transactions, enroll.clock, enroll.secrets, uri, context.session_token(request), order_id)
        return RedirectResponse(f"/e/{uri}/orders/{order_id}", 303)

    @pages.post("/cancel")
    def cancel(request: Request, uri: str, order_id: str, form_token: FormToken = "") -> Response:
        guard.check(request, form_token)
        cancel_order(
            enroll.transactions, enroll.clock, uri, context.session_token(request), order_id, client_address(request)
        )
        return RedirectResponse(f"/e/{uri}/orders/{order_id}", 303)

    return pages
