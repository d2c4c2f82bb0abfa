"""End an order that has no working certificate: take its work back, retire its certificate, tell the person."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.agent import Remove
from keystead_contracts.events import EnrollmentFailed
from keystead_enroll.domain.administration import THE_SERVICE
from keystead_enroll.domain.jobs import JobState
from keystead_enroll.domain.orders import Device, Order
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import Target, note
from keystead_enroll.usecases.jobs import add_job
from keystead_enroll.usecases.letterhead import letterhead
from keystead_kit.i18n import translate

RETIRED = RevocationReason.CESSATION_OF_OPERATION
"""Why a certificate that nobody can use is revoked."""


def fail_order(
    tx: Transaction,
    order: Order,
    code: str,
    reason: str,
    advice: str,
    now: datetime,
    origin: str,
    said: str = "",
) -> None:
    """Ends the order as failed, takes its work back and tells the person.

    `said`: the agent's own words, which the order's page quotes and the letter leaves out.
    """
    order.fail(code, reason, advice, now, said)
    note(tx, THE_SERVICE, now, "request.fail", order_target(order), {"reason": reason})
    take_back(tx, order, now, reason)
    tell_person(tx, order, reason, advice, now, origin)


def order_target(order: Order) -> Target:
    """The order in the audit log."""
    name = ", ".join(part for part in (order.wanted_name, order.asked_by) if part)
    return Target(order.id, name, order.organization_id, order.department_id, order.certificate_type)


def take_back(tx: Transaction, order: Order, now: datetime, reason: str) -> None:
    """Takes `order` from its agent: open jobs are void, an agent that began is to remove what it made, and a
    certificate that was issued is retired."""
    for job in tx.open_jobs_of_order(order.id):
        job.state = JobState.VOID
    if device_of(tx, order.recipient) or (order.agent_seen_at is not None and tx.claim_of(order.recipient)):
        add_job(tx, order, Remove(reason=reason, scope=order.scope), now)
    certificate = tx.certificate_of(order.id)
    if certificate is not None and certificate.revocable:
        certificate.revoke(RETIRED, now)
    tx.wake(f"order:{order.id}")


def withdraw(tx: Transaction, order: Order, now: datetime, reason: str) -> None:
    """Has a registered device remove what it installed for `order`. An agent that came by link is gone by then."""
    if device_of(tx, order.recipient):
        add_job(tx, order, Remove(reason=reason, scope=order.scope), now)
    tx.wake(f"order:{order.id}")


def device_of(tx: Transaction, recipient: str) -> Device | None:
    """The registered device that jobs name so; None if it is none, or was removed."""
    kind, _, device_id = recipient.partition(":")
    return tx.device(device_id) if kind == "device" else None


def tell_person(tx: Transaction, order: Order, reason: str, advice: str, now: datetime, origin: str) -> None:
    """Has a letter written that the order came to nothing, to whoever asked at a form."""
    form = tx.form_of(order)
    if form is None:
        return
    tx.record(
        EnrollmentFailed(
            **letterhead(order, form, tx.organization(order.organization_id), origin),
            reason=translate(reason, order.language),
            advice=translate(advice, order.language),
            failed_at=now,
        ),
        destination="notify",
        trace_id=order.trace_id,
    )
