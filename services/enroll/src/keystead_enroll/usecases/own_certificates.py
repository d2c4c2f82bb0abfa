"""A person's own certificates at a form: find one, ask for the same again, revoke it, put it on hold and release it."""

from __future__ import annotations

from keystead_contracts.words import Words
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.errors import NameNotAllowed
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.domain.refusals import CertificateUnknown, NotOnHold, RequestRefused
from keystead_enroll.domain.revocation import OWNERS_REASONS
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import person_actor
from keystead_enroll.usecases.release_certificate import release
from keystead_enroll.usecases.revoke_certificate import revoke
from keystead_enroll.usecases.visit import Visit, find_visit


def own_certificate(tx: Transaction, visit: Visit, certificate_id: str) -> Certificate:
    """The visitor's certificate of this form. Raises CertificateUnknown, also if it is another person's."""
    certificate = tx.certificate(certificate_id)
    if certificate is None or certificate.form_id != visit.form.id or certificate.owner != visit.session.email:
        raise CertificateUnknown(Words("There is no such certificate."))
    return certificate


def renewal_answers(tx: Transaction, visit: Visit, certificate_id: str) -> dict[str, str]:
    """What the request page begins with to ask for the same again: profile, key, term, names, computer.

    Raises CertificateUnknown.
    """
    certificate = own_certificate(tx, visit, certificate_id)
    order = tx.order(certificate.order_id)
    if order is None:
        raise LookupError(f"certificate {certificate.id} has no order")
    kind, _, device_id = order.recipient.partition(":")
    return {
        "renew": certificate.id,
        "profile": certificate.profile_id,
        "key_algorithm": certificate.key_algorithm.value,
        "term_days": str(order.term_days),
        "target": device_id if kind == "device" else "link",
        **_asked_names(order.names),
    }


def superseded_by(
    tx: Transaction, visit: Visit, certificate_id: str, profile: CertificateProfile, names: CertificateNames
) -> str | None:
    """The id of the visitor's certificate that one of `profile` with `names` would take the place of: the one that they
    renew, if the new one is for the same and has all its names. Raises CertificateUnknown."""
    old = own_certificate(tx, visit, certificate_id)
    order = tx.order(old.order_id)
    if order is None or old.profile_id != profile.id:
        return None
    try:
        return old.id if names.cover(CertificateNames.from_plain(order.names)) else None
    except NameNotAllowed:
        return None


def successor_of(tx: Transaction, visit: Visit, certificate: Certificate) -> Order | None:
    """The visitor's request whose certificate is installed in the place of this one."""
    orders = tx.orders_of(visit.form.id, visit.session.email)
    return next((o for o in orders if o.supersedes == certificate.id and o.state is OrderState.INSTALLED), None)


def in_place_of(tx: Transaction, order: Order) -> dict[str, object]:
    """Which certificate the order's takes the place of, for the audit log; empty if none."""
    old = tx.certificate(order.supersedes) if order.supersedes else None
    return {"in place of": old.serial} if old else {}


def account_of(tx: Transaction, visit: Visit, certificate_id: str) -> str:
    """The id of the account by which the visitor's certificate was asked for. Raises CertificateUnknown."""
    order = tx.order(own_certificate(tx, visit, certificate_id).order_id)
    return order.account_id or "" if order else ""


def revoke_own_certificate(
    transactions: Transactions,
    clock: Clock,
    uri_extension: str,
    token: str | None,
    certificate_id: str,
    reason: str,
    address: str = "",
) -> None:
    """The person revokes a certificate of theirs. Raises CertificateUnknown, AlreadyRevoked, and RequestRefused if the
    reason is none that a person may give."""
    with transactions.write() as tx:
        visit = find_visit(tx, clock, uri_extension, token)
        certificate = own_certificate(tx, visit, certificate_id)
        given = next((each for each in OWNERS_REASONS if each.value == reason), None)
        if given is None:
            raise RequestRefused({"reason": Words("Choose one of these.")})
        revoke(tx, person_actor(visit.session.email, address), certificate, given, clock.now(), by_owner=True)


def release_own_certificate(
    transactions: Transactions, clock: Clock, uri_extension: str, token: str | None, certificate_id: str, address: str
) -> None:
    """The person releases a certificate of theirs that they put on hold. Raises CertificateUnknown, and NotOnHold, also
    if an administrator put it on hold."""
    with transactions.write() as tx:
        visit = find_visit(tx, clock, uri_extension, token)
        certificate = own_certificate(tx, visit, certificate_id)
        if certificate.on_hold and not certificate.held_by_owner:
            raise NotOnHold(Words("An administrator put the certificate on hold."), Words("Ask them to release it."))
        release(tx, person_actor(visit.session.email, address), certificate, clock.now())


def _asked_names(plain: dict[str, object]) -> dict[str, str]:
    """The names as they would be typed again."""
    try:
        names = CertificateNames.from_plain(plain)
    except NameNotAllowed:
        return {}
    return {
        "dns_names": "\n".join(names.dns_names),
        "device_name": names.common_name or "",
        "serial_number": names.serial_number or "",
    }
