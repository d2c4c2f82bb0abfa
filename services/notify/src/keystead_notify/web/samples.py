"""A sample of every letter, for the preview."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
from keystead_notify.domain.letter import LetterFact

_WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
_HELP = "https://help.example.org/certificates"
_ORDER = "4bf92f3577b34da6a3ce929d0e0e4736"


def samples(origin: str) -> dict[str, LetterFact]:
    """Kind → what such a letter might tell."""
    facts: list[LetterFact] = [
        LoginRequested(
            email="ada@example.org",
            organization="Northwind University",
            form_name="Staff certificates",
            link=f"{origin}/auth/confirm/a-sample-link-that-signs-nobody-in",
            requested_at=_WHEN,
            expires_at=_WHEN + timedelta(minutes=15),
            requested_from="192.0.2.17",
            help_link=_HELP,
        ),
        CertificateInstalled(
            email="ada@example.org",
            organization="Northwind University",
            form_name="Staff certificates",
            order_id=_ORDER,
            certificate_type=CertificateType.CLIENT,
            subject="CN=Ada Lovelace",
            issuer="CN=Northwind Issuing CA 1",
            serial="5f3a90c4e1b7d2886a01",
            not_after=_WHEN + timedelta(days=365),
            machine="ada-laptop",
            assurance=AssuranceLevel.ATTESTED,
            installed_at=_WHEN,
            portal_link=f"{origin}/e/sample",
            help_link=_HELP,
        ),
        CertificateIssued(
            email="ada@example.org",
            organization="Northwind University",
            form_name="Server certificates",
            order_id=_ORDER,
            certificate_type=CertificateType.SSL,
            subject="www.example.org",
            issuer="CN=Northwind Issuing CA 1",
            serial="5f3a90c4e1b7d2886a02",
            not_after=_WHEN + timedelta(days=90),
            issued_at=_WHEN,
            portal_link=f"{origin}/e/sample",
            help_link=_HELP,
        ),
        EnrollmentFailed(
            email="ada@example.org",
            organization="Northwind University",
            form_name="Staff certificates",
            order_id=_ORDER,
            reason="The computer has no TPM 2.0.",
            advice="Use a computer with a TPM 2.0, or ask your IT desk.",
            failed_at=_WHEN,
            portal_link=f"{origin}/e/sample",
            help_link=_HELP,
        ),
        OrderApproved(
            email="ada@example.org",
            organization="Northwind University",
            form_name="Staff certificates",
            order_id=_ORDER,
            certificate_type=CertificateType.CLIENT,
            wanted="Ada Lovelace",
            decided_at=_WHEN,
            portal_link=f"{origin}/e/sample",
            help_link=_HELP,
        ),
        OrderRejected(
            email="ada@example.org",
            organization="Northwind University",
            form_name="Staff certificates",
            order_id=_ORDER,
            certificate_type=CertificateType.CLIENT,
            wanted="Ada Lovelace",
            reason="Guests get their certificates from the library.",
            decided_at=_WHEN,
            portal_link=f"{origin}/e/sample",
            help_link=_HELP,
        ),
        CertificateRevoked(
            email="ada@example.org",
            organization="Northwind University",
            form_name="Staff certificates",
            certificate_type=CertificateType.CLIENT,
            subject="Ada Lovelace",
            serial="5f3a90c4e1b7d2886a01",
            machine="ada-laptop",
            reason="another certificate has taken its place",
            advice="Ask for a new certificate if you need one.",
            revoked_at=_WHEN,
            portal_link=f"{origin}/e/sample",
            help_link=_HELP,
        ),
        ApprovalsWaiting(
            email="grace@example.org",
            name="Grace Hopper",
            waiting=3,
            fresh=2,
            requests=[
                WaitingRequest(
                    wanted=wanted,
                    person=person,
                    organization="Northwind University",
                    form_name=form,
                    certificate_type=kind,
                    asked_at=_WHEN,
                )
                for wanted, person, form, kind in (
                    ("Ada Lovelace", "ada@example.org", "Staff certificates", CertificateType.CLIENT),
                    ("www.example.org", "alan@example.org", "Server certificates", CertificateType.SSL),
                )
            ],
            told_at=_WHEN,
            console_link=f"{origin}/console/requests?q=state:awaiting_approval",
        ),
        AdministratorInvited(
            email="ada@example.org",
            name="Ada Lovelace",
            link=f"{origin}/auth/administrators/invitation/a-sample-link-that-sets-no-password",
            invited_by="Grace Hopper",
            requested_at=_WHEN,
            expires_at=_WHEN + timedelta(hours=72),
        ),
        PersonInvited(
            email="ada@example.org",
            name="Ada Lovelace",
            organization="Northwind University",
            form_name="Staff certificates",
            form_url=f"{origin}/e/sample",
            needs_secret_id=True,
            invited_by="Grace Hopper",
            invited_at=_WHEN,
            help_link=_HELP,
        ),
    ]
    return {fact.type: fact for fact in facts}
