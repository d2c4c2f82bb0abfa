"""Put a job before whoever is to do it."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.agent import Install, MakeKeyAndCsr, Remove
from keystead_enroll.domain.issuance import IssuableOrder
from keystead_enroll.domain.jobs import Job
from keystead_enroll.domain.orders import Order
from keystead_enroll.ports import Transaction
from keystead_kit.secrets import new_id


def add_job(
    tx: Transaction, order: Order, payload: MakeKeyAndCsr | Install | Remove, now: datetime, profile: str = ""
) -> None:
    """Gives `order`'s recipient `payload` to do, and wakes its stream. `profile` is the name that the agent shows."""
    tx.add(job_for(order, payload, now, tx.organization(order.organization_id).name, profile))
    tx.wake(f"recipient:{order.recipient}")


def job_for(
    order: Order | IssuableOrder,
    payload: MakeKeyAndCsr | Install | Remove,
    now: datetime,
    organization: str,
    profile: str,
) -> Job:
    """`payload` for `order`'s recipient; `organization` and `profile` are the names that the agent shows."""
    return Job(
        id=new_id(),
        recipient=order.recipient,
        order_id=order.id,
        trace_id=order.trace_id,
        kind=payload.kind,
        payload=payload.model_dump(mode="json"),
        created_at=now,
        organization=organization,
        profile=profile,
    )
