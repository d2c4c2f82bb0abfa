"""Registration tokens in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.inputs import RegistrationTokenInput, RegistrationTokenLimitsInput
from keystead_enroll.domain.lists import REGISTRATION_TOKENS
from keystead_enroll.domain.registration_tokens import MOST_DEVICES, RegistrationToken, TokenState
from keystead_enroll.ports import Clock, Transaction
from keystead_enroll.usecases.admin import registration_tokens as verbs
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.web.console.cells import Cell, Tone, link, moment, tag, text
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.mistakes import Wrong, checked
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.once import PAGE_KEY, once_of, page_key, shown_once
from keystead_enroll.web.console.resources import Place, Standing, add_pages, asked_once, change_page, new_page
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
    Column,
    Crumb,
    DetailPage,
    Empty,
    Fact,
    ListPage,
    Row,
    Section,
    Tab,
)
from keystead_kit.drafts import Draft

NAV = "devices"
DEVICES, BASE = f"{HOME}/devices", f"{HOME}/registration-tokens"
_TOP = (Crumb(Words("Devices"), DEVICES), Crumb(Words("Registration tokens"), BASE))
NEW = Action(Words("New registration token"), f"{BASE}/new", "primary", icon="add")
MOST_DAYS = 366
_STATES: Mapping[TokenState, tuple[Tone, str]] = {
    TokenState.USABLE: ("good", Words("Lets machines in")),
    TokenState.USED_UP: ("warn", Words("Used up")),
    TokenState.EXPIRED: ("calm", Words("Ended")),
    TokenState.REVOKED: ("calm", Words("Revoked")),
}
_OWNER = FormField(
    "owner",
    Words("Whose devices they will be"),
    "email",
    required=False,
    hint=Words("The e-mail address of a person; they can choose these computers when they enroll."),
)
_GROUP = FormField(
    "group",
    Words("Group"),
    required=False,
    hint=Words("What they are, such as “Laptops 2027”. Devices have it from then on, and are found by it."),
    more={"maxlength": 128, "autocomplete": "off"},
)
_MOST = FormField(
    "most_devices",
    Words("How many devices it may register"),
    "number",
    required=False,
    short=True,
    hint=Words("Leave it empty for any number. A computer that registers again counts once."),
    more={"min": 1, "max": MOST_DEVICES},
)


def inventory_tabs(here: str) -> tuple[Tab, ...]:
    """Devices and what they register with, `here` marked."""
    return (
        Tab(Words("Devices"), DEVICES, here == DEVICES),
        Tab(Words("Registration tokens"), BASE, here == BASE),
    )


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    transactions, clock = tools.transactions, tools.clock
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def asking(request: Request, visitor: Visitor, draft: Draft) -> Response:
        with transactions.read() as tx:
            page = _new(tx, visitor.actor, draft)
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{BASE}/new")
    def show_new(request: Request, visitor: Here) -> Response:
        return asking(request, visitor, tools.draft(request))

    @pages.post(f"{BASE}/new")
    def create(request: Request, visitor: Here, posted: Sent) -> Response:
        values = {
            "name": posted.text("name"),
            "organization_id": posted.text("organization_id"),
            "owner": posted.optional("owner"),
            "group": posted.text("group"),
            "most_devices": posted.optional("most_devices"),
            "days": posted.text("days"),
        }
        try:
            wanted = checked(RegistrationTokenInput, values)
            made = verbs.create_registration_token(
                transactions, clock, tools.enroll.secrets, visitor.actor, wanted, once_of(request, posted)
            )
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: asking(request, visitor, draft))
        response = tools.render(request, visitor, _shown(wanted.name, made.secret), NAV)
        response.headers["cache-control"] = "no-store"
        tools.context.drafts.forget(request, response)
        return response

    @pages.get(f"{BASE}/{{id}}/revoke")
    def ask_revoke(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            token = reach(tx, REGISTRATION_TOKENS, visitor.actor, id, verbs.KIND)
        return tools.render(request, visitor, _confirm_revocation(token), NAV)

    @pages.post(f"{BASE}/{{id}}/revoke")
    def revoke(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        verbs.revoke_registration_token(transactions, clock, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}", "revoked")

    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=verbs.KIND,
            definition=REGISTRATION_TOKENS,
            given=RegistrationTokenLimitsInput,
            values=lambda posted, token: _limits(posted, token, clock),
            listing=lambda _visitor: Listing(
                REGISTRATION_TOKENS, _LIST, lambda tx, token: _row(tx, token, clock), BASE
            ),
            detail=lambda tx, actor, token, _request: _detail(tx, actor, token, clock),
            change=_change,
            change_verb=verbs.change_registration_token,
            delete=_confirm_deletion,
            delete_verb=verbs.delete_registration_token,
            sound={"owner": None, "group": "", "most_devices": None, "expires_at": None},
            beside={"expires_at": "days"},
        ),
    )
    return pages


_LIST = ListPage(
    title=Words("Registration tokens"),
    intro=Words("Whoever has one may register machines of its organization, until it ends or is used up."),
    columns=(
        Column("name", Words("Name")),
        Column("state", Words("State"), narrow=True),
        Column("uses", Words("Devices"), narrow=True),
        Column("organization", Words("Organization")),
        Column("owner", Words("Whose devices they will be")),
        Column("ends", Words("Ends"), narrow=True),
    ),
    rows=(),
    create=NEW,
    tabs=inventory_tabs(BASE),
    empty=Empty(Words("No registration tokens"), Words("Make one to let machines register."), NEW),
)


def _state(token: RegistrationToken, clock: Clock) -> Cell:
    tone, word = _STATES[token.state(clock.now())]
    return tag(tone, word)


def _uses(token: RegistrationToken) -> Cell:
    if token.most_devices is None:
        return text(token.uses)
    return text(Words("{uses} of {most}", uses=token.uses, most=token.most_devices))


def _row(tx: Transaction, token: RegistrationToken, clock: Clock) -> Row:
    cells = (
        text(token.name, token.group),
        _state(token, clock),
        _uses(token),
        text(tx.organization(token.organization_id).name),
        text(token.owner),
        moment(token.expires_at, "datetime", relative=True),
    )
    return Row(f"{BASE}/{token.id}", cells)


def _detail(tx: Transaction, actor: Actor, token: RegistrationToken, clock: Clock) -> DetailPage:
    own, revoked = f"{BASE}/{token.id}", token.revoked_at is not None
    change, revoke = Action(Words("Change"), f"{own}/change"), Action(Words("Revoke…"), f"{own}/revoke", "danger")
    delete = Action(Words("Delete…"), f"{own}/delete", "danger")
    actions = (delete,) if revoked else (change, revoke, delete)
    came = Action(Words("Devices that came with it"), f"{DEVICES}?q=token_id:{token.id}")
    place = link(tx.organization(token.organization_id).name, f"{HOME}/organizations/{token.organization_id}")
    return DetailPage(
        title=token.name,
        subtitle=Words("Registration token"),
        tag=_state(token, clock),
        crumbs=_TOP,
        actions=actions if actor.scope.rules_organization(token.organization_id) else (),
        sections=(
            Section(
                Words("The token"),
                facts=(
                    Fact(Words("Devices registered"), _uses(token)),
                    Fact(Words("Group"), text(token.group)),
                    Fact(Words("Organization"), place),
                    Fact(Words("Whose devices they will be"), text(token.owner)),
                    Fact(Words("Ends"), moment(token.expires_at, "datetime", relative=True)),
                    Fact(Words("Made"), moment(token.created_at, "datetime", note=token.created_by)),
                    *([Fact(Words("Revoked"), moment(token.revoked_at, "datetime"))] if revoked else []),
                ),
                actions=(came,),
            ),
        ),
        timeline=timeline_of(tx, actor, token.id),
    )


def _new(tx: Transaction, actor: Actor, draft: Draft) -> FormPage:
    places = tuple(Option(o.id, o.name) for o in tx.organizations() if actor.scope.rules_organization(o.id))
    asked = (
        FormField("name", Words("Name"), more={"maxlength": 128, "autocomplete": "off"}),
        FormField("organization_id", Words("Organization"), "select", options=places),
        _GROUP,
        _OWNER,
        _MOST,
        FormField("days", Words("Days until it ends"), "number", short=True, more={"min": 1, "max": MOST_DAYS}),
        PAGE_KEY,
    )
    begun = {"days": "30", "organization_id": places[0].value if len(places) == 1 else ""}
    values = {**(draft.values or begun), PAGE_KEY.name: page_key(draft)}
    page = new_page(
        Words("New registration token"), BASE, (Fieldset(asked),), Words("Make the token"), values, draft, _TOP
    )
    return replace(page, intro=Words("Give it to the agent of each machine: keystead-agent register."))


def _change(_tx: Transaction, _actor: Actor, token: RegistrationToken, draft: Draft) -> FormPage:
    days = FormField(
        "days",
        Words("Days until it ends, from today"),
        "number",
        required=False,
        short=True,
        hint=Words("Leave it empty to keep the end that it has."),
        more={"min": 1, "max": MOST_DAYS},
    )
    facts = (
        Fact(Words("Devices registered"), _uses(token)),
        Fact(Words("Ends"), moment(token.expires_at, "datetime", relative=True)),
    )
    stored = {"owner": token.owner or "", "group": token.group, "most_devices": str(token.most_devices or "")}
    return change_page(
        _standing(token),
        Words("Change the token"),
        (Fieldset((_GROUP, _OWNER, _MOST, days), facts=facts),),
        draft.values or stored,
        draft,
    )


def _limits(posted: Posted, token: RegistrationToken | None, clock: Clock) -> dict[str, Any]:
    days, ends = posted.text("days").strip(), token.expires_at if token else None
    if days:
        right = days.isascii() and days.isdigit() and len(days) <= 3 and 1 <= int(days) <= MOST_DAYS
        told = Wrong({"days": Words("Give a number of days from 1 to {most}.", most=MOST_DAYS)})
        end: object = clock.now() + timedelta(days=int(days)) if right else told
    else:
        end = ends
    return {
        "owner": posted.optional("owner"),
        "group": posted.text("group"),
        "most_devices": posted.optional("most_devices"),
        "expires_at": end,
    }


def _shown(name: str, secret: str | None) -> DetailPage:
    page = shown_once(name, secret, verbs.KIND, Words("Keep it like a password."), BASE, _TOP)
    return replace(page, subtitle=Words("Registration token"))


def _confirm_revocation(token: RegistrationToken) -> ConfirmPage:
    return asked_once(
        _standing(token),
        Words("Revoke the token"),
        Words("No machine can register with it any more."),
        Words("Devices that came with it stay."),
        Words("This cannot be undone."),
        question=Words("Revoke “{name}”?", name=token.name),
        path="revoke",
    )


def _confirm_deletion(_tx: Transaction, _actor: Actor, token: RegistrationToken) -> ConfirmPage:
    return asked_once(
        _standing(token),
        Words("Delete the token"),
        Words("No machine can register with it any more."),
        Words("Devices that came with it stay."),
        Words("How many it registered is not known any more. To keep that, revoke it."),
        question=Words("Delete the registration token {name}?", name=token.name),
    )


def _standing(token: RegistrationToken) -> Standing:
    return Standing(f"{BASE}/{token.id}", token.name, _TOP)
