"""Why it is believed that a key is in a TPM, in the console: of a certificate, a request, a device; with every code.

This module evaluates its annotations when pages are added, because they name what is at hand: no `from __future__
import annotations` here.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.words import Sentences, Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.lists import CERTIFICATES, DEVICES, ORDERS
from keystead_enroll.domain.orders import Device, Order
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.console import Visitor
from keystead_enroll.usecases.show_evidence import (
    EvidenceGroup,
    EvidenceLine,
    ShownEvidence,
    ShownTpm,
    evidence_file,
    show_device_evidence,
    show_evidence,
)
from keystead_enroll.web.api.evidence import evidence_response
from keystead_enroll.web.console.cells import Cell, code, link, moment, several, tag, text
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.tools import ConsoleTools
from keystead_enroll.web.console.widgets import Action, Column, Crumb, DetailPage, Fact, Notice, Row, Section, Table
from keystead_enroll.web.evidence_words import (
    ABOUT,
    LEVELS,
    MARKS,
    NO_LEVEL,
    Belief,
    belief_in,
    firmware,
    manufacturer,
    order_belief,
    refusal_of,
)

WHY = Words("Why do we believe this?")
_COLUMNS = (
    Column("check", Words("Check")),
    Column("mark", Words("Outcome"), narrow=True),
    Column("code", Words("Code")),
)


def router(tools: ConsoleTools) -> APIRouter:
    """The pages."""
    pages = APIRouter(include_in_schema=False)
    transactions = tools.transactions
    Here = Annotated[Visitor, Depends(tools.visitor)]

    def of_certificate(tx: Transaction, actor: Actor, id: str) -> tuple[Order, str, str]:
        """The order of a certificate in reach, its name on pages and its serial number."""
        found = reach(tx, CERTIFICATES, actor, id, Words("certificate"))
        order = tx.order(found.order_id)
        if order is None:
            raise ThingUnknown(Words("evidence"))
        return order, found.subject, found.serial

    @pages.get(f"{HOME}/certificates/{{id}}/evidence")
    def show_certificate(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            order, name, _ = of_certificate(tx, visitor.actor, id)
            above = Crumb(Words("Certificates"), f"{HOME}/certificates")
            page = order_page(order, show_evidence(tx, order), (above, Crumb(name, f"{above.url}/{id}")))
        return tools.render(request, visitor, page, "certificates")

    @pages.get(f"{HOME}/certificates/{{id}}/evidence/file")
    def certificate_file(visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            order, _, serial = of_certificate(tx, visitor.actor, id)
            return evidence_response(evidence_file(tx, order), serial)

    @pages.get(f"{HOME}/requests/{{id}}/evidence")
    def show_request(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            order = reach(tx, ORDERS, visitor.actor, id, Words("request"))
            above = Crumb(Words("Requests"), f"{HOME}/requests")
            own = Crumb(order.wanted_name or order.person_email, f"{above.url}/{id}")
            page = order_page(order, show_evidence(tx, order), (above, own))
        return tools.render(request, visitor, page, "requests")

    @pages.get(f"{HOME}/requests/{{id}}/evidence/file")
    def request_file(visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            order = reach(tx, ORDERS, visitor.actor, id, Words("request"))
            return evidence_response(evidence_file(tx, order), order.id)

    @pages.get(f"{HOME}/devices/{{id}}/evidence")
    def show_device(request: Request, visitor: Here, id: str) -> Response:
        with transactions.read() as tx:
            device = reach(tx, DEVICES, visitor.actor, id, Words("device"))
            page = device_page(device, show_device_evidence(tx, device))
        return tools.render(request, visitor, page, "devices")

    return pages


def level_tag(level: AssuranceLevel | None) -> Cell:
    """A level in a word or two; None is refused."""
    return tag(*(LEVELS[level] if level else NO_LEVEL))


def order_page(order: Order, shown: ShownEvidence | None, crumbs: tuple[Crumb, ...]) -> DetailPage:
    """The page of an order's key."""
    level, refusal = shown.level if shown else None, refusal_of(order)
    notices = (Notice(Sentences(refusal.title, refusal.advice), "bad"),) if refusal else ()
    computer = (Fact(Words("Computer"), text(order.machine)),) if order.machine else ()
    reason = (Fact(Words("Reason"), code(order.failure_code)),) if refusal else ()
    file_url = f"{crumbs[-1].url}/evidence/file"
    return _page(shown, order_belief(order, level), crumbs, notices, (*computer, *reason), file_url)


