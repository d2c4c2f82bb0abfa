"""What follows from a certificate that was signed: its record, the order's next step, a letter, an installation."""

from __future__ import annotations

import base64
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from cryptography import x509

from keystead_contracts.agent import Install
from keystead_contracts.base import serial_hex
from keystead_contracts.events import CertificateIssued
from keystead_enroll.domain.administration import THE_SERVICE, AuditEntry
from keystead_enroll.domain.certificate_record import Certificate, IntentState, renewal_time
from keystead_enroll.domain.certificates import pem_from_der, sha1_thumbprint, sha256_fingerprint
from keystead_enroll.domain.enrollment import EnrollmentForm
from keystead_enroll.domain.issuance import IssuableOrder
from keystead_enroll.domain.jobs import Job
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import OrderState, OrderTransition
from keystead_enroll.domain.status import authority_id
from keystead_enroll.ports import Issuer, Transaction
from keystead_enroll.usecases.admin.common import audit_line
from keystead_enroll.usecases.jobs import job_for
from keystead_enroll.usecases.letterhead import letterhead
from keystead_enroll.usecases.revoke_certificate import certificate_target
from keystead_kit.secrets import new_id


class Surroundings:
    """What the orders of a batch refer to, each read once."""

    def __init__(self, tx: Transaction, issuer: Issuer, origin: str) -> None:
        self.profile, self.organization = cache(tx.profile), cache(tx.organization)
        self._form, self.account = cache(tx.form), cache(tx.account)
        self.origin, self.issuer = origin, issuer
        self.chain, self.root, self.issuer_name = issuer.chain, issuer.root, issuer_name(issuer)
        self.authority = authority_id(issuer.issuer_certificate)

    def form(self, order: IssuableOrder) -> EnrollmentForm | None:
        """The form by which a person asked; None if the order came by another channel."""
        return self._form(order.form_id) if order.form_id else None


@dataclass(frozen=True)
class Finished:
    """All that is to be stored of one order whose certificate was signed."""

    order: IssuableOrder
    certificate: Certificate
    line: OrderTransition
    audit: AuditEntry
    letter: CertificateIssued | None
    job: Job | None


def finish(order: IssuableOrder, signed: bytes, known: Surroundings, now: datetime) -> Finished:
    """Takes the order to issued; stores nothing."""
    certificate = _record(order, signed, known, now)
    line = order.advance(OrderState.ISSUED, now)
    details = _asked(order, certificate, known)
    audit = audit_line(THE_SERVICE, now, "certificate.issue", certificate_target(certificate), details)
    if order.over:
        return Finished(order, certificate, line, audit, _letter(order, certificate, known, now), None)
    return Finished(order, certificate, line, audit, None, _installation(order, certificate, known, now))


def store_finished(tx: Transaction, finished: Sequence[Finished]) -> None:
    """Stores them, each kind of thing with one statement, and wakes whoever waits."""
    tx.add_many(each.certificate for each in finished)
    tx.log_transitions([each.line for each in finished])
    tx.settle_intents([each.order.id for each in finished], IntentState.SIGNED)
    tx.add_many(each.audit for each in finished)
    tx.add_many(each.job for each in finished if each.job)
    letters = [(each.letter, each.order.trace_id) for each in finished if each.letter]
    tx.record_many(letters, destination="notify")
    tx.wake(*(f"order:{each.order.id}" for each in finished))
    tx.wake(*(f"recipient:{each.order.recipient}" for each in finished if each.job))


def _record(order: IssuableOrder, signed: bytes, known: Surroundings, now: datetime) -> Certificate:
    profile = known.profile(order.profile_id)
    if profile is None or order.assurance is None:
        raise LookupError(f"order {order.id} has no profile or no assurance level")
    parsed = x509.load_der_x509_certificate(signed)
    names = CertificateNames.from_plain(order.names)
    not_before, not_after = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    reasons: Sequence[dict[str, object]] = (order.evidence or {}).get("reasons", [])  # type: ignore[assignment]
    return Certificate(
        id=new_id(),
        order_id=order.id,
        form_id=order.form_id,
        organization_id=order.organization_id,
        department_id=order.department_id,
        owner=order.person_email,
        profile_id=profile.id,
        certificate_type=order.certificate_type,
        key_algorithm=order.key_algorithm,
        assurance=order.assurance,
        serial=serial_hex(parsed.serial_number),
        subject=names.display_name,
        issuer=known.issuer_name,
        names=[*names.emails, *names.dns_names, *([names.upn] if names.upn else [])],
        sha1=sha1_thumbprint(parsed),
        sha256=sha256_fingerprint(parsed),
        der=signed,
        chain_pem=list(known.chain),
        root_pem=known.root,
        not_before=not_before,
        not_after=not_after,
        renews_at=renewal_time(not_before, not_after, timedelta(days=profile.renewal_window_days)),
        issued_at=now,
        machine=order.machine,
        reasons=list(reasons),
        authority=known.authority,
    )


def _asked(order: IssuableOrder, certificate: Certificate, known: Surroundings) -> dict[str, object]:
    """Who asked for the certificate and how, for the audit log."""
    asked: dict[str, object] = {"asked for by": order.asked_by, "request": order.id}
    form, account = known.form(order), known.account(order.account_id) if order.account_id else None
    if form is not None and account is not None:
        asked |= {"form": form.name, "account": account.name}
    return {**asked, "serial": certificate.serial}


def _letter(
    order: IssuableOrder, certificate: Certificate, known: Surroundings, now: datetime
) -> CertificateIssued | None:
    """To whoever asked at a form."""
    form = known.form(order)
    if form is None:
        return None
    return CertificateIssued(
        **letterhead(order, form, known.organization(order.organization_id), known.origin),
        certificate_type=certificate.certificate_type,
        subject=certificate.subject,
        issuer=certificate.issuer,
        serial=certificate.serial,
        not_after=certificate.not_after,
        issued_at=now,
    )


def issuer_name(issuer: Issuer) -> str:
    """The issuing CA's common name, or its whole subject."""
    common = issuer.issuer_certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else issuer.issuer_certificate.subject.rfc4514_string()


def _installation(order: IssuableOrder, certificate: Certificate, known: Surroundings, now: datetime) -> Job:
    payload = Install(
        certificate_pem=pem_from_der(certificate.der),
        chain_pem=certificate.chain_pem,
        root_pem=certificate.root_pem,
        certificate_type=order.certificate_type,
        probe=base64.b64encode(randomness.token_bytes(32)).decode(),
        scope=order.scope,
    )
    profile = known.profile(order.profile_id)
    organization = known.organization(order.organization_id)
    return job_for(order, payload, now, organization.name, profile.name if profile else "")
