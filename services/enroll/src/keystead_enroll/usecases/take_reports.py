"""Take agents' reports on their jobs: each order goes on, or ends with a reason."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from keystead_contracts.agent import CsrReady, Failed, Installed, Removed, Report, ReportReceipt, probe_input
from keystead_contracts.base import AssuranceLevel
from keystead_contracts.events import CertificateInstalled
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import THE_SERVICE
from keystead_enroll.domain.agent_failures import agent_failure
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.csr import CheckedCsr, check_csr
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.errors import EvidenceRefused, KeyInUse, ProbeSignatureInvalid
from keystead_enroll.domain.evidence_refusals import refuse_failures, refuse_less
from keystead_enroll.domain.jobs import Job
from keystead_enroll.domain.keys import supported_key, verify_signature
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Channel, Order, OrderState
from keystead_enroll.domain.refusals import JobNotYours, OrderClosed, ReportRefused
from keystead_enroll.metrics import count_judged
from keystead_enroll.ports import Clock, Transaction, TransactionsTogether, TransactionTogether
from keystead_enroll.usecases.admin.common import note, person_actor
from keystead_enroll.usecases.end_order import device_of, fail_order
from keystead_enroll.usecases.judge_key import judge_key
from keystead_enroll.usecases.letterhead import letterhead
from keystead_enroll.usecases.own_certificates import in_place_of
from keystead_enroll.usecases.revoke_certificate import certificate_target
from keystead_enroll.usecases.together import attempt, together


@dataclass(frozen=True)
class Reporting:
    """An agent that reports on a job."""

    recipient: str
    report: Report
    trace_id: str


@dataclass(frozen=True)
class _Outcome:
    """What the agent is told, and is to be stored. `judged`: a key was, and `level` is what came of it."""

    said: ReportReceipt | Refusal
    judged: bool = False
    level: AssuranceLevel | None = None


def take_reports(
    transactions: TransactionsTogether, clock: Clock, roots: EkRoots, origin: str, asked: Sequence[Reporting]
) -> list[ReportReceipt | Exception]:
    """Stores each report's effect once; the same report again answers the same. A report for an order that has ended
    meanwhile has no effect, and the receipt says how it ended.

    Refuses by JobNotYours, JobAlreadyReported, ReportRefused, OrderClosed; and by what is wrong with a CSR, its
    evidence or a probe signature: then the order has ended as failed with that reason, and the refusal is repeated to a
    repeat.
    """
    now = clock.now()

    def foresee(tx: TransactionTogether, asked: Sequence[Reporting]) -> None:
        tx.foresee_reports({each.report.job_id for each in asked})

    outcomes = together(transactions, asked, foresee, lambda tx, each: _take(tx, roots, origin, each, now))
    return [each if isinstance(each, Exception) else attempt(_counted, each) for each in outcomes]


def _take(tx: Transaction, roots: EkRoots, origin: str, asked: Reporting, now: datetime) -> _Outcome:
    recipient, report = asked.recipient, asked.report
    found = tx.job(report.job_id)
    # the order first, then its job, as everyone who locks both does: no two wait for each other
    order = tx.order(found.order_id, lock=True) if found else None
    job = tx.job(report.job_id, lock=True)
    if order is None or job is None or job.recipient != recipient or _was_removed(tx, recipient):
        raise JobNotYours("There is no such job for this agent.")
    if not job.take_report(report, now):
        if job.refusal:
            raise _repeated(job.refusal)
        return _Outcome(ReportReceipt(order_state=order.state.value))
    judged = isinstance(report.body, CsrReady)
    try:
        _apply(tx, roots, order, job, report, now, origin)
    except (OrderClosed, ReportRefused):
        raise
    except Refusal as refusal:
        job.refusal = {"code": refusal.code, "detail": refusal.detail, "advice": refusal.advice}
        fail_order(tx, order, _code(refusal), refusal.detail, refusal.advice, now, origin)
        tx.wake(f"order:{order.id}")
        return _Outcome(refusal, judged, order.assurance)
    tx.wake(f"order:{order.id}")
    return _Outcome(ReportReceipt(order_state=order.state.value), judged, order.assurance)


def _counted(outcome: _Outcome) -> ReportReceipt:
    """The receipt. Raises the refusal, if it is one."""
    said = outcome.said
    if outcome.judged:
        count_judged("request", outcome.level, refused=isinstance(said, Refusal))
    if isinstance(said, Refusal):
        raise said
    return said


def _was_removed(tx: Transaction, recipient: str) -> bool:
    """Whether it is a device that an administrator removed; its last token may still be valid for minutes."""
    return recipient.startswith("device:") and device_of(tx, recipient) is None


def _repeated(stored: dict[str, str]) -> Refusal:
    refusal = Refusal(stored["detail"], stored["advice"])
    refusal.code = stored["code"]  # type: ignore[misc]
    return refusal


def _code(refusal: Refusal) -> str:
    """What the order's history says."""
    exactly = refusal.reason_code if isinstance(refusal, EvidenceRefused) else ""
    return exactly or refusal.code


