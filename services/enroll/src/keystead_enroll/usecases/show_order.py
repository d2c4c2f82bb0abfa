"""Show an administrator one order with all that happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keystead_enroll.domain.errors import NameNotAllowed
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.ports import Transaction


@dataclass(frozen=True)
class Step:
    """One line of an order's history."""

    at: datetime
    state: OrderState
    note: str


@dataclass(frozen=True)
class OrderDetails:
    """An order, in words. `names` are the subject (RFC 4514) and the alternative names; `reference` is what pages and
    logs call it."""

    id: str
    state: OrderState
    person: str
    organization: str
    form: str
    account: str
    profile: str
    names: list[str]
    key_algorithm: str
    term_days: int
    delivery: str
    machine: str
    assurance: str
    serial: str
    not_after: datetime | None
    failure: str
    advice: str
    reference: str
    history: list[Step]


def describe_order(tx: Transaction, order: Order) -> OrderDetails:
    """All that there is to say of `order`."""
    form, profile = tx.form_of(order), tx.profile(order.profile_id)
    account = tx.account(order.account_id) if order.account_id else None
    certificate = tx.certificate_of(order.id)
    return OrderDetails(
        id=order.id,
        state=order.state,
        person=order.person_email,
        organization=tx.organization(order.organization_id).name,
        form=form.name if form else "",
        account=account.name if account else "",
        profile=profile.name if profile else "",
        names=_names(order),
        key_algorithm=order.key_algorithm.value,
        term_days=order.term_days,
        delivery=_delivery(order),
        machine=order.machine,
        assurance=order.assurance.value if order.assurance else "",
        serial=certificate.serial if certificate else "",
        not_after=certificate.not_after if certificate else None,
        failure=order.failure_reason,
        advice=order.failure_advice,
        reference=order.trace_id,
        history=[Step(entry.at, entry.target, entry.note) for entry in order.log],
    )


def _delivery(order: Order) -> str:
    return "link" if order.recipient.startswith("claim:") else "registered device"


def _names(order: Order) -> list[str]:
    try:
        names = CertificateNames.from_plain(order.names)
    except NameNotAllowed as refusal:
        return [refusal.detail]
    others = (*names.emails, *names.dns_names, *([names.upn] if names.upn else []), *names.uris)
    return [names.rfc4514(), *others]
