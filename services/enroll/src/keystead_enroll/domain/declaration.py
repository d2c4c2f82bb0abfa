"""The set-up that an administrator declares in one file: what it may say, before it meets the database."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from keystead_contracts.base import AssuranceLevel, CertificateType, KeyAlgorithm, UriExtension
from keystead_contracts.identity import SignInMethod
from keystead_enroll.domain.device_name_pattern import DeviceNamePattern
from keystead_enroll.domain.enrollment import Authorization
from keystead_enroll.domain.errors import Refusal
from keystead_enroll.domain.name_templates import NameTemplate
from keystead_enroll.domain.names import check_dns_name

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
AccountName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=128)]
AccessCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,255}$")]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=2048)]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_nul(cls, value: object) -> object:
        """PostgreSQL stores no NUL in a text."""
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and "\0" in text for text in texts):
            raise ValueError("must not hold the character NUL")
        return value


class OrganizationDeclaration(_Declared):
    """An organization, its departments, and the domains delegated to it."""

    name: Name
    email_domains: list[str] = Field(default_factory=list)
    dns_domains: list[str] = Field(default_factory=list)
    departments: list[Name] = Field(default_factory=list)

    @field_validator("email_domains", "dns_domains")
    @classmethod
    def _domains(cls, value: list[str]) -> list[str]:
        try:
            return [check_dns_name(domain.lower()) for domain in value]
        except Refusal as refusal:
            raise ValueError(f"{refusal.detail}. {refusal.advice}") from refusal


class ProfileDeclaration(_Declared):
    """A certificate profile."""

    name: Name
    description: str = ""
    type: CertificateType
    key_algorithms: list[KeyAlgorithm] = Field(min_length=1)
    term_days: list[Annotated[int, Field(ge=1, le=3650)]] = Field(min_length=1)
    subject: str
    subject_alternative_names: list[str] = Field(default_factory=list)
    minimum_assurance: AssuranceLevel = AssuranceLevel.CLAIMED
    device_name_pattern: str = ""
    renewal_window_days: int = Field(30, ge=1, le=3650)
    policy_oids: list[Annotated[str, StringConstraints(pattern=r"^[0-2](\.\d+)+$")]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _parses(self) -> Self:
        try:
            NameTemplate.parse(self.type, self.subject, self.subject_alternative_names)
            DeviceNamePattern.parse(self.device_name_pattern)
        except Refusal as refusal:
            raise ValueError(f"{refusal.detail}. {refusal.advice}") from refusal
        return self


class AccountDeclaration(_Declared):
    """A web form account. `access_code` is stored as a keyed digest only."""

    name: AccountName
    organization: Name
    department: Name | None = None
    profiles: list[Name] = Field(min_length=1)
    authorization: Authorization = Authorization.NONE
    access_code: AccessCode | None = None
    automatic_approval: bool = True

    @model_validator(mode="after")
    def _code_where_asked(self) -> Self:
        if (self.authorization is Authorization.ACCESS_CODE) != (self.access_code is not None):
            raise ValueError("give access_code exactly when authorization is access_code")
        return self


class FormDeclaration(_Declared):
    """An enrollment form. Without `uri_extension` one is made at the first apply and kept."""

    name: Name
    type: CertificateType
    uri_extension: UriExtension | None = None
    methods: list[SignInMethod] = Field(default_factory=lambda: [SignInMethod.EMAIL], min_length=1)
    help_text: Annotated[str, StringConstraints(max_length=2048)] = ""
    help_link: WebAddress | None = None
    accounts: list[AccountDeclaration] = Field(default_factory=list)

    @model_validator(mode="after")
    def _secret_id_for_persons(self) -> Self:
        if SignInMethod.SECRET_ID in self.methods and self.type is not CertificateType.CLIENT:
            raise ValueError("Secret ID is for client forms only")
        return self


class RegistrationTokenDeclaration(_Declared):
    """A token with which machines register. Stored as a keyed digest only."""

    name: Name
    token: Annotated[str, StringConstraints(min_length=16, max_length=128)]
    organization: Name
    owner: str | None = Field(None, max_length=254)


class LicenceDeclaration(_Declared):
    """The terms that a person accepts."""

    version: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Declaration(_Declared):
    """A whole set-up file. What it does not mention stays as it is."""

    organizations: list[OrganizationDeclaration] = Field(default_factory=list)
    licence: LicenceDeclaration | None = None
    profiles: list[ProfileDeclaration] = Field(default_factory=list)
    forms: list[FormDeclaration] = Field(default_factory=list)
    registration_tokens: list[RegistrationTokenDeclaration] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("organization", [o.name for o in self.organizations]),
            ("profile", [p.name for p in self.profiles]),
            ("form", [f.name for f in self.forms]),
            ("registration token", [t.name for t in self.registration_tokens]),
            *((f"account of form “{f.name}”", [a.name for a in f.accounts]) for f in self.forms),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{what} declared twice: {', '.join(sorted(twice))}")
        return self
