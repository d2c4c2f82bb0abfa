"""Requests in the console: see what waits, decide, cancel.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import RedirectResponse

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.inputs import ApprovalInput, CancellationInput, DecisionsInput, RejectionInput
from keystead_enroll.domain.lists import ORDERS
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.progress import progress_of
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.decisions import decide_several
from keystead_enroll.usecases.change_order import cancel_any_order, decide_order
from keystead_enroll.usecases.show_order import OrderDetails, describe_order
from keystead_enroll.web.console.cells import code, link, moment, several, tag, text
from keystead_enroll.web.console.choices import CHANNELS, KEYS
from keystead_enroll.web.console.evidence import why_facts
from keystead_enroll.web.console.form_widgets import ConfirmPage, FormField
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing, list_page
from keystead_enroll.web.console.mistakes import checked
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.request_decisions import (
    BASE,
    NOTE,
    REASON,
    STATES,
    TOP,
    TYPED_FROM,
    WAITING,
    confirm_several,
    results_page,
)
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Bulk,
    Column,
    Crumb,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Notice,
    Row,
    Section,
    Tab,
    TimelineEntry,
)
from keystead_enroll.web.evidence_words import refusal_of
from keystead_kit.drafts import Draft

NAV = "requests"
CERTIFICATES = f"{HOME}/certificates"
MOST_AT_ONCE = 200


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    transactions, clock, origin = tools.transactions, tools.clock, tools.enroll.settings.public_origin
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    @pages.get(BASE)
    def list_all(request: Request, visitor: Here) -> Response:
        searched = request.query_params.get("q", "")
        listing = Listing(ORDERS, page_of(searched), row_of, BASE)
        return tools.render(request, visitor, list_page(tools, request, visitor, listing), NAV)

    def several_page(
        request: Request, visitor: Visitor, posted: Posted, errors: dict[str, str], *, approve: bool
    ) -> Response:
        """The page that asks before several requests are decided. Those that cannot be are named when it is done."""
        ids = list(dict.fromkeys(posted.many("chosen")))[:MOST_AT_ONCE]
        with transactions.read() as tx:
            found = [order for each in ids if (order := tx.in_reach(ORDERS, visitor.actor.scope, each)) is not None]
        if not found:
            return RedirectResponse(f"{BASE}?q={WAITING}&done=unchosen", 303)
        return tools.render(request, visitor, confirm_several(found, posted, errors, approve=approve), NAV)

    @pages.post(f"{BASE}/approve")
    def ask_to_approve(request: Request, visitor: Here, posted: Sent) -> Response:
        return several_page(request, visitor, posted, {}, approve=True)

    @pages.post(f"{BASE}/decline")
    def ask_to_decline(request: Request, visitor: Here, posted: Sent) -> Response:
        return several_page(request, visitor, posted, {}, approve=False)

    @pages.post(f"{BASE}/decided")
    def several_decided(request: Request, visitor: Here, posted: Sent) -> Response:
        approve = posted.text("decision") == "approve"
        values = {"ids": posted.many("chosen"), "approve": approve, "note": posted.text("note")}
        try:
            wanted = checked(DecisionsInput, values)
            if len(wanted.ids) >= TYPED_FROM and posted.text("typed_word").strip() != str(len(wanted.ids)):
                raise InputRefused({"typed_word": Words("Type the number of requests to go on.")})
        except InputRefused as refusal:
            response = several_page(request, visitor, posted, refusal.fields, approve=approve)
            response.status_code = 422 if response.status_code == 200 else response.status_code
            return response
        results = decide_several(transactions, clock, origin, visitor.actor, wanted)
        with transactions.read() as tx:
            page = results_page(tx, visitor.actor, results, approve=approve)
        return tools.render(request, visitor, page, NAV)

    def add_verb(
        path: str,
        confirm: Callable[[Order, Draft], ConfirmPage],
        verb: Callable[[Actor, str, Posted], object],
        done: str,
    ) -> None:
        def asked(request: Request, visitor: Visitor, id: str, draft: Draft) -> Response:
            with transactions.read() as tx:
                page = confirm(reach(tx, ORDERS, visitor.actor, id, Words("request")), draft)
            return tools.render(request, visitor, page, NAV)

        @pages.get(f"{BASE}/{{id}}/{path}")
        def ask(request: Request, visitor: Here, id: str) -> Response:
            return asked(request, visitor, id, tools.draft(request))

        @pages.post(f"{BASE}/{{id}}/{path}")
        def act(request: Request, visitor: Here, posted: Sent, id: str) -> Response:
            try:
                verb(visitor.actor, id, posted)
            except InputRefused as refusal:
                return tools.again(request, posted, refusal, lambda draft: asked(request, visitor, id, draft))
            return tools.done(request, f"{BASE}/{id}", done)

    def approve(actor: Actor, id: str, posted: Posted) -> None:
        remark = checked(ApprovalInput, {"note": posted.text("note")}).note
        decide_order(transactions, clock, origin, actor, id, approve=True, remark=remark)

    def reject(actor: Actor, id: str, posted: Posted) -> None:
        remark = checked(RejectionInput, {"note": posted.text("note")}).note
        decide_order(transactions, clock, origin, actor, id, approve=False, remark=remark)

    def cancel(actor: Actor, id: str, posted: Posted) -> None:
        cancel_any_order(
            transactions, clock, origin, actor, id, checked(CancellationInput, {"note": posted.text("note")}).note
        )

    add_verb("approve", _confirm_approval, approve, "approved")
    add_verb("reject", _confirm_rejection, reject, "rejected")
    add_verb("cancel", _confirm_cancellation, cancel, "cancelled")
    add_pages(
        pages,
        tools,
        Place(base=BASE, nav=NAV, kind=Words("request"), definition=ORDERS, detail=_detail),
    )
    return pages


def page_of(searched: str) -> ListPage:
    """The list, without its rows."""
    deciding = searched.strip() == WAITING
    return ListPage(
        title=Words("Requests"),
        intro=Words("What persons asked for at your forms, newest first."),
        columns=(
            Column("person", Words("Person")),
            Column("wanted", Words("For")),
            Column("form", Words("Form")),
            Column("state", Words("State"), narrow=True),
            Column("created", Words("Asked for"), narrow=True),
        ),
        rows=(),
        tabs=(
            Tab(Words("All"), BASE, not searched.strip()),
            Tab(Words("Waiting for approval"), f"{BASE}?q={WAITING}", deciding),
            Tab(Words("Failed"), f"{BASE}?q=state:failed", searched.strip() == "state:failed"),
        ),
        bulk=Bulk(
            (
                Action(Words("Approve…"), f"{BASE}/approve", "primary", "post"),
                Action(Words("Decline…"), f"{BASE}/decline", "danger", "post"),
            )
        )
        if deciding
        else None,
        empty=Empty(
            Words("No requests yet"), Words("They appear here as soon as somebody asks for a certificate."),
            Action(Words("Enrollment forms"), f"{HOME}/forms"),
        ),
    )  # fmt: skip


def row_of(tx: Transaction, order: Order) -> Row:
    """A line of the list."""
    profile, form = tx.profile(order.profile_id), tx.form_of(order)
    return Row(
        f"{BASE}/{order.id}",
        (
            text(order.asked_by, order.person_name or ""),
            text(order.wanted_name, profile.name if profile else ""),
            text(form.name if form else CHANNELS[order.channel], tx.organization(order.organization_id).name),
            tag(*STATES[order.state]),
            moment(order.created_at, "stacked"),
        ),
        order.id,
    )


def _detail(tx: Transaction, actor: Actor, order: Order, _request: Request) -> DetailPage:
    told, certificate, own = describe_order(tx, order), tx.certificate_of(order.id), f"{BASE}/{order.id}"
    kind, _, device_id = order.recipient.partition(":")
    device = tx.device(device_id) if kind == "device" else None
    failure = progress_of(order).failure
    provided = order.csr_method is CsrGenerationMethod.PROVIDED
    return DetailPage(
        title=order.wanted_name or order.asked_by,
        subtitle=order.asked_by,
        tag=tag(*STATES[order.state]),
        crumbs=(TOP,),
        actions=_actions(order, own),
        notices=(
            Notice(f"{failure.title} {failure.advice}", "bad" if order.state is not OrderState.CANCELLED else "calm"),
        )
        if failure
        else (),
        sections=(
            Section(
                Words("Request"),
                facts=(
                    Fact(Words("Person"), text(order.person_email, order.person_name or "")),
                    *((Fact(Words("Asked for by"), text(order.requested_by)),) if order.requested_by else ()),
                    Fact(Words("Names"), several(told.names)),
                    Fact(
                        Words("Organization"), link(told.organization, f"{HOME}/organizations/{order.organization_id}")
                    ),
                    _way(order, told),
                    Fact(Words("Profile"), link(told.profile, f"{HOME}/profiles/{order.profile_id}")),
                    Fact(Words("Key"), text(KEYS[order.key_algorithm])),
                    Fact(Words("Valid for"), text(Words.plural("{n} day", "{n} days", order.term_days))),
                    Fact(Words("Terms accepted"), text(order.licence_version or "")),
                    Fact(Words("Reference"), code(order.trace_id)),
                ),
            ),
            *_key(order, own),
            Section(
                Words("Delivery"),
                facts=(
                    Fact(
                        Words("Goes to"),
                        text(Words("The person, who made the request"))
                        if provided
                        else link(device.name, f"{HOME}/devices/{device.id}")
                        if device
                        else text(order.machine, told.delivery),
                    ),
                    Fact(
                        Words("Certificate"),
                        link(certificate.serial, f"{CERTIFICATES}/{certificate.id}") if certificate else text(""),
                    ),
                ),
            ),
        ),
        timeline=_timeline(tx, actor, order),
    )


def _way(order: Order, told: OrderDetails) -> Fact:
    """How the request came."""
    if order.form_id is None:
        return Fact(Words("Came by"), text(CHANNELS[order.channel]))
    return Fact(Words("Form"), link(told.form, f"{HOME}/forms/{order.form_id}", told.account))


def _key(order: Order, own: str) -> tuple[Section, ...]:
    """Where the key is and why that is believed, once there is one."""
    if order.evidence is None:
        return ()
    reason = (Fact(Words("Reason"), code(order.failure_code)),) if refusal_of(order) else ()
    return (Section(Words("Private key"), (*why_facts(order.assurance, order, f"{own}/evidence"), *reason)),)


def _actions(order: Order, own: str) -> tuple[Action, ...]:
    waits = order.state is OrderState.AWAITING_APPROVAL
    decide = (
        Action(Words("Approve…"), f"{own}/approve", "primary"),
        Action(Words("Decline…"), f"{own}/reject", "danger"),
    )
    cancel = Action(Words("Cancel the request…"), f"{own}/cancel", "danger")
    if order.over or order.state is OrderState.SIGNING:
        return ()
    return (*decide, cancel) if waits else (cancel,)


def _timeline(tx: Transaction, actor: Actor, order: Order) -> tuple[TimelineEntry, ...]:
    """The transition log and the audit log together, newest first."""
    steps = [
        TimelineEntry(
            at=entry.at,
            who="",
            what=STATES[entry.target][1],
            detail=entry.note,
            trace=order.trace_id if position == 0 else "",
            tone=STATES[entry.target][0],
        )
        for position, entry in enumerate(order.log)
    ]
    done = timeline_of(tx, actor, order.id)
    return tuple(sorted((*reversed(steps), *done), key=lambda entry: entry.at, reverse=True))


def _ask(order: Order, verb: str, path: str, draft: Draft, field: FormField, *consequences: str) -> ConfirmPage:
    own = f"{BASE}/{order.id}"
    return ConfirmPage(
        title=verb,
        verb=verb,
        action=f"{own}/{path}",
        cancel_url=own,
        consequences=consequences,
        objects=(text(order.wanted_name, order.person_email),),
        fields=(field,),
        values=draft.values,
        errors=draft.errors,
        crumbs=(TOP, Crumb(order.wanted_name or order.person_email, own)),
        danger=path != "approve",
    )


def _confirm_approval(order: Order, draft: Draft) -> ConfirmPage:
    return _ask(
        order, Words("Approve the request"), "approve", draft, NOTE, Words("The person gets a letter and can go on.")
    )


def _confirm_rejection(order: Order, draft: Draft) -> ConfirmPage:
    return _ask(
        order, Words("Decline the request"), "reject", draft, REASON,
        Words("The person gets a letter with your reason."), Words("It cannot be undone; they can ask again."),
    )  # fmt: skip


def _confirm_cancellation(order: Order, draft: Draft) -> ConfirmPage:
    field = FormField(
        "note",
        Words("Reason"),
        "textarea",
        required=False,
        hint=Words("The person reads it, in the letter and on the request's page."),
        more={"maxlength": 1000},
    )
    return _ask(
        order, Words("Cancel the request"), "cancel", draft, field,
        Words("A computer that began removes its key, and a certificate that was issued already is revoked."),
        Words("The person gets a letter."),
    )  # fmt: skip
