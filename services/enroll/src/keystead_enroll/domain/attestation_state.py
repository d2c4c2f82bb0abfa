"""What is kept of TPMs: challenges, attestation keys that proved themselves, the evidence of orders' keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SameMachine(StrEnum):
    """What becomes of a TPM that registers again, with another device key: an administrator is asked, or the new
    registration takes the place of the earlier one."""

    ASK = "ask"
    REPLACE = "replace"


@dataclass(eq=False)
class AttestationChallenge:
    """A secret that was sealed to a TPM's endorsement key and attestation key, once for one recipient."""

    id: str
    recipient: str
    attestation_name: str
    """The attestation key's Name, hex."""
    sent: dict[str, object]
    """The `AttestationKey` message."""
    public_area: str
    """That of the device key, in base64; "" for a link."""
    secret: bytes | None
    """None once it was answered: it is in the evidence then, and opens nothing."""
    nonce: str
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    answer_digest: str | None = None
    outcome: dict[str, object] | None = None
    """What was answered to the device: the result, or the refusal."""

    def open(self, now: datetime) -> bool:
        """Whether it may be answered."""
        return self.answered_at is None and now < self.expires_at


@dataclass(eq=False)
class DeviceAttestationKey:
    """An attestation key that was shown to be in the TPM of a device. `record` is the `EvidenceRecord` of it."""

    id: str
    recipient: str
    name: str
    """Its Name, hex."""
    ek_sha256: str
    record: dict[str, object]
    activated_at: datetime
    clock: dict[str, object] | None = None
    """That of its last statement."""


@dataclass(eq=False)
class OrderEvidence:
    """The `EvidenceRecord` of an order's key."""

    order_id: str
    record: dict[str, object]
    created_at: datetime
