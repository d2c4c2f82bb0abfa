"""Issue certificates, a batch at a time: store the intent, sign, check, store the certificate.

A crash between any two steps leaves the intent, which another pass signs as it is: the same serial number and the same
to-be-signed bytes, so an order never has two certificates.
"""

from __future__ import annotations

import base64
import secrets as randomness
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from keystead_contracts.agent import Install
from keystead_contracts.base import AssuranceLevel, serial_hex
from keystead_contracts.events import CertificateIssued
from keystead_contracts.problems import ProblemCode
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import THE_SERVICE
from keystead_enroll.domain.certificate_record import Certificate, IntentState, IssuanceIntent, renewal_time
from keystead_enroll.domain.certificates import (
    der,
    new_serial,
    pem_from_der,
    plan_for,
    precertify,
    sha1_thumbprint,
    sha256_fingerprint,
    validity,
)
from keystead_enroll.domain.csr import check_csr
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.lint import refuse_findings
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Order, OrderState
from keystead_enroll.ports import Clock, Issuer, Linter, Transaction, Transactions
from keystead_enroll.usecases.admin.common import note
from keystead_enroll.usecases.end_order import fail_order
from keystead_enroll.usecases.jobs import add_job
from keystead_enroll.usecases.revoke_certificate import certificate_target
from keystead_kit.logs import get_logger
from keystead_kit.secrets import new_id
from keystead_kit.trace import tracing

LevelPolicies = Mapping[AssuranceLevel, str]
BATCH = 32
LEASE = timedelta(seconds=15)
SKEW = timedelta(minutes=1)
_SORRY = Words("Your administrator has to correct the set-up; tell them the reference.")
_log = get_logger()


@dataclass(frozen=True)
class _ToSign:
    order_id: str
    precertificate: bytes


def issue_certificates(
    transactions: Transactions,
    clock: Clock,
    issuer: Issuer,
    linter: Linter,
    origin: str,
    level_policies: LevelPolicies | None = None,
) -> int:
    """One batch; how many orders were taken. Two commits, whatever the batch's size. `level_policies` has the
    certificate policy of each assurance level that shall be seen in certificates."""
    now = clock.now()
    with transactions.write() as tx:
        work = [_resume(tx, intent, now) for intent in tx.claim_stale_intents(now, BATCH)]
        for order in tx.claim_accepted_orders(BATCH):
            intent = _intend_alone(tx, order, issuer, linter, now, origin, level_policies or {})
            if intent is not None:
                work.append(intent)
    tried = [(item.order_id, _sign(issuer, item)) for item in work]
    signed = [(order_id, result) for order_id, result in tried if result is not None]
    if signed:
        with transactions.write() as tx:
            for order_id, result in sorted(signed, key=lambda pair: pair[0]):  # two workers lock in the same order
                _store_alone(tx, order_id, result, issuer, clock.now(), origin)
    return len(work)


def _resume(_tx: Transaction, intent: IssuanceIntent, now: datetime) -> _ToSign:
    intent.leased_until = now + LEASE
    _log.warning("an interrupted issuance is taken up", order_id=intent.order_id, serial=intent.serial)
    return _ToSign(intent.order_id, intent.precertificate)


def _intend_alone(
    tx: Transaction,
    order: Order,
    issuer: Issuer,
    linter: Linter,
    now: datetime,
    origin: str,
    level_policies: LevelPolicies,
) -> _ToSign | None:
    """`_intend`; what it did not foresee ends this order alone, and the others of the batch go on."""
    try:
        with tx.savepoint():
            return _intend(tx, order, issuer, linter, now, origin, level_policies)
    except Exception:
        _log.exception("order not issuable, for a reason that nobody foresaw", order_id=order.id)
        fail_order(tx, order, ProblemCode.INTERNAL, Words("The certificate could not be issued."), _SORRY, now, origin)
        return None


def _store_alone(
    tx: Transaction, order_id: str, result: bytes | Refusal, issuer: Issuer, now: datetime, origin: str
) -> None:
    """`_store`; if it fails the intent stays, is tried again after its lease, and the others of the batch go on."""
    try:
        with tx.savepoint():
            _store(tx, order_id, result, issuer, now, origin)
    except Exception:
        _log.exception("certificate not stored, the intent is tried again", order_id=order_id)


def _intend(
    tx: Transaction,
    order: Order,
    issuer: Issuer,
    linter: Linter,
    now: datetime,
    origin: str,
    level_policies: LevelPolicies,
) -> _ToSign | None:
    with tracing(order.trace_id):
        try:
            precertificate = _plan(tx, order, issuer, now, level_policies)
            refuse_findings(linter.lint(der(precertificate)))
        except Refusal as refusal:
            _log.error("order not issuable", order_id=order.id, problem=refusal.detail)
            fail_order(tx, order, refusal.code, Words("The certificate could not be issued."), _SORRY, now, origin)
            return None
        order.advance(OrderState.SIGNING, now)
        intent = IssuanceIntent(
            order.id, serial_hex(precertificate.serial_number), der(precertificate), now, now + LEASE
        )
        tx.add(intent)
        return _ToSign(order.id, intent.precertificate)


