"""Stored intents and certificates, and what can be said of a certificate at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm
from keystead_contracts.words import Words
from keystead_enroll.domain.refusals import AlreadyRevoked, NotOnHold
from keystead_enroll.domain.revocation import RevocationReason


class IntentState(StrEnum):
    """intended: linted and stored, not known to be signed. void: given up before anything was signed."""

    INTENDED = "intended"
    SIGNED = "signed"
    VOID = "void"


@dataclass(eq=False)
class IssuanceIntent:
    """What is to be signed for an order, stored before it is signed. At most one per order."""

    order_id: str
    serial: str
    precertificate: bytes
    """DER, signed by a throw-away key: the exact to-be-signed bytes that were linted."""
    created_at: datetime
    leased_until: datetime
    state: IntentState = IntentState.INTENDED


@dataclass(eq=False)
class Certificate:
    """An issued certificate. At most one per order."""

    id: str
    order_id: str
    form_id: str | None
    organization_id: str
    owner: str
    profile_id: str
    certificate_type: CertificateType
    key_algorithm: KeyAlgorithm
    assurance: AssuranceLevel
    serial: str
    subject: str
    issuer: str
    names: list[str]
    sha1: str
    sha256: str
    der: bytes
    chain_pem: list[str]
    root_pem: str
    not_before: datetime
    not_after: datetime
    renews_at: datetime
    issued_at: datetime
    machine: str
    location: str = ""
    reasons: list[dict[str, object]] | None = None
    revoked_at: datetime | None = None
    revocation_reason: str | None = None
    department_id: str | None = None
    revocation_note: str = ""
    authority: str = ""
    held_by_owner: bool = False

    @property
    def on_hold(self) -> bool:
        """Whether it is revoked for the time being (RFC 5280 section 5.3.1, certificateHold)."""
        return self.revoked_at is not None and self.revocation_reason == RevocationReason.CERTIFICATE_HOLD

    @property
    def revocable(self) -> bool:
        """Whether it can still be revoked for good."""
        return self.revoked_at is None or self.on_hold

    def release(self) -> bool:
        """Takes it from its hold; False if nothing is wrong with it. Raises NotOnHold if it was revoked for good."""
        if self.revoked_at is None:
            return False
        if not self.on_hold:
            raise NotOnHold(Words("The certificate was revoked for good."))
        self.revoked_at, self.revocation_reason, self.revocation_note = None, None, ""
        self.held_by_owner = False
        return True

    def revoke(self, reason: RevocationReason, now: datetime, note: str = "") -> bool:
        """Revokes it, from then on if it was on hold; False if it was revoked for this reason before. Raises
        AlreadyRevoked if for another."""
        if self.revoked_at is None or (self.on_hold and reason is not RevocationReason.CERTIFICATE_HOLD):
            self.revoked_at, self.revocation_reason, self.revocation_note = now, reason.value, note
            return True
        earlier = RevocationReason(self.revocation_reason or RevocationReason.UNSPECIFIED)
        if earlier is not reason:
            raise AlreadyRevoked(
                Words(
                    "The certificate was revoked on {time} UTC already, as {code}: {reason}.",
                    time=f"{self.revoked_at:%Y-%m-%d %H:%M}",
                    code=earlier.value,
                    reason=earlier.words,
                )
            )
        return False


def certificate_state(certificate: Certificate, now: datetime) -> str:
    """valid, expiring (its renewal is due), expired, on_hold or revoked: a pure function of facts and the time."""
    if certificate.revoked_at is not None:
        return "on_hold" if certificate.on_hold else "revoked"
    if now >= certificate.not_after:
        return "expired"
    return "expiring" if now >= certificate.renews_at else "valid"


def renewal_time(not_before: datetime, not_after: datetime, window: timedelta) -> datetime:
    """When a certificate's renewal is due: `window` before its end, but not before half of its life is over."""
    return max(not_after - window, not_before + (not_after - not_before) / 2)
