"""Devices in the console.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.lists import DEVICES, REGISTRATION_TOKENS
from keystead_enroll.domain.orders import Device
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.admin.devices import DeviceRecords, device_records, remove_device
from keystead_enroll.usecases.same_machine import confirm_same_machine
from keystead_enroll.usecases.show_evidence import show_device_evidence
from keystead_enroll.web.console.bulk_pages import BASE as JOBS
from keystead_enroll.web.console.bulk_words import stage_tag
from keystead_enroll.web.console.cells import Cell, link, moment, tag, text
from keystead_enroll.web.console.certificates import state_tag
from keystead_enroll.web.console.evidence import device_tpm
from keystead_enroll.web.console.form_widgets import ConfirmPage
from keystead_enroll.web.console.history import timeline_of
from keystead_enroll.web.console.lists import Listing
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.registration_tokens import BASE as TOKENS
from keystead_enroll.web.console.registration_tokens import NEW as NEW_TOKEN
from keystead_enroll.web.console.registration_tokens import inventory_tabs
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
    Table,
)

NAV = "devices"
BASE = f"{HOME}/devices"
_TOP = Crumb(Words("Devices"), BASE)
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
            text(device.group, device.token_name),
            text(device.owner, tx.organization(device.organization_id).name),
            moment(device.seen_at, "datetime", relative=True),
            moment(device.registered_at),
        )
        return Row(f"{BASE}/{device.id}", cells)

    def detail(tx: Transaction, actor: Actor, device: Device, _request: Request) -> DetailPage:
        return _detail(tx, actor, device, presence(device), tools)

    def remove(transactions: Transactions, clock: Clock, actor: Actor, id: str) -> None:
        remove_device(transactions, clock, tools.enroll.settings.public_origin, actor, id)

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
    return pages


_LIST = ListPage(
    title=Words("Devices"),
    intro=Words("Machines whose agent is registered. They get their jobs without anybody at the keyboard."),
    columns=(
        Column("name", Words("Name")),
        Column("connected", Words("Now"), narrow=True),
        Column("group", Words("Group")),
        Column("owner", Words("Owner")),
        Column("seen", Words("Last seen"), narrow=True),
        Column("registered", Words("Registered"), narrow=True),
    ),
    rows=(),
    tabs=inventory_tabs(BASE),
    empty=Empty(
        Words("No devices yet"),
        Words("Make a registration token and give it to the agent of each machine: keystead-agent register."),
        NEW_TOKEN,
    ),
)


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
                    Fact(Words("Group"), text(device.group)),
                    Fact(Words("Registered"), moment(device.registered_at, "datetime")),
                    Fact(Words("With the registration token"), _token_cell(tx, actor, device)),
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
            *_bulk(records),
        ),
        timeline=timeline_of(tx, actor, device.id),
    )


def _bulk(records: DeviceRecords) -> tuple[Section, ...]:
    """The rows of bulk jobs that a device is in; nothing where there are none."""
    rows = tuple(
        Row(f"{JOBS}/{job.id}", (text(job.name), text(record.row.line), stage_tag(record.stage)))
        for job, record in records.bulk_rows
    )
    columns = (
        Column("job", Words("Bulk job")),
        Column("line", Words("Line"), narrow=True),
        Column("state", Words("State"), narrow=True),
    )
    return (Section(Words("Bulk jobs"), table=Table(columns, rows)),) if rows else ()


def _token_cell(tx: Transaction, actor: Actor, device: Device) -> Cell:
    known = tx.in_reach(REGISTRATION_TOKENS, actor.scope, device.token_id) if device.token_id else None
    return link(known.name, f"{TOKENS}/{known.id}") if known else text(device.token_name)


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
