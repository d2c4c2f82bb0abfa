"""A machine is known by its TPM: what becomes of one that is registered twice."""

from __future__ import annotations

from datetime import datetime

from keystead_contracts.base import AssuranceLevel
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import NotAllowed
from keystead_enroll.domain.attestation_state import DeviceAttestationKey
from keystead_enroll.domain.endorsement import EkRoots
from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_record
from keystead_enroll.domain.lists import DEVICES
from keystead_enroll.domain.orders import Device
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Target, note, reach
from keystead_enroll.usecases.endorsement_policy import endorsement_policy


class MeanwhileTaken(Refusal):
    """Two registrations of one machine are confirmed at once."""

    code = "conflict"
    default_advice = Words("Look at the list of devices, and confirm again the one that is to stay.")


class TpmRefused(Refusal):
    """The TPM that two registrations have was put on the list of those that are refused."""

    code = "conflict"
    default_advice = Words("Remove the device, or take its TPM off the list first.")


def settle(tx: Transaction, device: Device, ek_sha256: str, level: AssuranceLevel, now: datetime) -> Device | None:
    """Notes the TPM that `device` was shown to have; the device that has it already, if there is one: then this one
    waits for `take_place`."""
    earlier = tx.device_with_tpm(device.organization_id, ek_sha256)
    if earlier is None or earlier is device:
        shown = {"ek_sha256": ek_sha256, "assurance": level, "attested_at": now, "same_as": None}
        if tx.set_first(device, shown):
            return None
        earlier = tx.device_with_tpm(device.organization_id, ek_sha256)  # it was registered at this very moment
    device.same_as = earlier.id if earlier else None
    return earlier


def take_place(tx: Transaction, roots: EkRoots, actor: Actor, device: Device, now: datetime) -> None:
    """`device` takes the place of the one that has its TPM: it goes on with its requests and certificates, and the
    earlier registration's key opens nothing any more. Its level is what is held of its TPM now. Raises TpmRefused,
    MeanwhileTaken."""
    keys = tx.attestation_keys(device.recipient)
    level = _level_now(tx, roots, device, keys[0], now) if keys else None
    earlier = tx.device_with_tpm(device.organization_id, keys[0].ek_sha256) if keys else None
    details: dict[str, object] = {}
    if earlier is not None and earlier is not device:
        details = {"earlier device": earlier.id, "earlier name": earlier.name}
        tx.hand_over(earlier.recipient, device.recipient)
        tx.forget_attestation(earlier.recipient)
        tx.remove(earlier)
        tx.flush()
        if earlier.token_id is not None and earlier.token_id == device.token_id:
            tx.forget_registration(earlier.token_id)  # one computer is one of those that the token is for
    shown = {"ek_sha256": keys[0].ek_sha256, "assurance": level, "attested_at": now} if keys else {}
    if not tx.set_first(device, {**shown, "same_as": None}):
        raise MeanwhileTaken(Words("Another registration of this computer was confirmed at this moment."))
    target = Target(device.id, device.name, device.organization_id)
    note(tx, actor, now, "device.take_place", target, details)
    tx.machine_came(device)
    tx.wake(f"recipient:{device.recipient}", *([f"recipient:{earlier.recipient}"] if earlier else []))


def _level_now(
    tx: Transaction, roots: EkRoots, device: Device, key: DeviceAttestationKey, now: datetime
) -> AssuranceLevel:
    policy = endorsement_policy(tx, roots, device.organization_id, [key.ek_sha256])
    record = EvidenceRecord.model_validate(key.record).model_copy(update={"judged_at": now})
    level = judge_record(record, policy).record.level
    if level is None:
        raise TpmRefused(Words("The TPM of this computer is on the list of those that are refused."))
    return level


def confirm_same_machine(
    transactions: Transactions, clock: Clock, roots: EkRoots, actor: Actor, device_id: str
) -> None:
    """An administrator says that a device takes the place of the earlier registration of its machine; where there is
    nothing to say, nothing happens. Raises ThingUnknown, NotAllowed, and as `take_place`."""
    with transactions.write() as tx:
        device = reach(tx, DEVICES, actor, device_id, Words("device"))
        if not actor.scope.rules_organization(device.organization_id):
            raise NotAllowed(Words("Only an administrator of the whole organization may say which computer is which."))
        if device.same_as is not None:
            take_place(tx, roots, actor, device, clock.now())
