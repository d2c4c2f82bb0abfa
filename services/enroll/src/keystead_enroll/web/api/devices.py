"""`/api/v1/devices`.

This module evaluates its annotations when a router is made: no `from __future__ import annotations` here.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.bulk_jobs import RowStage
from keystead_enroll.domain.certificate_record import certificate_state
from keystead_enroll.domain.inputs import Input
from keystead_enroll.domain.lists import DEVICES
from keystead_enroll.domain.orders import Device
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin.common import reach
from keystead_enroll.usecases.admin.devices import device_records, remove_device
from keystead_enroll.usecases.same_machine import confirm_same_machine
from keystead_enroll.web.api.resources import Resource, add_routes
from keystead_enroll.web.api.tools import PROBLEMS, ApiTools


class DeviceOut(BaseModel):
    """A registered machine. `machine` is what its agent says of it: claims, not proof. `assurance` is how sure it is
    that its device key is in its TPM, which `ek_sha256` names if it was shown; `same_as` is the device whose TPM this
    one has shown to have: it gets nothing to do until an administrator says that it is the same machine.
    `registration_token` is the name of the token by which it came, and `group` what that said of its machines."""

    id: str
    name: str
    organization_id: str
    organization: str
    owner: str | None
    group: str
    platform: str
    registration_token_id: str | None
    registration_token: str
    registered_at: AwareDatetime
    seen_at: AwareDatetime | None
    connected: bool
    assurance: AssuranceLevel | None
    ek_sha256: str | None
    attested_at: AwareDatetime | None
    same_as: str | None
    machine: dict[str, Any]


class DeviceCertificateOut(BaseModel):
    """A certificate that was made for the device."""

    id: str
    subject: str
    serial: str
    state: str
    not_after: AwareDatetime


class DeviceJobOut(BaseModel):
    """Something that the device is to do and has not answered."""

    id: str
    kind: str
    request_id: str
    created_at: AwareDatetime


class DeviceBulkRowOut(BaseModel):
    """A row of a bulk job by which the device got a request."""

    job_id: str
    name: str
    line: int
    state: RowStage


class DeviceDetailsOut(DeviceOut):
    """A registered machine with its newest certificates, what it is to do, and the rows of bulk jobs that it is in."""

    certificates: list[DeviceCertificateOut]
    jobs: list[DeviceJobOut]
    bulk_rows: list[DeviceBulkRowOut]


def router(tools: ApiTools) -> APIRouter:
    """The routes."""
    api = APIRouter()
    transactions, clock, enroll = tools.transactions, tools.clock, tools.enroll
    Asker = Annotated[Actor, Depends(tools.actor)]

    def shown(tx: Transaction, _actor: Actor, device: Device) -> DeviceOut:
        return DeviceOut(
            id=device.id,
            name=device.name,
            organization_id=device.organization_id,
            organization=tx.organization(device.organization_id).name,
            owner=device.owner,
            group=device.group,
            platform=device.platform,
            registration_token_id=device.token_id,
            registration_token=device.token_name,
            registered_at=device.registered_at,
            seen_at=device.seen_at,
            connected=device.connected(clock.now()),
            assurance=device.assurance,
            ek_sha256=device.ek_sha256,
            attested_at=device.attested_at,
            same_as=device.same_as,
            machine=dict(device.machine),
        )

    @api.get(
        "/devices/{id}",
        operation_id="show_device",
        summary="Show one device",
        tags=["devices"],
        responses=PROBLEMS,
    )
    def show(actor: Asker, id: str) -> DeviceDetailsOut:
        now = clock.now()
        with transactions.read() as tx:
            device = reach(tx, DEVICES, actor, id, "device")
            records = device_records(tx, actor, device)
            return DeviceDetailsOut(
                **shown(tx, actor, device).model_dump(),
                certificates=[
                    DeviceCertificateOut(
                        id=each.id,
                        subject=each.subject,
                        serial=each.serial,
                        state=certificate_state(each, now),
                        not_after=each.not_after,
                    )
                    for each in records.certificates
                ],
                jobs=[
                    DeviceJobOut(id=job.id, kind=job.kind, request_id=job.order_id, created_at=job.created_at)
                    for job in records.jobs
                ],
                bulk_rows=[
                    DeviceBulkRowOut(job_id=job.id, name=job.name, line=record.row.line, state=record.stage)
                    for job, record in records.bulk_rows
                ],
            )

    @api.post(
        "/devices/{id}/same-machine",
        operation_id="confirm_same_machine",
        summary="Say that a device takes the place of its machine's earlier registration",
        tags=["devices"],
        responses=PROBLEMS,
    )
    def confirm(actor: Asker, id: str) -> DeviceOut:
        """It goes on with the earlier device's requests and certificates, and that one's key opens nothing any more.
        Again, or where nothing is to be said, it answers the same."""
        confirm_same_machine(transactions, clock, enroll.ek_roots, actor, id)
        with transactions.read() as tx:
            return shown(tx, actor, reach(tx, DEVICES, actor, id, "device"))

    @api.delete(
        "/devices/{id}",
        status_code=204,
        operation_id="delete_device",
        summary="Remove one device",
        tags=["devices"],
        responses=PROBLEMS,
    )
    def remove(actor: Asker, id: str) -> Response:
        """Its key opens nothing any more. Requests that it works on are cancelled and their persons told; certificates
        that it has stay valid until they are revoked."""
        remove_device(transactions, clock, enroll.settings.public_origin, actor, id)
        return Response(status_code=204)

    add_routes(
        api,
        tools,
        Resource(
            path="/devices", kind="device", definition=DEVICES, shown=DeviceOut, given=Input,
            show=shown, one=False,
        ),
    )  # fmt: skip
    return api
