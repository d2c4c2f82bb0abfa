"""What issuance works on: batches of orders whose request was accepted, each as little as issuance needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_enroll.domain.enrollment import CsrGenerationMethod
from keystead_enroll.domain.orders import OrderState, OrderTransition, check_step, steps_from

LEASE = timedelta(seconds=15)
"""How long a worker has to sign what it intends to; then another takes it up."""
_LONGEST = LEASE / 10


@dataclass(slots=True)
class IssuableOrder:
    """What issuance needs of an order; see `orders.Order`. `logged` is how many lines its transition log has."""

    id: str
    form_id: str | None
    account_id: str | None
    organization_id: str
    department_id: str | None
    profile_id: str
    certificate_type: CertificateType
    person_email: str
    requested_by: str
    key_algorithm: KeyAlgorithm
    term_days: int
    names: dict[str, object]
    recipient: str
    trace_id: str
    state: OrderState
    machine: str
    csr_pem: str | None
    evidence: dict[str, object] | None
    assurance: AssuranceLevel | None
    csr_method: CsrGenerationMethod
    language: str
    scope: CertificateScope | None
    logged: int

    @property
    def asked_by(self) -> str:
        """Who asked for it."""
        return self.requested_by or self.person_email

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return not steps_from(self.csr_method, self.state)

    def advance(self, target: OrderState, now: datetime) -> OrderTransition:
        """Takes the order to `target`; the line of its log. Raises OrderClosed if the table has no such step."""
        check_step(self.csr_method, self.state, target)
        line = OrderTransition(self.id, self.logged, self.state, target, now)
        self.state, self.logged = target, self.logged + 1
        return line


@dataclass
class BatchSize:
    """How many orders a worker takes at once: as few as when little is to do, so that nobody waits for others; more
    and more under load, while a batch takes less than a tenth of the lease on its intents."""

    least: int = 32
    most: int = 256
    now: int = 32

    def after(self, taken: int, took: timedelta) -> None:
        """Learns from a batch of `taken` orders."""
        if took > _LONGEST:
            self.now = max(self.now // 2, 1)
        elif taken >= self.now and took * 2 <= _LONGEST:
            self.now = min(self.now * 2, self.most)
        elif taken < self.now // 2:
            self.now = max(self.now // 2, min(self.least, self.now))
