"""Gives each device one order, as a bulk job does."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_enroll.bootstrap import Enroll
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.orders import Channel, Order, Urgency
from keystead_enroll.usecases.links import proceed
from keystead_kit.secrets import new_id
from keystead_kit.trace import new_trace_id

BATCH = 200


def give_orders(enroll: Enroll, profile_name: str, devices: Iterable[tuple[str, str]]) -> None:
    """Offers each of the devices (id and name) a certificate of this profile, for P-256."""
    waiting = iter(devices)
    with enroll.transactions.read() as tx:
        profile = next(each for each in tx.profiles() if each.name == profile_name)
        organization = tx.organizations()[0]
    while some := list(islice(waiting, BATCH)):
        now = enroll.clock.now()
        with enroll.transactions.write() as tx:
            for device_id, name in some:
                subject = (("O", organization.name), ("CN", name))
                order = Order(
                    id=new_id(),
                    form_id=None,
                    account_id=None,
                    organization_id=organization.id,
                    profile_id=profile.id,
                    certificate_type=CertificateType.DEVICE,
                    person_email="",
                    person_name=None,
                    key_algorithm=KeyAlgorithm.EC_P256,
                    term_days=365,
                    names=CertificateNames(subject, dns_names=(f"{name}.example.org",)).to_plain(),
                    recipient=f"device:{device_id}",
                    trace_id=new_trace_id(),
                    created_at=now,
                    licence_version=None,
                    machine=name,
                    channel=Channel.BULK,
                    urgency=Urgency.BULK,
                )
                tx.add(order)
                proceed(tx, order, now)