def _apply(tx: Transaction, roots: EkRoots, order: Order, job: Job, report: Report, now: datetime, origin: str) -> None:
    match report.body, job.kind:
        case CsrReady() as body, "make_key_and_csr":
            _take_csr(tx, roots, order, job, body, now, origin)
        case Installed() as body, "install":
            _take_installation(tx, order, body, job, now, origin)
        case Removed(), "remove":
            pass
        case Failed(), "remove":
            pass  # the order has ended; the agent's own log says what it could not remove
        case Failed() as body, _:
            code, words = agent_failure(body.code)
            said = " ".join(f"{part.strip().rstrip('.')}." for part in (body.detail, body.advice) if part.strip())
            fail_order(tx, order, code.value, words.reason, words.advice, now, origin, said=said)
        case _:
            raise ReportRefused(f"“{report.body.outcome}” does not answer a job of kind “{job.kind}”.")


def _take_csr(
    tx: Transaction, roots: EkRoots, order: Order, job: Job, body: CsrReady, now: datetime, origin: str
) -> None:
    if order.state is not OrderState.OFFERED:
        raise OrderClosed(Words("The request has ended or has its key already."))
    names = CertificateNames.from_plain(order.names)
    checked: CheckedCsr = check_csr(body.csr_pem, names, order.key_algorithm)
    record = judge_key(tx, roots, order, job, body.evidence, checked.public_key, now, origin)
    order.assurance = record.level
    order.evidence = {
        "level": record.level.value if record.level else None,
        "reasons": [each.model_dump() for each in record.findings],
    }
    level = refuse_failures(record)
    profile = tx.profile(order.profile_id)
    if profile is None:
        raise LookupError(f"order {order.id} names a profile that is gone")
    refuse_less(level, profile.minimum_assurance)
    if not tx.give_key(order, checked.spki_sha256):
        raise KeyInUse(Words("the key in the request belongs to another order already"))
    order.csr_pem = body.csr_pem
    order.agent_seen_at = order.agent_seen_at or now
    order.advance(OrderState.CSR_ACCEPTED, now)
    tx.ring()


def _take_installation(tx: Transaction, order: Order, body: Installed, job: Job, now: datetime, origin: str) -> None:
    certificate = tx.certificate_of(order.id)
    if order.state is not OrderState.ISSUED or certificate is None:
        raise OrderClosed(Words("The request has ended."))
    _check_probe(certificate, body, str(job.payload["probe"]))
    certificate.location = order.key_location = body.location
    certificate.machine = order.machine
    order.advance(OrderState.INSTALLED, now)
    actor = person_actor(order.person_email) if order.channel is Channel.FORM else THE_SERVICE
    note(tx, actor, now, "certificate.install", certificate_target(certificate), in_place_of(tx, order))
    form = tx.form_of(order)
    if form is None:
        return
    tx.record(
        CertificateInstalled(
            **letterhead(order, form, tx.organization(order.organization_id), origin),
            certificate_type=certificate.certificate_type,
            subject=certificate.subject,
            issuer=certificate.issuer,
            serial=certificate.serial,
            not_after=certificate.not_after,
            machine=order.machine,
            assurance=certificate.assurance,
            installed_at=now,
        ),
        destination="notify",
        trace_id=order.trace_id,
    )


def _check_probe(certificate: Certificate, body: Installed, probe: str) -> None:
    key = supported_key(x509.load_der_x509_certificate(certificate.der).public_key())
    try:
        signature = base64.b64decode(body.probe_signature, validate=True)
    except binascii.Error as error:
        raise ProbeSignatureInvalid(Words("the probe signature is not base64")) from error
    verify_signature(key, signature, probe_input(base64.b64decode(probe)))
