"""Revoke a certificate, for good or for the time being: an administrator any in their scope, a person their own."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.events import CertificateRevoked
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.inputs import RevocationInput
from keystead_enroll.domain.lists import CERTIFICATES
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Target, note, reach
from keystead_enroll.usecases.end_order import take_back, withdraw
from keystead_kit.i18n import translate


def revoke_certificate(
    transactions: Transactions, clock: Clock, origin: str, actor: Actor, certificate_id: str, wanted: RevocationInput
) -> None:
    """Revokes the certificate, and whoever asked for it at a form gets a letter. For the same reason again it changes
    nothing. Raises ThingUnknown, AlreadyRevoked."""
    now = clock.now()
    with transactions.write() as tx:
        found = reach(tx, CERTIFICATES, actor, certificate_id, Words("certificate"))
        if revoke(tx, actor, found, wanted.reason, now, wanted.note):
            _tell_owner(tx, found, wanted.reason, now, origin)


def revoke(
    tx: Transaction,
    actor: Actor,
    found: Certificate,
    reason: RevocationReason,
    now: datetime,
    remark: str = "",
    *,
    by_owner: bool = False,
) -> bool:
    """Revokes `found` and has the registered device that installed it remove it; if it is not installed yet its
    request ends. On hold, it stays where it is, and its request goes on. False if that was done before, for the same
    reason. Raises AlreadyRevoked."""
    order = tx.order(found.order_id, lock=True)
    certificate = tx.certificate(found.id, lock=True)
    if order is None or certificate is None:
        raise LookupError(f"certificate {found.id} has no order")
    fresh = certificate.revoke(reason, now, remark)
    # an administrator's hold takes the place of the owner's, and not the other way round
    certificate.held_by_owner = certificate.on_hold and by_owner and (fresh or certificate.held_by_owner)
    if not fresh:
        return False
    tx.ring()  # the lists are to be signed anew
    if certificate.on_hold:
        note(tx, actor, now, "certificate.hold", certificate_target(certificate), {"note": remark})
        tx.wake(f"order:{order.id}")
        return True
    told = Words("The certificate was revoked: {reason}.", reason=reason.words)
    if order.over:
        withdraw(tx, order, now, told)
    else:
        order.advance(OrderState.CANCELLED, now, "certificate revoked")
        order.explain(told, Words("Ask for a new certificate if you need one."))
        take_back(tx, order, now, told)
    note(tx, actor, now, "certificate.revoke", certificate_target(certificate), {"reason": reason, "note": remark})
    return True


def _tell_owner(
    tx: Transaction, certificate: Certificate, reason: RevocationReason, now: datetime, origin: str
) -> None:
    order, form = tx.order(certificate.order_id), tx.form_of(certificate)
    if form is None:
        return
    language = order.language if order else ""
    tx.record(
        CertificateRevoked(
            email=certificate.owner,
            organization=tx.organization(certificate.organization_id).name,
            form_name=form.name,
            certificate_type=certificate.certificate_type,
            subject=certificate.subject,
            serial=certificate.serial,
            machine=certificate.machine,
            reason=translate(reason.words, language),
            advice=translate(reason.advice, language),
            revoked_at=now,
            portal_link=f"{origin}/e/{form.uri_extension}/certificates/{certificate.id}",
            help_link=form.help_link,
            language=language,
        ),
        destination="notify",
        trace_id=order.trace_id if order else None,
    )


def certificate_target(certificate: Certificate) -> Target:
    """The certificate in the audit log."""
    return Target(
        certificate.id,
        f"{certificate.subject}, {certificate.serial}",
        certificate.organization_id,
        certificate.department_id,
        certificate.certificate_type,
    )
