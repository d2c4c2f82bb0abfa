"""Devices: see what there is of one, remove it."""

from __future__ import annotations

from dataclasses import dataclass

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import NotAllowed, StillInUse
from keystead_enroll.domain.bulk_jobs import BulkJob
from keystead_enroll.domain.certificate_record import Certificate
from keystead_enroll.domain.jobs import Job, JobState
from keystead_enroll.domain.lists import DEVICES
from keystead_enroll.domain.orders import Device, OrderState
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.ports_bulk import RowRecord
from keystead_enroll.usecases.admin.common import Target, note, reach
from keystead_enroll.usecases.change_order import end_by_administrator

MOST_SHOWN, MOST_JOBS = 100, 10_000


@dataclass(frozen=True)
class DeviceRecords:
    """What a device has and is to do: the newest certificates that are in the asker's scope, open jobs, and the rows of
    bulk jobs in the asker's scope that it got requests by."""

    certificates: list[Certificate]
    jobs: list[Job]
    bulk_rows: list[tuple[BulkJob, RowRecord]]


def device_records(tx: Transaction, actor: Actor, device: Device) -> DeviceRecords:
    """The device's certificates, open jobs and bulk rows, `MOST_SHOWN` of each at most."""
    certificates = [
        certificate
        for certificate in tx.certificates_for(device.recipient, MOST_SHOWN)
        if actor.scope.has(certificate.organization_id, certificate.department_id, certificate.certificate_type)
    ]
    rows = [
        (job, record)
        for job, record in tx.bulk_rows_for(device.recipient, MOST_SHOWN)
        if actor.scope.has(job.organization_id, job.department_id, job.certificate_type)
    ]
    return DeviceRecords(certificates, list(tx.open_jobs(device.recipient, MOST_SHOWN)), rows)


def remove_device(transactions: Transactions, clock: Clock, origin: str, actor: Actor, device_id: str) -> None:
    """Removes a device: its key opens nothing any more. Requests that it works on are cancelled, and their persons
    told. Its certificates stay as they are.

    Raises ThingUnknown, NotAllowed, StillInUse while one of its certificates is being signed.
    """
    now = clock.now()
    with transactions.write() as tx:
        device = reach(tx, DEVICES, actor, device_id, Words("device"))
        recipient, target = device.recipient, Target(device.id, device.name, device.organization_id)
        if not actor.scope.rules_organization(device.organization_id):
            raise NotAllowed(Words("Only an administrator of the whole organization may remove its devices."))
        orders = tx.open_orders_for(recipient)
        if any(not actor.scope.has(o.organization_id, o.department_id, o.certificate_type) for o in orders):
            raise NotAllowed(Words("The device works on a request of a certificate type that is not yours."))
        if any(order.state is OrderState.SIGNING for order in orders):
            raise StillInUse(Words("A certificate for this device is being signed."), Words("Try again in a minute."))
        for job in tx.open_jobs(recipient, limit=MOST_JOBS):
            job.state = JobState.VOID
        tx.forget_attestation(recipient)
        tx.remove(device)
        tx.flush()
        reason = Words("Your administrator removed the computer {machine}.", machine=device.name)
        for order in orders:
            end_by_administrator(tx, order, now, "device removed", reason, origin)
        note(tx, actor, now, "device.remove", target, {"cancelled requests": [order.id for order in orders]})
        tx.wake(f"recipient:{recipient}")