def device_page(device: Device, shown: ShownEvidence | None) -> DetailPage:
    """The page of a device's own key."""
    above = Crumb(Words("Devices"), f"{HOME}/devices")
    belief = belief_in(shown.level if shown else device.assurance or AssuranceLevel.SOFTWARE)
    return _page(shown, belief, (above, Crumb(device.name, f"{above.url}/{device.id}")))


def device_tpm(device: Device, shown: ShownEvidence | None) -> Section:
    """A part of the device's own page: where its key is, and which TPM it showed."""
    proven = shown.level if shown else device.assurance
    proof = (Fact(Words("Proof"), level_tag(device.assurance)),) if device.assurance else ()
    tpm = tpm_facts(shown.tpm, proven) if shown and shown.tpm else ()
    belief = belief_in(proven or AssuranceLevel.SOFTWARE)
    why = (Fact(Words("Evidence"), link(WHY, f"{HOME}/devices/{device.id}/evidence", belief.headline)),)
    return Section(Words("TPM"), (*proof, *tpm, *why), intro=Words("What was proven of the device's own key."))


def why_facts(level: AssuranceLevel | None, order: Order, url: str) -> tuple[Fact, ...]:
    """Lines of a certificate's or a request's page: where its key is, and why that is believed."""
    return (
        Fact(Words("Proof"), level_tag(level)),
        Fact(Words("Evidence"), link(WHY, url, order_belief(order, level).headline)),
    )


def tpm_facts(tpm: ShownTpm, level: AssuranceLevel | None) -> tuple[Fact, ...]:
    """Which TPM it was, and who vouches for it."""
    hint = (
        "" if level is AssuranceLevel.VENDOR else Words("As its certificate says; nobody trusted here vouches for it.")
    )
    authorities = [
        text(each.name or Words("A name that cannot be read"), f"SHA-256 {each.sha256}") for each in tpm.authorities
    ]
    return (
        Fact(Words("Manufacturer"), text(manufacturer(tpm.manufacturer)), hint if tpm.manufacturer else ""),
        Fact(Words("Model"), text(tpm.model)),
        Fact(Words("Firmware"), text(firmware(tpm.version))),
        Fact(Words("On the organization's list"), text(Words("yes") if tpm.listed else Words("no"))),
        Fact(Words("Endorsement key"), code(tpm.sha256, Words("SHA-256 fingerprint"))),
        Fact(
            Words("Who vouches"),
            several(authorities) if authorities else text(Words("No manufacturer whose root is trusted here.")),
            Words("The last one is the root, which is trusted here.") if authorities else "",
        ),
    )


def _page(
    shown: ShownEvidence | None,
    belief: Belief,
    crumbs: tuple[Crumb, ...],
    notices: tuple[Notice, ...] = (),
    facts: tuple[Fact, ...] = (),
    file_url: str = "",
) -> DetailPage:
    sections = [Section(belief.headline, facts, intro=belief.how)]
    if shown is not None:
        checked = (Fact(Words("Checked"), moment(shown.judged_at, "datetime")),) if shown.judged_at else ()
        sections = [Section(belief.headline, (*facts, *checked), intro=belief.how)]
        if shown.tpm is not None:
            intro = Words("As the computer sent it; the evidence was refused.") if shown.level is None else ""
            sections.append(Section(Words("The TPM"), tpm_facts(shown.tpm, shown.level), intro=intro))
        sections += [_group(each) for each in shown.groups]
        if shown.complete and file_url:
            sections.append(_file(file_url))
    return DetailPage(
        title=WHY,
        subtitle=crumbs[-1].label,
        tag=level_tag(shown.level) if shown else None,
        crumbs=crumbs,
        notices=notices,
        sections=tuple(sections),
    )


def _group(group: EvidenceGroup) -> Section:
    rows = tuple(_row(each) for each in group.lines)
    return Section(group.subject, table=Table(_COLUMNS, rows), intro=ABOUT.get(group.subject, ""))


def _row(line: EvidenceLine) -> Row:
    return Row("", (text(line.text), tag(*MARKS[line.mark]), code(line.code)))


def _file(url: str) -> Section:
    return Section(
        Words("Judge it yourself"),
        intro=Words("The file has all that was sent and asked. `keystead evidence verify FILE` judges it, anywhere."),
        actions=(Action(Words("Evidence (JSON)"), url, icon="download"),),
    )
