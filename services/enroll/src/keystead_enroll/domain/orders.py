"""An order's life: one enum, one transition table, one method that checks it and writes the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from types import MappingProxyType

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_contracts.words import Words, to_plain
from keystead_enroll.domain.enrollment import CsrGenerationMethod, usual_scope
from keystead_enroll.domain.errors import NameNotAllowed
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.refusals import OrderClosed

PRESENCE_LIFE = timedelta(seconds=75)
"""How long a device counts as connected after its web process last said so: three beats."""


class Channel(StrEnum):
    """How a request came."""

    FORM = "form"
    """A person asked at an enrollment form."""
    BULK = "bulk"
    """It is a row of a bulk job."""
    API = "api"
    """A program brought its own request (CSR) to the API."""


class Urgency(IntEnum):
    """What is done first; smaller is sooner."""

    SOMEBODY_WAITS = 0
    BULK = 1


class OrderState(StrEnum):
    """Where an order stands. Revoked and expired belong to the certificate, not here."""

    SUBMITTED = "submitted"
    AWAITING_APPROVAL = "awaiting_approval"
    OFFERED = "offered"
    CSR_ACCEPTED = "csr_accepted"
    SIGNING = "signing"
    ISSUED = "issued"
    INSTALLED = "installed"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing follows, however the request is made."""
        return not TRANSITIONS[self]


_S = OrderState
TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = MappingProxyType(
    {
        _S.SUBMITTED: frozenset({_S.AWAITING_APPROVAL, _S.OFFERED}),
        _S.AWAITING_APPROVAL: frozenset({_S.OFFERED, _S.REJECTED, _S.CANCELLED}),
        _S.OFFERED: frozenset({_S.CSR_ACCEPTED, _S.FAILED, _S.CANCELLED}),
        _S.CSR_ACCEPTED: frozenset({_S.SIGNING, _S.FAILED, _S.CANCELLED}),
        _S.SIGNING: frozenset({_S.ISSUED, _S.FAILED}),
        _S.ISSUED: frozenset({_S.INSTALLED, _S.FAILED, _S.CANCELLED}),
        _S.INSTALLED: frozenset(),
        _S.REJECTED: frozenset(),
        _S.FAILED: frozenset(),
        _S.CANCELLED: frozenset(),
    }
)
"""Every step an order may take whose request an agent makes; anything else is refused."""
PROVIDED_TRANSITIONS: Mapping[OrderState, frozenset[OrderState]] = MappingProxyType(
    dict.fromkeys(_S, frozenset[OrderState]())
    | {
        _S.SUBMITTED: frozenset({_S.AWAITING_APPROVAL, _S.CSR_ACCEPTED}),
        _S.AWAITING_APPROVAL: frozenset({_S.CSR_ACCEPTED, _S.REJECTED, _S.CANCELLED}),
        _S.CSR_ACCEPTED: frozenset({_S.SIGNING, _S.FAILED, _S.CANCELLED}),
        _S.SIGNING: frozenset({_S.ISSUED, _S.FAILED}),
    }
)
"""The same for an order whose request the person provided: nobody installs, so it is over once issued."""


def steps_from(method: CsrGenerationMethod, state: OrderState) -> frozenset[OrderState]:
    """Where an order in `state` may go whose request is made by `method`."""
    return (PROVIDED_TRANSITIONS if method is CsrGenerationMethod.PROVIDED else TRANSITIONS)[state]


def check_step(method: CsrGenerationMethod, state: OrderState, target: OrderState) -> None:
    """Raises OrderClosed if an order in `state` may not go to `target`."""
    if target not in steps_from(method, state):
        raise OrderClosed(
            Words(
                "The request is {state}; it cannot become {target}.",
                state=state.value.replace("_", " "),
                target=target.value,
            )
        )


@dataclass(eq=False)
class OrderTransition:
    """One line of the transition log."""

    order_id: str
    position: int
    source: OrderState | None
    target: OrderState
    at: datetime
    note: str = ""


