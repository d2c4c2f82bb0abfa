"""Facts that cross a service border, each in an `Envelope`, by Celery queue over Redis.

A fact is past tense and complete: its receiver asks nobody. Delivery is at least once and unordered; a receiver
keeps the ids it has seen and answers with a receipt (`keystead_kit.outbox`, `keystead_kit.inbox`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter

from keystead_contracts.base import (
    AssuranceLevel,
    AwareDatetime,
    CertificateType,
    EmailAddress,
    LanguageTag,
    Message,
    PlainText,
    TraceId,
    UriExtension,
)
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import (
    AdministratorInvited,
    AdministratorPublished,
    AdministratorSeen,
    AdministratorSignInsEnded,
    IdentityProviderChecked,
    IdentityProviderPublished,
    PersonInvited,
    PersonPublished,
)


class FormPublished(Message):
    """enroll → auth: a form was created or changed. `version` rises with each change of any form: of two facts on one
    address, `form`, the older is void, whichever form it tells of."""

    type: Literal["form_published"] = "form_published"
    form: UriExtension
    version: int
    name: str
    organization: str
    certificate_type: CertificateType
    methods: list[SignInMethod]
    email_domains: list[str]
    help_text: str = ""
    help_link: str | None = None
    withdrawn: bool = False
    organization_ids: list[str] = Field(default_factory=list)
    """Of the form's accounts: whose persons may sign in, and which identity providers are offered."""


class LoginRequested(Message):
    """auth → notify: a person who may enroll asked for a sign-in link."""

    type: Literal["login_requested"] = "login_requested"
    email: EmailAddress
    organization: str
    form_name: str
    link: str
    requested_at: AwareDatetime
    expires_at: AwareDatetime
    requested_from: str = ""
    help_link: str | None = None
    language: LanguageTag = ""


class CertificateInstalled(Message):
    """enroll → notify: a certificate is stored on its machine and the probe signature verified."""

    type: Literal["certificate_installed"] = "certificate_installed"
    email: EmailAddress
    organization: str
    form_name: str
    order_id: str
    certificate_type: CertificateType
    subject: str
    issuer: str
    serial: str
    not_after: AwareDatetime
    machine: str
    assurance: AssuranceLevel
    installed_at: AwareDatetime
    portal_link: str
    help_link: str | None = None
    language: LanguageTag = ""


class CertificateIssued(Message):
    """enroll → notify: a certificate was issued for a request that the person provided; they install it themselves."""

    type: Literal["certificate_issued"] = "certificate_issued"
    email: EmailAddress
    organization: str
    form_name: str
    order_id: str
    certificate_type: CertificateType
    subject: str
    issuer: str
    serial: str
    not_after: AwareDatetime
    issued_at: AwareDatetime
    portal_link: str
    help_link: str | None = None
    language: LanguageTag = ""


class EnrollmentFailed(Message):
    """enroll → notify: an order ended without a certificate that works; `advice` says what the person can do."""

    type: Literal["enrollment_failed"] = "enrollment_failed"
    email: EmailAddress
    organization: str
    form_name: str
    order_id: str
    reason: str
    advice: str
    failed_at: AwareDatetime
    portal_link: str
    help_link: str | None = None
    language: LanguageTag = ""


class OrderApproved(Message):
    """enroll → notify: an administrator approved a person's order; `wanted` is the name it is for."""

    type: Literal["order_approved"] = "order_approved"
    email: EmailAddress
    organization: str
    form_name: str
    order_id: str
    certificate_type: CertificateType
    wanted: str
    decided_at: AwareDatetime
    portal_link: str
    help_link: str | None = None
    language: LanguageTag = ""


class OrderRejected(Message):
    """enroll → notify: an administrator declined a person's order; `reason` is theirs, for the person to read."""

    type: Literal["order_rejected"] = "order_rejected"
    email: EmailAddress
    organization: str
    form_name: str
    order_id: str
    certificate_type: CertificateType
    wanted: str
    reason: PlainText
    decided_at: AwareDatetime
    portal_link: str
    help_link: str | None = None
    language: LanguageTag = ""


class CertificateRevoked(Message):
    """enroll → notify: an administrator revoked a person's certificate; `reason` is in words, in the middle of a
    sentence, and `advice` says what the person can do."""

    type: Literal["certificate_revoked"] = "certificate_revoked"
    email: EmailAddress
    organization: str
    form_name: str
    certificate_type: CertificateType
    subject: str
    serial: str
    machine: str = ""
    reason: PlainText
    advice: PlainText
    revoked_at: AwareDatetime
    portal_link: str
    help_link: str | None = None
    language: LanguageTag = ""


class WaitingRequest(Message):
    """A request that waits for approval: who asks for what, and where."""

    wanted: str
    person: str
    organization: str
    form_name: str
    certificate_type: CertificateType
    asked_at: AwareDatetime


class ApprovalsWaiting(Message):
    """enroll → notify: requests wait for an administrator to approve or decline them. `fresh` of the `waiting` were not
    told to them before; `requests` are the first of these."""

    type: Literal["approvals_waiting"] = "approvals_waiting"
    email: EmailAddress
    name: PlainText
    waiting: int
    fresh: int
    requests: list[WaitingRequest]
    told_at: AwareDatetime
    console_link: str
    language: LanguageTag = ""


Fact = Annotated[
    FormPublished
    | LoginRequested
    | CertificateInstalled
    | CertificateIssued
    | EnrollmentFailed
    | OrderApproved
    | OrderRejected
    | CertificateRevoked
    | ApprovalsWaiting
    | PersonPublished
    | PersonInvited
    | AdministratorPublished
    | AdministratorInvited
    | AdministratorSignInsEnded
    | AdministratorSeen
    | IdentityProviderPublished
    | IdentityProviderChecked,
    Field(discriminator="type"),
]
"""Any fact. A receiver acknowledges and drops a type it does not know (`parse_fact` answers None)."""

_FACT: TypeAdapter[Fact] = TypeAdapter(Fact)
_KNOWN = frozenset(fact.model_fields["type"].default for fact in get_args(get_args(Fact)[0]))


class Envelope(Message):
    """A fact on its way. `message_id` is what the receiver remembers; `source` is where its receipt goes."""

    message_id: str
    source: str
    destination: str
    recorded_at: AwareDatetime
    trace_id: TraceId
    fact: dict[str, Any]


def parse_fact(envelope: Envelope) -> Fact | None:
    """The envelope's fact, or None if its type is newer than this code.

    Raises pydantic.ValidationError if a known type has a malformed body.
    """
    if envelope.fact.get("type") not in _KNOWN:
        return None
    return _FACT.validate_python(envelope.fact)
