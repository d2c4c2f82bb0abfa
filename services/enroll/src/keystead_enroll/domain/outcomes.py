"""What became of a request, as its asker is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keystead_enroll.domain.orders import OrderState


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate as its asker gets it."""

    id: str
    serial: str
    der: bytes
    chain_pem: list[str]
    root_pem: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Outcome:
    """Where a request stands; with the certificate once there is one, and why there is none if it came to nothing."""

    order_id: str
    state: OrderState
    failure_code: str
    failure_reason: str
    failure_advice: str
    certificate: IssuedCertificate | None

    @property
    def over(self) -> bool:
        """Whether it will not change."""
        return self.certificate is not None or self.state.terminal