@dataclass(eq=False)
class Order:
    """One request for one certificate, from submission to the installed certificate or its clear failure."""

    id: str
    form_id: str | None
    account_id: str | None
    """Form and web form account through which a person asked; None if it came by another channel."""
    organization_id: str
    profile_id: str
    certificate_type: CertificateType
    person_email: str
    """Whose the certificate will be; "" if it is nobody's, as a machine's may be."""
    person_name: str | None
    key_algorithm: KeyAlgorithm
    term_days: int
    names: dict[str, object]
    """Who or what the certificate is for: `CertificateNames.to_plain()`, fixed at submission."""
    recipient: str
    """Who does the work: `claim:<id>` or `device:<id>`."""
    trace_id: str
    created_at: datetime
    licence_version: str | None
    state: OrderState = OrderState.SUBMITTED
    state_at: datetime | None = None
    machine: str = ""
    agent_seen_at: datetime | None = None
    csr_pem: str | None = None
    spki_sha256: str | None = None
    evidence: dict[str, object] | None = None
    assurance: AssuranceLevel | None = None
    key_location: str = ""
    failure_code: str = ""
    failure_reason: str = ""
    """One line of our own; a second line, if there is one, is what the agent said."""
    failure_advice: str = ""
    failure_words: dict[str, object] | None = None
    """Both once more (`keystead_contracts.words.to_plain`), to be said in another language."""
    request_digest: str | None = None
    """Of the page and the answers that asked for it: the same page sent twice is one order."""
    department_id: str | None = None
    csr_method: CsrGenerationMethod = CsrGenerationMethod.AGENT
    language: str = ""
    """In which the person asked (BCP 47), and is written to."""
    supersedes: str | None = None
    """The id of the certificate whose place this one takes."""
    channel: Channel = Channel.FORM
    urgency: Urgency = Urgency.SOMEBODY_WAITS
    requested_by: str = ""
    """The administrator or API token who asked; "" if the person did."""
    bulk_job_id: str | None = None
    """The bulk job of which it is a row; None once another request took its place there."""
    scope: CertificateScope | None = None
    """As the profile said when its first job was offered: where the key was made the certificate goes."""
    log: list[OrderTransition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state_at = self.created_at
        self.log.append(OrderTransition(self.id, 0, None, self.state, self.created_at))

    @property
    def asked_by(self) -> str:
        """Who asked for it."""
        return self.requested_by or self.person_email

    @property
    def whose(self) -> CertificateScope:
        """Whose the certificate will be, on a machine that a link leads to."""
        return self.scope or usual_scope(self.certificate_type)

    @property
    def wanted_name(self) -> str:
        """The one name to show of what the order asks for; "" if the rules for names no longer allow it."""
        try:
            return CertificateNames.from_plain(self.names).display_name
        except NameNotAllowed:
            return ""

    @property
    def steps(self) -> frozenset[OrderState]:
        """Where it may go from here."""
        return steps_from(self.csr_method, self.state)

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return not self.steps

    @property
    def fruitful(self) -> bool:
        """Whether it is over and came to its certificate."""
        return self.over and self.state in (OrderState.ISSUED, OrderState.INSTALLED)

    def advance(self, target: OrderState, now: datetime, note: str = "") -> None:
        """Takes the order to `target` and logs it. Raises OrderClosed if the table has no such step."""
        check_step(self.csr_method, self.state, target)
        self.log.append(OrderTransition(self.id, len(self.log), self.state, target, now, note))
        self.state, self.state_at = target, now

    def fail(self, code: str, reason: str, advice: str, now: datetime, said: str = "") -> None:
        """Ends the order as failed, with what a person will read; `said` are the agent's own words."""
        self.advance(OrderState.FAILED, now, code)
        self.failure_code = code
        self.explain(reason, advice, said)

    def explain(self, reason: str, advice: str, said: str = "") -> None:
        """Says why the order came to nothing."""
        lines = (" ".join(text.split()) for text in (reason, said))
        self.failure_reason, self.failure_advice = "\n".join(line for line in lines if line), str(advice)
        self.failure_words = {"reason": to_plain(reason), "advice": to_plain(advice)}

    def reached(self, state: OrderState) -> datetime | None:
        """When the order came to `state`, or None if it never did."""
        return next((entry.at for entry in self.log if entry.target is state), None)


@dataclass(eq=False)
class Claim:
    """An enrollment link. Its token is an HMAC of the id, so the page can show it again and the table holds a hash."""

    id: str
    order_id: str
    token_digest: str
    expires_at: datetime
    agent_secret_digest: str | None = None
    redeemed_at: datetime | None = None
    resumable_until: datetime | None = None


@dataclass(eq=False)
class Device:
    """A registered machine. `public_key_pem` is its device key, held in its TPM."""

    id: str
    organization_id: str
    name: str
    platform: str
    public_key_pem: str
    spki_sha256: str
    owner: str | None
    registered_at: datetime
    last_seen_at: datetime | None = None
    machine: dict[str, object] = field(default_factory=dict)
    stream_holder: str | None = None
    """The web process in which the device's newest job stream is open."""
    stream_seen_at: datetime | None = None
    """When that process last said so."""
    ek_sha256: str | None = None
    """Its TPM, by the endorsement key that was shown to be there; None if none was."""
    assurance: AssuranceLevel | None = None
    """How sure it is that the device key is in that TPM; None for devices of before that was judged."""
    attested_at: datetime | None = None
    same_as: str | None = None
    """The device whose TPM this one has shown to have. Until an administrator says that it takes that one's place, it
    gets nothing to do."""
    group: str = ""
    """What it is, as the registration token said by which it came: "laptops 2027"; "" if it said nothing."""
    token_id: str | None = None
    """That token; None for devices of before that was noted. It may have been deleted since."""
    token_name: str = ""

    def connected(self, now: datetime) -> bool:
        """Whether the device holds a job stream open."""
        seen = self.stream_seen_at
        return self.stream_holder is not None and seen is not None and now - seen < PRESENCE_LIFE

    @property
    def seen_at(self) -> datetime | None:
        """When the device was last heard of."""
        return max((at for at in (self.last_seen_at, self.stream_seen_at) if at), default=None)

    @property
    def recipient(self) -> str:
        """How jobs name this device."""
        return f"device:{self.id}"


def spellings(name: str) -> list[str]:
    """How a machine may be registered whose name somebody wrote so: Windows spells its own in capitals, people seldom
    do."""
    return sorted({name, name.lower(), name.upper(), name.capitalize()})
