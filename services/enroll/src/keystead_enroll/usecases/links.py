"""Make an enrollment link for an order, and offer the order's first job to whoever will do it."""

from __future__ import annotations

from datetime import datetime, timedelta

from keystead_contracts.agent import MakeKeyAndCsr
from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Claim, Order, OrderState
from keystead_enroll.ports import Secrets, Transaction
from keystead_enroll.usecases.challenge_tpm import new_nonce
from keystead_enroll.usecases.end_order import device_of
from keystead_enroll.usecases.jobs import add_job
from keystead_kit.secrets import new_id, token_digest

LINK_LIFE = timedelta(minutes=15)


def add_link(tx: Transaction, secrets: Secrets, order: Order, now: datetime) -> Claim:
    """A fresh link for `order`, which becomes its recipient. An earlier one that nobody used no longer leads here;
    what a device is to do stays with it."""
    claim_id = new_id()
    claim = Claim(claim_id, order.id, token_digest(secrets.claim_token(claim_id)), now + LINK_LIFE)
    tx.add(claim)
    order.recipient = f"claim:{claim_id}"
    for job in tx.open_jobs_of_order(order.id):
        if tx.claim_of(job.recipient) is not None:
            job.recipient = order.recipient
    return claim


def proceed(tx: Transaction, order: Order, now: datetime) -> None:
    """Lets an order that was submitted or approved go on: to its agent, or to issuance if the request is there."""
    if order.csr_method is not CsrGenerationMethod.PROVIDED:
        offer(tx, order, now)
        return
    order.advance(OrderState.CSR_ACCEPTED, now)
    tx.ring()
    tx.wake(f"order:{order.id}")


def offer(tx: Transaction, order: Order, now: datetime) -> None:
    """Takes the order to offered and puts its first job before the recipient."""
    order.advance(OrderState.OFFERED, now)
    add_first_job(tx, order, now)
    tx.wake(f"order:{order.id}")


def add_first_job(tx: Transaction, order: Order, now: datetime) -> None:
    """Puts an offered order's first job before its recipient. From now on it is settled whose the certificate is."""
    profile = tx.profile(order.profile_id)
    if profile is None:
        raise LookupError(f"order {order.id} names a profile that is gone")
    order.scope = profile.scope
    old = tx.certificate(order.supersedes) if order.supersedes else None
    job = MakeKeyAndCsr(
        key_algorithm=order.key_algorithm,
        subject=CertificateNames.from_plain(order.names).rfc4514(),
        certificate_type=order.certificate_type,
        allow_software_key=profile.minimum_assurance is AssuranceLevel.SOFTWARE,
        attestation_nonce=new_nonce() if _may_attest(tx, order) else "",
        supersedes=old.sha256 if old else "",
        scope=order.scope,
    )
    add_job(tx, order, job, now, profile.name)


def _may_attest(tx: Transaction, order: Order) -> bool:
    """Whether a certification of the key can be judged: whoever comes by a link is challenged, a device was."""
    device = device_of(tx, order.recipient)
    return device is None or device.ek_sha256 is not None
