"""The page that says why it is believed where a key is, in portal and console, for every kind of evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from tests.support.console_frame import ID, ConsoleSample, frame
from tests.support.evidence_samples import evidence_sample
from tests.support.page_sample_data import ENROLL, SIGNED_IN, TRACE, Sample

from keystead_contracts.agent import SoftwareEvidence, TpmEvidence
from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.attestation_evidence import endorsement_fingerprint
from keystead_enroll.domain.endorsement import EndorsementPolicy
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_record
from keystead_enroll.domain.evidence_refusals import refuse_failures, refuse_less
from keystead_enroll.domain.orders import Device, Order, OrderState
from keystead_enroll.domain.provided_csr import evidence_of_provided_key
from keystead_enroll.usecases.show_evidence import ShownEvidence, show_device_evidence, show_evidence
from keystead_enroll.web.console.evidence import device_page, device_tpm, order_page
from keystead_enroll.web.console.widgets import Crumb, DetailPage
from keystead_enroll.web.portal_evidence import evidence_view

NOW = datetime.now(UTC).replace(microsecond=0)
FILE = "/download/evidence.json"
CRUMBS = (Crumb("Requests", "/console/requests"), Crumb("Ada Lovelace", f"/console/requests/{ID}"))


@dataclass(frozen=True)
class Told:
    """An order, and what is shown of its key."""

    order: Order
    shown: ShownEvidence | None


def _order() -> Order:
    order = Order(
        id=ID, form_id=ID, account_id=ID, organization_id=ID, profile_id=ID, certificate_type=CertificateType.CLIENT,
        person_email="ada.lovelace@example.org", person_name="Ada Lovelace", key_algorithm=KeyAlgorithm.EC_P256,
        term_days=365, names={}, recipient=f"claim:{ID}", trace_id=TRACE, created_at=NOW, licence_version=None,
    )  # fmt: skip
    order.machine = "laptop-042"
    return order


def _told(record: EvidenceRecord, demanded: AssuranceLevel = AssuranceLevel.SOFTWARE) -> Told:
    """An order for whose key the record came, as `take_reports` leaves it."""
    order = _order()
    order.advance(OrderState.OFFERED, NOW)
    order.assurance, order.evidence = record.level, {"reasons": [each.model_dump() for each in record.findings]}
    try:
        refuse_less(refuse_failures(record), demanded)
    except Refusal as refusal:
        order.fail(getattr(refusal, "reason_code", ""), refusal.detail, refusal.advice, NOW)
    tx: Any = SimpleNamespace(evidence_of=lambda _: SimpleNamespace(record=record.model_dump(mode="json")))
    return Told(order, show_evidence(tx, order))


def _provided() -> Told:
    order = _order()
    order.machine, order.csr_method, order.evidence = "", CsrGenerationMethod.PROVIDED, evidence_of_provided_key()
    order.assurance = AssuranceLevel.SOFTWARE
    tx: Any = SimpleNamespace(evidence_of=lambda _: None)
    return Told(order, show_evidence(tx, order))


@cache
def evidence_states() -> dict[str, Told]:
    """Every kind of evidence, by what it is called."""
    vendor = evidence_sample()
    unknown = EndorsementPolicy()
    assert vendor.attestation_key is not None
    listed = EndorsementPolicy(listed=frozenset({endorsement_fingerprint(vendor.attestation_key)}))
    bare = vendor.attestation_key.model_copy(update={"endorsement_certificates": ()})
    without = vendor.model_copy(update={"attestation_key": bare})
    assert isinstance(vendor.evidence, TpmEvidence)
    said = vendor.model_copy(update={"evidence": vendor.evidence.model_copy(update={"certification": None})})
    alone = said.model_copy(update={"attestation_key": None, "activation": None, "nonce": ""})
    file = alone.model_copy(update={"evidence": SoftwareEvidence()})
    attested = judge_record(without, unknown).record
    return {
        "vendor": _told(vendor),
        "listed": _told(judge_record(without, listed).record),
        "attested": _told(judge_record(vendor, unknown).record),
        "claimed": _told(judge_record(alone, unknown).record),
        "software": _told(judge_record(file, unknown).record),
        "provided": _provided(),
        "refused": _told(evidence_sample(nonce="AAAA" + vendor.nonce[4:-4] + "AAE=")),
        "too-low": _told(attested, AssuranceLevel.VENDOR),
        "none": Told(_order(), None),
    }


def evidence_pages() -> Iterator[Sample]:
    """The portal's page."""
    for name, told in evidence_states().items():
        back = {"label": "Your certificate", "url": "/certificate.html"}
        view = evidence_view(told.order, told.shown, FILE)
        yield Sample(f"evidence-{name}", ENROLL, "evidence.html", SIGNED_IN | {"evidence": view, "back": back})


def console_evidence() -> Iterator[ConsoleSample]:
    """The console's pages."""
    for name, told in evidence_states().items():
        page = order_page(told.order, told.shown, CRUMBS)
        yield ConsoleSample(f"evidence-{name}", page, frame("requests"))
    for name, device, shown in _devices():
        yield ConsoleSample(f"device-evidence-{name}", device_page(device, shown), frame("devices"))
        own = DetailPage("laptop-042", (device_tpm(device, shown),), crumbs=(Crumb("Devices", "/console/devices"),))
        yield ConsoleSample(f"device-tpm-{name}", own, frame("devices"))


def _devices() -> Iterator[tuple[str, Device, ShownEvidence | None]]:
    record = evidence_sample()
    for name, level, kept in (("vendor", AssuranceLevel.VENDOR, [record]), ("claimed", AssuranceLevel.CLAIMED, [])):
        device = Device(ID, ID, "laptop-042", "linux", "", "", None, NOW, assurance=level)
        keys = [SimpleNamespace(record=each.model_dump(mode="json")) for each in kept]
        tx: Any = SimpleNamespace(attestation_keys=lambda _, keys=keys: keys)
        yield name, device, show_device_evidence(tx, device)
