"""Devices and registration tokens in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.enrollment import RegistrationToken
from keystead_enroll.domain.inputs import RegistrationTokenInput
from keystead_enroll.domain.lists import DEVICES, REGISTRATION_TOKENS
from keystead_enroll.domain.orders import Device
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.devices import (
    create_registration_token,
    delete_registration_token,
    device_records,
    remove_device,
)
from keystead_enroll.usecases.same_machine import confirm_same_machine
from keystead_enroll.usecases.show_evidence import show_device_evidence
from keystead_enroll.web.console.cells import Cell, link, moment, tag, text
from keystead_enroll.web.console.certificates import state_tag
from keystead_enroll.web.console.evidence import device_tpm
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage, Option
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.mistakes import checked
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.once import PAGE_KEY, once_of, page_key, shown_once
from keystead_enroll.web.console.resources import Place, add_pages
from keystead_enroll.web.console.tools import ConsoleTools, Posted
from keystead_enroll.web.console.widgets import (
    Action,
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
    Table,
)
from keystead_kit.drafts import Draft

NAV = "devices"
BASE, TOKENS = f"{HOME}/devices", f"{HOME}/registration-tokens"
_TOP, _TOKENS_TOP = Crumb(Words("Devices"), BASE), Crumb(Words("Registration tokens"), TOKENS)
_JOBS = {
    "make_key_and_csr": Words("Make a key and its request"),
    "install": Words("Install the certificate"),
    "prove": Words("Prove where the key is"),
    "remove": Words("Remove key and certificate"),
}
_MACHINE = (
    ("hostname", Words("Host name")),
    ("platform", Words("Operating system")),
    ("agent_version", Words("Agent")),
    ("key_provider", Words("Keeps keys in")),
    ("tpm_manufacturer", Words("TPM made by")),
    ("tpm_firmware", Words("TPM firmware")),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    transactions, clock = tools.transactions, tools.clock
    Here = Annotated[Visitor, Depends(tools.visitor)]
    Sent = Annotated[Posted, Depends(tools.posted)]

    def presence(device: Device) -> Cell:
        return tag("good", Words("Connected")) if device.connected(clock.now()) else tag("calm", Words("Not connected"))

    def row(tx: Transaction, device: Device) -> Row:
        cells = (
            text(device.name, device.platform),
            presence(device),
            text(device.owner, tx.organization(device.organization_id).name),
            moment(device.seen_at, "datetime", relative=True),
            moment(device.registered_at),
        )
        return Row(f"{BASE}/{device.id}", cells)

    def detail(tx: Transaction, actor: Actor, device: Device, _request: Request) -> DetailPage:
        return _detail(tx, actor, device, presence(device), tools)

    def remove(transactions: Transactions, clock: Clock, actor: Actor, id: str) -> None:
        remove_device(transactions, clock, tools.enroll.settings.public_origin, actor, id)

    def new_page(request: Request, visitor: Visitor, draft: Draft) -> Response:
        with transactions.read() as tx:
            page = _new_token(tx, visitor.actor, draft)
        return tools.render(request, visitor, page, NAV)

    @pages.get(f"{BASE}/{{id}}/same-machine")
    def ask_same_machine(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            device = reach(tx, DEVICES, visitor.actor, id, Words("device"))
            if device.same_as is None:
                return RedirectResponse(f"{BASE}/{id}", 303)
            page = _confirm_same_machine(tx, device)
        return tools.render(request, visitor, page, NAV)

    @pages.post(f"{BASE}/{{id}}/same-machine")
    def same_machine(request: Request, visitor: Here, _posted: Sent, id: str) -> Response:
        confirm_same_machine(transactions, clock, tools.enroll.ek_roots, visitor.actor, id)
        return tools.done(request, f"{BASE}/{id}", "changed")

    @pages.get(f"{TOKENS}/new")
    def show_new(request: Request, visitor: Here) -> Response:
        return new_page(request, visitor, tools.draft(request))

    @pages.post(f"{TOKENS}/new")
    def create(request: Request, visitor: Here, posted: Sent) -> Response:
        values = {
            "name": posted.text("name"),
            "organization_id": posted.text("organization_id"),
            "owner": posted.optional("owner"),
            "days": posted.text("days"),
        }
        try:
            wanted = checked(RegistrationTokenInput, values)
            made = create_registration_token(
                transactions, clock, tools.enroll.secrets, visitor.actor, wanted, once_of(request, posted)
            )
        except InputRefused as refusal:
            return tools.again(request, posted, refusal, lambda draft: new_page(request, visitor, draft))
        response = tools.render(request, visitor, _shown(wanted.name, made.secret), NAV)
        response.headers["cache-control"] = "no-store"
        tools.context.drafts.forget(request, response)
        return response

    add_pages(
        pages,
        tools,
        Place(
            base=BASE,
            nav=NAV,
            kind=Words("device"),
            definition=DEVICES,
            listing=lambda _visitor: Listing(DEVICES, _LIST, row, BASE),
            detail=detail,
            delete=_confirm_removal,
            delete_verb=remove,
        ),
    )
    add_pages(
        pages,
        tools,
        Place(
            base=TOKENS,
            nav=NAV,
            kind=Words("registration token"),
            definition=REGISTRATION_TOKENS,
            listing=lambda _visitor: Listing(
                REGISTRATION_TOKENS, _TOKEN_LIST, lambda tx, token: _token_row(tx, token, clock), TOKENS
            ),
            delete=_confirm_token,
            delete_verb=delete_registration_token,
        ),
    )
    return pages


def _tabs(here: str) -> tuple[Tab, ...]:
    return (
        Tab(Words("Devices"), BASE, here == BASE),
        Tab(Words("Registration tokens"), TOKENS, here == TOKENS),
    )


_NEW = Action(Words("New registration token"), f"{TOKENS}/new", "primary")
_LIST = ListPage(
    title=Words("Devices"),
    intro=Words("Machines whose agent is registered. They get their jobs without anybody at the keyboard."),
    columns=(
        Column("name", Words("Name")),
        Column("connected", Words("Now"), narrow=True),
        Column("owner", Words("Owner")),
        Column("seen", Words("Last seen"), narrow=True),
        Column("registered", Words("Registered"), narrow=True),
    ),
    rows=(),
    tabs=_tabs(BASE),
    empty=Empty(
        Words("No devices yet"),
        Words("Make a registration token and give it to the agent of each machine: keystead-agent register."),
        _NEW,
    ),
)
_TOKEN_LIST = ListPage(
    title=Words("Registration tokens"),
    intro=Words("Whoever has one may register machines of its organization, until it ends."),
    columns=(
        Column("name", Words("Name")),
        Column("organization", Words("Organization")),
        Column("owner", Words("Whose devices they will be")),
        Column("ends", Words("Ends"), narrow=True),
    ),
    rows=(),
    create=_NEW,
    tabs=_tabs(TOKENS),
    empty=Empty(Words("No registration tokens"), Words("Make one to let machines register."), _NEW),
)


def _token_row(tx: Transaction, token: RegistrationToken, clock: Clock) -> Row:
    over = token.expires_at is not None and token.expires_at <= clock.now()
    cells = (
        text(token.name),
        text(tx.organization(token.organization_id).name),
        text(token.owner),
        tag("calm", Words("Ended")) if over else moment(token.expires_at, "datetime", relative=True),
    )
    return Row(f"{TOKENS}/{token.id}/delete", cells)


def _detail(tx: Transaction, actor: Actor, device: Device, presence: Cell, tools: ConsoleTools) -> DetailPage:
    records, own = device_records(tx, actor, device), f"{BASE}/{device.id}"
    rules = actor.scope.rules_organization(device.organization_id)
    certificates = tuple(
        Row(
            f"{HOME}/certificates/{each.id}",
            (text(each.subject), state_tag(each, tools), moment(each.not_after, relative=True)),
        )
        for each in records.certificates
    )
    jobs = tuple(
        Row(
            f"{HOME}/requests/{job.order_id}", (text(_JOBS.get(job.kind, job.kind)), moment(job.created_at, "datetime"))
        )
        for job in records.jobs
    )
    place = link(tx.organization(device.organization_id).name, f"{HOME}/organizations/{device.organization_id}")
    return DetailPage(
        title=device.name,
        subtitle=device.owner or "",
        tag=presence,
        crumbs=(_TOP,),
        actions=(Action(Words("Remove…"), f"{own}/delete", "danger"),) if rules else (),
        notices=_waiting(device, rules=rules),
        sections=(
            Section(
                Words("Device"),
                facts=(
                    Fact(Words("Organization"), place),
                    Fact(Words("Owner"), text(device.owner)),
                    Fact(Words("Registered"), moment(device.registered_at, "datetime")),
                    Fact(Words("Last seen"), moment(device.seen_at, "datetime", relative=True)),
                ),
            ),
            device_tpm(device, show_device_evidence(tx, device)),
            Section(
                Words("Machine"),
                intro=Words("What its agent says; claims, not proof."),
                facts=tuple(
                    Fact(label, text(str(device.machine[name]))) for name, label in _MACHINE if device.machine.get(name)
                ),
            ),
            Section(
                Words("Certificates"),
                table=Table(
                    (
                        Column("subject", Words("For")),
                        Column("state", Words("State"), narrow=True),
                        Column("expires", Words("Valid until"), narrow=True),
                    ),
                    certificates,
                    Words("It has none yet."),
                ),
            ),
            Section(
                Words("To do"),
                table=Table(
                    (Column("job", Words("Job")), Column("since", Words("Since"), narrow=True)),
                    jobs,
                    Words("There is nothing for it to do."),
                ),
            ),
        ),
        timeline=timeline_of(tx, actor, device.id),
    )


def _waiting(device: Device, *, rules: bool) -> tuple[Notice, ...]:
    if device.same_as is None:
        return ()
    told = Words(
        "Its TPM is that of a computer that is registered already. It gets nothing to do until somebody says that it "
        "is the same computer, set up anew."
    )
    ask = Action(Words("It is the same computer…"), f"{BASE}/{device.id}/same-machine")
    return (Notice(told, "warn", action=ask if rules else None),)


def _confirm_same_machine(tx: Transaction, device: Device) -> ConfirmPage:
    own, earlier = f"{BASE}/{device.id}", tx.device(device.same_as or "")
    name = earlier.name if earlier else device.name
    return ConfirmPage(
        title=Words("Is {name} the same computer, set up anew?", name=device.name),
        verb=Words("It is the same computer"),
        action=f"{own}/same-machine",
        cancel_url=own,
        consequences=(
            Words("The key of the earlier registration, {name}, opens nothing here any more.", name=name),
            Words("Its certificates and requests are this one's from now on."),
            Words("If nobody set the computer up anew, cancel, and remove this device."),
        ),
        objects=(text(device.name, device.owner or ""),),
        crumbs=(_TOP, Crumb(device.name, own)),
    )


def _confirm_removal(_tx: Transaction, _actor: Actor, device: Device) -> ConfirmPage:
    own = f"{BASE}/{device.id}"
    return ConfirmPage(
        title=Words("Remove {name}?", name=device.name),
        verb=Words("Remove the device"),
        action=f"{own}/delete",
        cancel_url=own,
        consequences=(
            Words("Its key opens nothing here any more. To come back it has to be registered again."),
            Words("Requests that it works on are cancelled, and their persons told."),
            Words("Its certificates stay valid; revoke them where they should not be."),
        ),
        objects=(text(device.name, device.owner or ""),),
        crumbs=(_TOP, Crumb(device.name, own)),
    )


def _new_token(tx: Transaction, actor: Actor, draft: Draft) -> FormPage:
    places = tuple(Option(o.id, o.name) for o in tx.organizations() if actor.scope.rules_organization(o.id))
    return FormPage(
        title=Words("New registration token"),
        intro=Words("Give it to the agent of each machine: keystead-agent register."),
        action=f"{TOKENS}/new",
        fieldsets=(
            Fieldset(
                (
                    FormField("name", Words("Name"), more={"maxlength": 128, "autocomplete": "off"}),
                    FormField("organization_id", Words("Organization"), "select", options=places),
                    FormField(
                        "owner",
                        Words("Whose devices they will be"),
                        "email",
                        required=False,
                        hint=Words("The e-mail address of a person; they can choose these computers when they enroll."),
                    ),
                    FormField("days", Words("Days until it ends"), "number", short=True, more={"min": 1, "max": 366}),
                    PAGE_KEY,
                )
            ),
        ),
        submit=Words("Make the token"),
        cancel_url=TOKENS,
        values={
            **(draft.values or {"days": "30", "organization_id": places[0].value if len(places) == 1 else ""}),
            PAGE_KEY.name: page_key(draft),
        },
        errors=draft.errors,
        crumbs=(_TOP, _TOKENS_TOP),
    )


def _shown(name: str, secret: str | None) -> DetailPage:
    advice, crumbs = Words("Keep it like a password."), (_TOP, _TOKENS_TOP)
    page = shown_once(name, secret, Words("registration token"), advice, TOKENS, crumbs)
    return replace(page, subtitle=Words("Registration token"))


def _confirm_token(_tx: Transaction, _actor: Actor, token: RegistrationToken) -> ConfirmPage:
    return ConfirmPage(
        title=Words("Delete the registration token {name}?", name=token.name),
        verb=Words("Delete the token"),
        action=f"{TOKENS}/{token.id}/delete",
        cancel_url=TOKENS,
        consequences=(
            Words("No machine can register with it any more."),
            Words("Devices that came with it stay."),
        ),
        objects=(text(token.name, token.owner or ""),),
        crumbs=(_TOP, _TOKENS_TOP),
    )
