"""Ask for the certificates of rows whose machine is known, a batch at a time and a bounded number at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from keystead_contracts.words import Words
from keystead_enroll.domain.bulk_checks import usable
from keystead_enroll.domain.bulk_jobs import BulkJob, BulkRow, BulkState, Mistake, RowState
from keystead_enroll.domain.orders import Channel, Device, Order, Urgency
from keystead_enroll.metrics import BULK_ORDERS
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.ports_bulk import BulkTurn, BulkWork
from keystead_enroll.usecases.admin.common import note
from keystead_enroll.usecases.bulk.read_rows import job_actor
from keystead_enroll.usecases.bulk.turns import Turns
from keystead_enroll.usecases.end_order import order_target
from keystead_enroll.usecases.links import offer
from keystead_kit.secrets import new_id

BATCH = 100
STILL = timedelta(minutes=1)
"""A request that did not move for so long waits for a machine that is away, and keeps nobody from being asked."""


def order_rows(transactions: Transactions, clock: Clock, turns: Turns, most_in_flight: int) -> int:
    """One batch of one job; how many rows that was. At most `most_in_flight` requests of a job are under way and
    moving, so that thousands of machines leave room for persons. The number of statements does not depend on the
    batch's size. Safe for several workers at once."""
    with transactions.read() as tx:
        waiting = turns.in_order(tx.bulk_turns(BulkWork.ORDER))
    for turn in waiting:
        done = _order_some(transactions, clock, turn, most_in_flight)
        if done:
            turns.served(turn)
            return done
    return 0


def _order_some(transactions: Transactions, clock: Clock, turn: BulkTurn, most_in_flight: int) -> int:
    now = clock.now()
    with transactions.write() as tx:
        job = tx.get(BulkJob, turn.job_id)
        if job is None or job.state is not BulkState.RUNNING:
            return 0
        room = most_in_flight - tx.bulk_in_flight(job.id, now - STILL)
        rows = tx.claim_ready_rows(job.id, min(room, BATCH)) if room > 0 else []
        if not rows:
            return 0
        devices = {device.id: device for device in tx.devices_with_ids({row.device_id or "" for row in rows})}
        profiles = {profile.id for profile in tx.profiles() if usable(profile, job)}
        ordered = sum(_order(tx, job, row, devices, row.profile_id in profiles, now) for row in rows)
    BULK_ORDERS.inc(ordered)
    return len(rows)


def _order(
    tx: Transaction, job: BulkJob, row: BulkRow, devices: Mapping[str, Device], offered: bool, now: datetime
) -> bool:
    device = devices.get(row.device_id or "")
    if device is None and row.named_device_id:
        _refuse(row, "device_id", Words("There is no such device any more."))
        return False
    if device is None:  # it was removed, or it has to show first that it is the machine it was
        row.state, row.device_id = RowState.WAITING, None
        return False
    if not offered or row.profile_id is None or row.key_algorithm is None or row.term_days is None or not row.names:
        _refuse(row, "profile", Words("The certificate profile was withdrawn meanwhile."))
        return False
    order = Order(
        id=new_id(),
        form_id=None,
        account_id=None,
        organization_id=job.organization_id,
        profile_id=row.profile_id,
        certificate_type=job.certificate_type,
        person_email=row.owner,
        person_name=row.owner_name,
        key_algorithm=row.key_algorithm,
        term_days=row.term_days,
        names=row.names,
        recipient=device.recipient,
        trace_id=job.trace_id,
        created_at=now,
        licence_version=None,
        machine=device.name,
        department_id=row.department_id,
        channel=Channel.BULK,
        urgency=Urgency.BULK,
        requested_by=job.created_by,
        bulk_job_id=job.id,
    )
    tx.add(order)
    row.order_id, row.state = order.id, RowState.ORDERED
    offer(tx, order, now)
    note(tx, job_actor(job), now, "request.submit", order_target(order), {"bulk job": job.name, "line": row.line})
    return True


def _refuse(row: BulkRow, column: str, why: str) -> None:
    row.state, row.row_key, row.mistakes = RowState.REFUSED, None, [Mistake(column, why).to_plain()]
