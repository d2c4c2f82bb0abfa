"""A fact for each letter, and the letter rendered as its template asks for: for previews and for tests."""

from __future__ import annotations

from datetime import timedelta

from tests.support.page_sample_data import NOW, ROOT

from keystead_contracts.base import AssuranceLevel, CertificateType
from keystead_contracts.events import (
    ApprovalsWaiting,
    CertificateInstalled,
    CertificateIssued,
    CertificateRevoked,
    EnrollmentFailed,
    LoginRequested,
    OrderApproved,
    OrderRejected,
    WaitingRequest,
)
from keystead_contracts.people import AdministratorInvited, PersonInvited
from keystead_notify.adapters.writing import Writer

LETTERS = ROOT / "services/notify/src/keystead_notify/adapters/templates"

Letter = (
    LoginRequested
    | CertificateInstalled
    | CertificateIssued
    | EnrollmentFailed
    | OrderApproved
    | OrderRejected
    | CertificateRevoked
    | ApprovalsWaiting
    | AdministratorInvited
    | PersonInvited
)

FACTS: dict[str, Letter] = {
    "login_requested": LoginRequested(
        email="ada.lovelace@example.org",
        organization="Northwind University",
        form_name="Staff certificates",
        link="https://enroll.example.org/auth/confirm/9NcvVw4zJ0fWmZ4r0u1dQYv1b8oXkq3sT5yHc7LpE2A",
        requested_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
        requested_from="192.0.2.17 (Firefox on Windows)",
        help_link="https://help.example.org/certificates",
    ),
    "certificate_installed": CertificateInstalled(
        email="ada.lovelace@example.org",
        organization="Northwind University",
        form_name="Staff certificates",
        order_id="01JD8Z3",
        certificate_type=CertificateType.CLIENT,
        subject="Ada Lovelace",
        issuer="Northwind Issuing CA 1",
        serial="3A7F19C2E4D05B8866A1F0C39D2E7B41",
        not_after=NOW + timedelta(days=365),
        machine="laptop-042",
        assurance=AssuranceLevel.ATTESTED,
        installed_at=NOW,
        portal_link="https://enroll.example.org/e/Zx8/certificates/1",
    ),
    "certificate_issued": CertificateIssued(
        email="ada.lovelace@example.org",
        organization="Northwind University",
        form_name="Server certificates",
        order_id="01JD8Z3",
        certificate_type=CertificateType.SSL,
        subject="www.example.org",
        issuer="Northwind Issuing CA 1",
        serial="3A7F19C2E4D05B8866A1F0C39D2E7B42",
        not_after=NOW + timedelta(days=90),
        issued_at=NOW,
        portal_link="https://enroll.example.org/e/Zx8/orders/2",
    ),
    "enrollment_failed": EnrollmentFailed(
        email="ada.lovelace@example.org",
        organization="Northwind University",
        form_name="Staff certificates",
        order_id="01JD8Z3",
        reason="The TPM of laptop-042 cannot make an RSA 4096 key.",
        advice="It can make RSA 2048 and ECDSA P-256. Ask again and choose one of these.",
        failed_at=NOW,
        portal_link="https://enroll.example.org/e/Zx8/orders/1",
        help_link="https://help.example.org/certificates",
    ),
    "order_approved": OrderApproved(
        email="ada.lovelace@example.org",
        organization="Northwind University",
        form_name="Staff certificates",
        order_id="01JD8Z3",
        certificate_type=CertificateType.CLIENT,
        wanted="Ada Lovelace",
        decided_at=NOW,
        portal_link="https://enroll.example.org/e/Zx8/orders/1",
        help_link="https://help.example.org/certificates",
    ),
    "order_rejected": OrderRejected(
        email="ada.lovelace@example.org",
        organization="Northwind University",
        form_name="Staff certificates",
        order_id="01JD8Z3",
        certificate_type=CertificateType.CLIENT,
        wanted="Ada Lovelace",
        reason="Guests get their certificates from the library.",
        decided_at=NOW,
        portal_link="https://enroll.example.org/e/Zx8/orders/1",
    ),
    "certificate_revoked": CertificateRevoked(
        email="ada.lovelace@example.org",
        organization="Northwind University",
        form_name="Staff certificates",
        certificate_type=CertificateType.CLIENT,
        subject="Ada Lovelace",
        serial="3A7F19C2E4D05B8866A1F0C39D2E7B41",
        machine="laptop-042",
        reason="somebody else may have the key",
        advice="Do not use it any more.",
        revoked_at=NOW,
        portal_link="https://enroll.example.org/e/Zx8/certificates/1",
        help_link="https://help.example.org/certificates",
    ),
    "approvals_waiting": ApprovalsWaiting(
        email="grace.hopper@example.org",
        name="Grace Hopper",
        waiting=12,
        fresh=3,
        requests=[
            WaitingRequest(
                wanted=wanted,
                person=person,
                organization="Northwind University",
                form_name=form_name,
                certificate_type=kind,
                asked_at=NOW,
            )
            for wanted, person, form_name, kind in (
                ("Ada Lovelace", "ada.lovelace@example.org", "Staff certificates", CertificateType.CLIENT),
                ("www.example.org", "alan.turing@example.org", "Server certificates", CertificateType.SSL),
            )
        ],
        told_at=NOW,
        console_link="https://enroll.example.org/console/requests?q=state:awaiting_approval",
    ),
    "administrator_invited": AdministratorInvited(
        email="ada.lovelace@example.org",
        name="Ada Lovelace",
        link="https://enroll.example.org/auth/administrators/invitation/9NcvVw4zJ0fWmZ4r0u1dQYv1b8oXkq3sT5yHc7LpE2A",
        invited_by="Grace Hopper",
        requested_at=NOW,
        expires_at=NOW + timedelta(hours=72),
    ),
    "person_invited": PersonInvited(
        email="ada.lovelace@example.org",
        name="Ada Lovelace",
        organization="Northwind University",
        form_name="Staff certificates",
        form_url="https://enroll.example.org/e/Zx8",
        needs_secret_id=True,
        needs_access_code=True,
        invited_by="Grace Hopper",
        invited_at=NOW,
        help_link="https://help.example.org/certificates",
    ),
}


def render_letter(name: str, suffix: str, fact: Letter) -> str:
    """The letter `name` as `txt` (with its subject) or `html`."""
    written = Writer().write(name, fact.model_dump(mode="json"))
    return written.html if suffix == "html" else f"Subject: {written.subject}\n\n{written.text}"