def _plan(
    tx: Transaction, order: Order, issuer: Issuer, now: datetime, level_policies: LevelPolicies
) -> x509.Certificate:
    profile = tx.profile(order.profile_id)
    if profile is None or order.csr_pem is None:
        raise LookupError(f"order {order.id} has no profile or no request")
    names = CertificateNames.from_plain(order.names)
    own = order.csr_method is CsrGenerationMethod.PROVIDED
    checked = check_csr(order.csr_pem, names, order.key_algorithm, subject_counts=not own)
    valid = validity(now, timedelta(days=order.term_days), SKEW, issuer.issuer_certificate)
    level_policy = level_policies.get(order.assurance) if order.assurance else None
    serial, every = new_serial(randomness.token_bytes), level_policies.values()
    plan = plan_for(profile, names, checked.public_key, serial, valid, level_policy, every, signs_only=not own)
    return precertify(plan, issuer.issuer_certificate)


def _sign(issuer: Issuer, item: _ToSign) -> bytes | Refusal | None:
    """The certificate, the CA's refusal, or None if the CA broke down: then it is tried again after the lease."""
    try:
        return issuer.sign(item.precertificate)
    except Refusal as refusal:
        return refusal
    except Exception:
        _log.exception("the CA did not sign, the intent is tried again", order_id=item.order_id)
        return None


def _store(tx: Transaction, order_id: str, result: bytes | Refusal, issuer: Issuer, now: datetime, origin: str) -> None:
    order = tx.order(order_id, lock=True)
    intent = tx.intent(order_id)
    if order is None or intent is None or order.state is not OrderState.SIGNING:
        return  # another worker took the intent up meanwhile and has stored it
    with tracing(order.trace_id):
        if isinstance(result, Refusal):
            intent.state = IntentState.VOID
            _log.error("intent not signed", order_id=order_id, problem=result.detail)
            fail_order(tx, order, result.code, Words("The certificate could not be signed."), _SORRY, now, origin)
            return
        intent.state = IntentState.SIGNED
        certificate = _record(tx, order, result, issuer, now)
        tx.add(certificate)
        order.advance(OrderState.ISSUED, now)
        note(tx, THE_SERVICE, now, "certificate.issue", certificate_target(certificate), _asked(tx, order, certificate))
        if order.over:
            _tell_issued(tx, order, certificate, now, origin)
        else:
            _offer_installation(tx, order, certificate, now)
        tx.wake(f"order:{order.id}")
        _log.info("certificate issued", order_id=order_id, serial=certificate.serial)


def _record(tx: Transaction, order: Order, signed: bytes, issuer: Issuer, now: datetime) -> Certificate:
    profile = tx.profile(order.profile_id)
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
        issuer=issuer_name(issuer),
        names=[*names.emails, *names.dns_names, *([names.upn] if names.upn else [])],
        sha1=sha1_thumbprint(parsed),
        sha256=sha256_fingerprint(parsed),
        der=signed,
        chain_pem=list(issuer.chain),
        root_pem=issuer.root,
        not_before=not_before,
        not_after=not_after,
        renews_at=renewal_time(not_before, not_after, timedelta(days=profile.renewal_window_days)),
        issued_at=now,
        machine=order.machine,
        reasons=list(reasons),
    )


def _asked(tx: Transaction, order: Order, certificate: Certificate) -> dict[str, object]:
    """Who asked for the certificate and how, for the audit log."""
    asked: dict[str, object] = {"asked for by": order.asked_by, "request": order.id}
    form, account = tx.form_of(order), tx.account(order.account_id) if order.account_id else None
    if form is not None and account is not None:
        asked |= {"form": form.name, "account": account.name}
    return {**asked, "serial": certificate.serial}


def _tell_issued(tx: Transaction, order: Order, certificate: Certificate, now: datetime, origin: str) -> None:
    """Has a letter written to whoever asked at a form."""
    form = tx.form_of(order)
    if form is None:
        return
    letter = CertificateIssued(
        email=order.person_email,
        organization=tx.organization(order.organization_id).name,
        form_name=form.name,
        order_id=order.id,
        certificate_type=certificate.certificate_type,
        subject=certificate.subject,
        issuer=certificate.issuer,
        serial=certificate.serial,
        not_after=certificate.not_after,
        issued_at=now,
        portal_link=f"{origin}/e/{form.uri_extension}/orders/{order.id}",
        help_link=form.help_link,
        language=order.language,
    )
    tx.record(letter, destination="notify", trace_id=order.trace_id)


def issuer_name(issuer: Issuer) -> str:
    """The issuing CA's common name, or its whole subject."""
    common = issuer.issuer_certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else issuer.issuer_certificate.subject.rfc4514_string()


def _offer_installation(tx: Transaction, order: Order, certificate: Certificate, now: datetime) -> None:
    payload = Install(
        certificate_pem=pem_from_der(certificate.der),
        chain_pem=certificate.chain_pem,
        root_pem=certificate.root_pem,
        certificate_type=order.certificate_type,
        probe=base64.b64encode(randomness.token_bytes(32)).decode(),
    )
    profile = tx.profile(order.profile_id)
    add_job(tx, order, payload, now, profile.name if profile else "")
