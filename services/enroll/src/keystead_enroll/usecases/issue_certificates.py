"""Issue certificates, a batch at a time: store the intents, sign, check, store the certificates.

A crash between any two steps leaves the intents, which another pass signs as they are: the same serial numbers and the
same to-be-signed bytes, so an order never has two certificates.

A batch takes two commits and some twenty statements, however large it is. Whatever is wrong with one order ends that
order alone: what can be known without the database is found before anything is written, and what the database itself
refuses is found by writing the batch once more, each order apart.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Protocol, TypeVar

from keystead_contracts.base import AssuranceLevel, serial_hex
from keystead_contracts.problems import ProblemCode
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.certificate_record import IntentState, IssuanceIntent
from keystead_enroll.domain.certificates import der, new_serial, plan_for, precertify, validity
from keystead_enroll.domain.csr import check_csr
from keystead_enroll.domain.enrollment import CertificateProfile, CsrGenerationMethod
from keystead_enroll.domain.issuance import LEASE, BatchSize, IssuableOrder
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import OrderState, OrderTransition
from keystead_enroll.domain.shapes import profile_digest
from keystead_enroll.domain.status import StatusAddresses
from keystead_enroll.metrics import ISSUANCE_BATCH
from keystead_enroll.ports import Clock, Issuer, Transaction, Transactions
from keystead_enroll.usecases.end_order import fail_order
from keystead_enroll.usecases.finish_issuance import Finished, Surroundings, finish, store_finished
from keystead_enroll.usecases.inspect_certificate import Inspection
from keystead_kit.logs import get_logger
from keystead_kit.trace import tracing

T = TypeVar("T")
Item = TypeVar("Item", bound="_OfAnOrder")
LevelPolicies = Mapping[AssuranceLevel, str]
SKEW = timedelta(minutes=1)
NOT_ISSUED = Words("The certificate could not be issued.")
NOT_SIGNED = Words("The certificate could not be signed.")
_SORRY = Words("Your administrator has to correct the set-up; tell them the reference.")
_log = get_logger()


class _OfAnOrder(Protocol):
    @property
    def order(self) -> IssuableOrder: ...


def issue_certificates(
    transactions: Transactions,
    clock: Clock,
    issuer: Issuer,
    inspection: Inspection,
    origin: str,
    level_policies: LevelPolicies | None = None,
    batch: BatchSize | None = None,
    addresses: StatusAddresses | None = None,
) -> int:
    """One batch; how many orders were taken. Two commits, whatever the batch's size. `level_policies` has the
    certificate policy of each assurance level that shall be seen in certificates; `batch` learns how fast it goes;
    certificates carry `addresses`."""
    began, size = clock.now(), batch or BatchSize()
    cycle = _Cycle(issuer, inspection, origin, level_policies or {}, addresses)
    taken, work = _together_or_apart(transactions, lambda tx, apart: cycle.intend(tx, size.now, began, apart))
    tried = {order_id: cycle.sign(order_id, precertificate) for order_id, precertificate in work.items()}
    signed = {order_id: result for order_id, result in tried.items() if result is not None}
    if signed:
        _together_or_apart(transactions, lambda tx, apart: cycle.store(tx, signed, clock.now(), apart))
    if taken:
        ISSUANCE_BATCH.observe(taken)
    size.after(taken, clock.now() - began)
    return taken


def _together_or_apart(transactions: Transactions, write: Callable[[Transaction, bool], T]) -> T:
    """`write` in a transaction; if that fails, in another one, in which each order has a savepoint of its own."""
    try:
        with transactions.write() as tx:
            return write(tx, False)
    except Exception:
        _log.exception("a batch could not be stored, its orders are tried apart")
    with transactions.write() as tx:
        return write(tx, True)


def _written(
    tx: Transaction, items: Sequence[Item], write: Callable[[Sequence[Item]], None], apart: bool
) -> Sequence[Item]:
    """Writes the items, and answers those that were written: all of them, or those that can be, `apart`."""
    if not apart:
        write(items)
        return items
    done = []
    for item in items:
        try:
            with tx.savepoint():
                write([item])
        except Exception:
            _log.exception("order not stored", order_id=item.order.id)
        else:
            done.append(item)
    return done


@dataclass(frozen=True)
class _Intended:
    order: IssuableOrder
    line: OrderTransition
    intent: IssuanceIntent


class _Cycle:
    """One batch on its way."""

    def __init__(
        self,
        issuer: Issuer,
        inspection: Inspection,
        origin: str,
        level_policies: LevelPolicies,
        addresses: StatusAddresses | None,
    ) -> None:
        self._issuer, self._inspection, self._origin, self._level_policies = issuer, inspection, origin, level_policies
        self._addresses = addresses

    def intend(self, tx: Transaction, limit: int, now: datetime, apart: bool) -> tuple[int, dict[str, bytes]]:
        """How many orders were taken, and what is to be signed for which of them."""
        work = {intent.order_id: _resume(intent, now) for intent in tx.claim_stale_intents(now, limit)}
        orders = tx.claim_accepted_orders(max(limit - len(work), 0))
        profiles = cache(tx.profile)
        digests = cache(lambda profile_id: _digest(profiles(profile_id)))
        planned: list[_Intended] = []
        refused: dict[str, Refusal | None] = {}
        for order in orders:
            with tracing(order.trace_id):
                try:
                    planned.append(self._plan(order, profiles(order.profile_id), digests(order.profile_id), now))
                except Refusal as refusal:
                    _log.error("order not issuable", order_id=order.id, problem=refusal.detail)
                    refused[order.id] = refusal
                except Exception:
                    _log.exception("order not issuable, for a reason that nobody foresaw", order_id=order.id)
                    refused[order.id] = None

        def write(group: Sequence[_Intended]) -> None:
            tx.log_transitions([each.line for each in group])
            tx.add_many(each.intent for each in group)

        stored = {each.order.id: each.intent.precertificate for each in _written(tx, planned, write, apart)}
        refused |= {each.order.id: None for each in planned if each.order.id not in stored}
        for order_id, why in refused.items():
            self._fail(tx, order_id, why, NOT_ISSUED, now)
        return len(work) + len(orders), work | stored

    def _plan(self, order: IssuableOrder, profile: CertificateProfile | None, digest: str, now: datetime) -> _Intended:
        if profile is None or order.csr_pem is None:
            raise LookupError(f"order {order.id} has no profile or no request")
        issuing, policies = self._issuer.issuer_certificate, self._level_policies
        names = CertificateNames.from_plain(order.names)
        own = order.csr_method is CsrGenerationMethod.PROVIDED
        checked = check_csr(order.csr_pem, names, order.key_algorithm, subject_counts=not own)
        valid = validity(now, timedelta(days=order.term_days), SKEW, issuing)
        level_policy = policies.get(order.assurance) if order.assurance else None
        serial = new_serial(randomness.token_bytes)
        plan = plan_for(
            profile, names, checked.public_key, serial, valid, level_policy, policies.values(), signs_only=not own
        )
        if self._addresses is not None:
            plan = self._addresses.written_into(plan)
        precertificate = der(precertify(plan, issuing))
        self._inspection.inspect(precertificate, digest)
        intent = IssuanceIntent(order.id, serial_hex(serial), precertificate, now, now + LEASE)
        return _Intended(order, order.advance(OrderState.SIGNING, now), intent)

    def sign(self, order_id: str, precertificate: bytes) -> bytes | Refusal | None:
        """The certificate, the CA's refusal, or None if the CA broke down: then it is tried again after the lease."""
        try:
            return self._issuer.sign(precertificate)
        except Refusal as refusal:
            return refusal
        except Exception:
            _log.exception("the CA did not sign, the intent is tried again", order_id=order_id)
            return None

    def store(self, tx: Transaction, signed: Mapping[str, bytes | Refusal], now: datetime, apart: bool) -> None:
        """Stores what was signed. What another worker took up meanwhile and has stored is left out; what cannot be
        stored keeps its intent, which is tried again after its lease."""
        known = Surroundings(tx, self._issuer, self._origin)
        finished: list[Finished] = []
        for order in tx.orders_to_store(signed):
            result = signed[order.id]
            with tracing(order.trace_id):
                if isinstance(result, Refusal):
                    _log.error("intent not signed", order_id=order.id, problem=result.detail)
                    tx.settle_intents([order.id], IntentState.VOID)
                    self._fail(tx, order.id, result, NOT_SIGNED, now)
                    continue
                try:
                    finished.append(finish(order, result, known, now))
                except Exception:
                    _log.exception("certificate not stored, the intent is tried again", order_id=order.id)
        for each in _written(tx, finished, lambda group: store_finished(tx, group), apart):
            _log.info("certificate issued", order_id=each.order.id, serial=each.certificate.serial,
                      trace_id=each.order.trace_id)  # fmt: skip

    def _fail(self, tx: Transaction, order_id: str, refusal: Refusal | None, reason: str, now: datetime) -> None:
        order = tx.order(order_id, lock=True)
        if order is not None:
            with tracing(order.trace_id):
                code = refusal.code if refusal else ProblemCode.INTERNAL
                fail_order(tx, order, code, reason, _SORRY, now, self._origin)


def _digest(profile: CertificateProfile | None) -> str:
    return profile_digest(profile) if profile else ""


def _resume(intent: IssuanceIntent, now: datetime) -> bytes:
    intent.leased_until = now + LEASE
    _log.warning("an interrupted issuance is taken up", order_id=intent.order_id, serial=intent.serial)
    return intent.precertificate
