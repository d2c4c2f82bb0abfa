"""What administrators send, from a console page or through the API, before it meets the database.

Every input refuses fields that it does not know, so that nobody sets what is not theirs to set.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from keystead_contracts.base import CertificateType, EmailAddress
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.names import check_dns_name
from keystead_enroll.domain.registration_tokens import MOST_DEVICES
from keystead_enroll.domain.revocation import RevocationReason

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_BREAK = re.compile(r"[\t\n\x80-\x9f\u2028\u2029]")


AT_ODDS = "at_odds"
"""The type of a mistake in how fields go together; its context's `fields` are those that could be left out, the one
to point at first."""


def at_odds(words: str, *fields: str) -> PydanticCustomError:
    """A mistake in how `fields` go together."""
    return PydanticCustomError(AT_ODDS, "{words}", {"words": words, "fields": fields})


def words_of(refusal: Refusal) -> str:
    """What a refusal says, as one sentence or two."""
    advice = "" if refusal.advice == refusal.default_advice else refusal.advice
    return Words("{detail}. {advice}", detail=refusal.detail, advice=advice) if advice else refusal.detail


def _domain(value: str) -> str:
    try:
        return check_dns_name(value)
    except Refusal as refusal:
        raise ValueError(words_of(refusal)) from refusal


def one_line(value: str) -> str:
    """`value`, unless it has a tab or breaks a line: names stand in letters' headers, files and logs. Raises
    ValueError."""
    if _BREAK.search(value):
        raise ValueError("has a tab or a line break, and is one line")
    return value


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(one_line)]
AccountName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=128), AfterValidator(one_line)
]
AccessCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,255}$")]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=2048)]
Domain = Annotated[str, AfterValidator(_domain)]
HomeOrganization = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=256)]


def storable(value: Any) -> Any:
    """`value`, unless a text in it has a character that PostgreSQL or a page cannot hold. Raises ValueError."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    for text in inside:
        found = _UNSTORABLE.search(text) if isinstance(text, str) else None
        if found:
            raise ValueError(Words("has the character U+{code}, which cannot be stored", code=f"{ord(found[0]):04X}"))
    return value


class Input(BaseModel):
    """The base of all inputs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)


class OrganizationInput(Input):
    """An organization. The domains that are delegated to it, and what identity providers send for it."""

    name: Name
    email_domains: list[Domain] = Field(default_factory=list, max_length=1000)
    dns_domains: list[Domain] = Field(default_factory=list, max_length=1000)
    home_organization: HomeOrganization | None = None


class DepartmentInput(Input):
    """A department. Its domains are some of its organization's, or below them; none: those of the organization."""

    organization_id: str = Field(max_length=32)
    name: Name
    email_domains: list[Domain] = Field(default_factory=list, max_length=1000)
    dns_domains: list[Domain] = Field(default_factory=list, max_length=1000)
    home_organization: HomeOrganization | None = None


class GrantInput(Input):
    """A role in a place: MRAO without one, RAO of an organization, DRAO of a department of it."""

    role: Role
    organization_id: str | None = Field(None, max_length=32)
    department_id: str | None = Field(None, max_length=32)
    certificate_types: list[CertificateType] = Field(default_factory=lambda: list(CertificateType), min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            self.grant()
        except ValueError as error:
            raise ValueError(
                Words("has no place that fits its role: mrao none, rao an organization, drao both")
            ) from error
        return self

    def grant(self) -> Grant:
        """The domain's value."""
        return Grant(self.role, self.organization_id, self.department_id, frozenset(self.certificate_types))


class TokenInput(Input):
    """An API token. Without grants it may do what its owner may. It ends after `days`."""

    name: Name
    grants: list[GrantInput] = Field(default_factory=list, max_length=100)
    days: int = Field(90, ge=1, le=366)


OwnerAddress = Annotated[EmailAddress, StringConstraints(to_lower=True)]
GroupName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128), AfterValidator(one_line)]
Remark = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
GivenReason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class RevocationInput(Input):
    """Why a certificate is revoked (RFC 5280 section 5.3.1), and a note that administrators read."""

    reason: RevocationReason
    note: Remark = ""


class ReleaseInput(Input):
    """The release of a certificate that is on hold; its note is kept in the audit log."""

    note: Remark = ""


class ApprovalInput(Input):
    """An approval; its note is kept in the audit log."""

    note: Remark = ""


class RejectionInput(Input):
    """A rejection. The person reads the note, in the letter and on the request's page."""

    note: GivenReason


class CancellationInput(Input):
    """The end of a request. The person reads the note, if there is one."""

    note: Remark = ""


class DecisionsInput(Input):
    """The same decision on several requests, each judged by itself. A rejection needs a note."""

    ids: list[Annotated[str, StringConstraints(max_length=32)]] = Field(min_length=1, max_length=200)
    approve: bool
    note: Remark = Field("", validate_default=True)

    @field_validator("note")
    @classmethod
    def _reasoned(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("approve") is False and not value:
            raise ValueError(Words("is missing: say why, the persons will read it"))
        return value


class RegistrationTokenInput(Input):
    """A registration token for machines of an organization. `owner` is the e-mail address of the person whose devices
    they will be, if they are somebody's; `group` what they are, such as “laptops 2027”. At most `most_devices` register
    with it, any number without that. It ends after `days`."""

    name: Name
    organization_id: str = Field(max_length=32)
    owner: OwnerAddress | None = None
    group: GroupName = ""
    most_devices: int | None = Field(None, ge=1, le=MOST_DEVICES)
    days: int = Field(30, ge=1, le=366)


class RegistrationTokenLimitsInput(Input):
    """What may change of a registration token. Owner and group are those of the devices to come; devices that came
    with it stay as they are, and count."""

    owner: OwnerAddress | None = None
    group: GroupName = ""
    most_devices: int | None = Field(None, ge=1, le=MOST_DEVICES)
    expires_at: AwareDatetime | None = None
