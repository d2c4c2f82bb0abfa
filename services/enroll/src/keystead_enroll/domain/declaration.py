"""The set-up that an administrator declares in one file: what it may say, before it meets the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from keystead_contracts.base import CertificateType, UriExtension
from keystead_contracts.people import AdministratorMethod, IdentityProviderKind
from keystead_enroll.domain.administration import Role
from keystead_enroll.domain.enrollment import Authorization
from keystead_enroll.domain.enrollment_inputs import AccountFields, FormFields, ProfileFields
from keystead_enroll.domain.inputs import Domain, GroupName, HomeOrganization, Name, at_odds, storable
from keystead_enroll.domain.people_inputs import (
    AttributeName,
    Email,
    IdentityProviderInput,
    Metadata,
    PersonName,
    SecretName,
    SecureAddress,
    SigningCertificate,
    line_feeds,
)
from keystead_enroll.domain.refusals import Mistake
from keystead_enroll.domain.registration_tokens import MOST_DEVICES


class Lines(Protocol):
    """Where in its file an entry stands."""

    def line_of(self, *path: str | int) -> int:
        """The line of what `path` leads to."""
        ...


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    _lines: Lines | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _keeps_its_lines(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        declared = handler(data)
        declared._lines = data if hasattr(data, "line_of") else None
        return declared

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return storable(value)

    def line(self, *path: str | int) -> int | None:
        """Where the file says what `path` leads to; None if this was not read from a file."""
        return self._lines.line_of(*path) if self._lines else None


class DepartmentDeclaration(_Declared):
    """A department. What of it is not mentioned stays as it is; a name alone stands for one of which nothing else is
    said."""

    name: Name
    email_domains: list[Domain] = Field(default_factory=list)
    dns_domains: list[Domain] = Field(default_factory=list)
    home_organization: HomeOrganization | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class OrganizationDeclaration(_Declared):
    """An organization, its departments, and the domains delegated to it (`email_is_delegated` says what an e-mail
    domain with `*.` stands for). `home_organization` is what identity providers send for it."""

    name: Name
    email_domains: list[Domain] = Field(default_factory=list)
    dns_domains: list[Domain] = Field(default_factory=list)
    home_organization: HomeOrganization | None = None
    departments: list[DepartmentDeclaration] = Field(default_factory=list)


class ProfileDeclaration(ProfileFields, _Declared):
    """A certificate profile. `organizations`: whose accounts may use it, empty for all."""

    type: CertificateType
    organizations: list[Name] = Field(default_factory=list)

    @property
    def kind(self) -> CertificateType:
        """The certificate type."""
        return self.type


class AccountDeclaration(AccountFields, _Declared):
    """A web form account."""

    organization: Name
    department: Name | None = None
    profiles: list[Name] = Field(min_length=1)

    @model_validator(mode="after")
    def _code_where_asked(self) -> Self:
        if self.authorization is Authorization.ACCESS_CODE and self.access_code is None:
            raise at_odds("asks for an access_code, and there is none", "authorization", "access_code")
        return self


class FormDeclaration(FormFields, _Declared):
    """An enrollment form. Without `uri_extension` one is made at the first apply and kept. `organizations`: whose
    accounts it may have, empty for all; forms for different ones may have the same name."""

    type: CertificateType
    uri_extension: UriExtension | None = None
    organizations: list[Name] = Field(default_factory=list)
    accounts: list[AccountDeclaration] = Field(default_factory=list)

    @property
    def kind(self) -> CertificateType:
        """The certificate type."""
        return self.type


def _in_utc(value: datetime) -> datetime:
    """What names no zone is UTC."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class RegistrationTokenDeclaration(_Declared):
    """A token with which machines register. Stored as a keyed digest only. `group` is what its devices are; at most
    `most_devices` register with it, before `expires_at`."""

    name: Name
    token: Annotated[str, StringConstraints(min_length=16, max_length=128)]
    organization: Name
    owner: str | None = Field(None, max_length=254)
    group: GroupName = ""
    most_devices: int | None = Field(None, ge=1, le=MOST_DEVICES)
    expires_at: Annotated[datetime, AfterValidator(_in_utc)] | None = None


class GrantDeclaration(_Declared):
    """A role in a place, by name: mrao without one, rao of an organization, drao of a department of it."""

    role: Role
    organization: Name | None = None
    department: Name | None = None
    types: list[CertificateType] = Field(default_factory=lambda: list(CertificateType), min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wanted = {Role.MRAO: (False, False), Role.RAO: (True, False), Role.DRAO: (True, True)}[self.role]
        if (self.organization is not None, self.department is not None) != wanted:
            raise at_odds("mrao has no place, rao an organization, drao an organization and a department", "role")
        return self


class AdministratorDeclaration(_Declared):
    """An administrator. One who is new and signs in with a password is invited."""

    name: PersonName
    email: Email
    methods: list[AdministratorMethod] = Field(
        default_factory=lambda: [AdministratorMethod.PASSWORD], min_length=1, max_length=2
    )
    grants: list[GrantDeclaration] = Field(min_length=1)


class IdentityProviderDeclaration(_Declared):
    """An identity provider; `IdentityProviderInput` says what fits together. `organizations`: whom it may speak for, by
    name, empty for all."""

    name: Name
    kind: IdentityProviderKind
    metadata_url: SecureAddress | None = None
    metadata_xml: Metadata | None = None
    metadata_certificate: SigningCertificate | None = None
    issuer: SecureAddress | None = None
    client_id: str | None = None
    client_secret_name: SecretName | None = None
    attributes: dict[str, AttributeName] = Field(default_factory=dict)
    organizations: list[Name] = Field(default_factory=list)
    for_persons: bool = True
    for_administrators: bool = False
    idp_initiated: bool = False

    @field_validator("metadata_xml", "metadata_certificate", mode="before")
    @classmethod
    def _line_feeds(cls, value: object) -> object:
        return line_feeds(value)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        try:
            IdentityProviderInput.model_validate(self.model_dump(exclude={"organizations"}))
        except ValidationError as error:
            mistake = error.errors(include_url=False, include_input=False)[0]
            context = mistake.get("ctx", {})
            fields = context.get("fields") or [step for step in mistake["loc"][:1] if isinstance(step, str)]
            raise at_odds(str(context.get("words") or mistake["msg"]), *fields) from error
        return self


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
    administrators: list[AdministratorDeclaration] = Field(default_factory=list)
    identity_providers: list[IdentityProviderDeclaration] = Field(default_factory=list)

    def repeated_names(self) -> list[Mistake]:
        """Entries of one kind with the name of an earlier one."""
        return [
            *_repeated("organization", self.organizations),
            *_repeated("profile", self.profiles),
            *_repeated("form", [form for form in self.forms if not form.organizations]),
            *(
                mistake
                for place in dict.fromkeys(place for form in self.forms for place in form.organizations)
                for mistake in _repeated(
                    "form",
                    [form for form in self.forms if place in form.organizations],
                    f" of organization “{place}”",
                )
            ),
            *(
                mistake
                for place in dict.fromkeys(token.organization for token in self.registration_tokens)
                for mistake in _repeated(
                    "registration token",
                    [token for token in self.registration_tokens if token.organization == place],
                    f" of organization “{place}”",
                )
            ),
            *_repeated("identity provider", self.identity_providers),
            *_repeated("administrator", self.administrators, by="email"),
            *(
                mistake
                for f in self.forms
                for place in dict.fromkeys(account.organization for account in f.accounts)
                for mistake in _repeated(
                    "account",
                    [account for account in f.accounts if account.organization == place],
                    f" of form “{f.name}”",
                )
            ),
            *(
                mistake
                for o in self.organizations
                for mistake in _repeated("department", o.departments, f" of organization “{o.name}”")
            ),
        ]


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    def line(self, *path: str | int) -> int | None: ...


def _repeated(kind: str, entries: Iterable[_Named], where: str = "", by: str = "name") -> Iterable[Mistake]:
    seen: dict[str, _Named] = {}
    for entry in entries:
        name = getattr(entry, by)
        first = seen.setdefault(name, entry)
        if first is not entry:
            before = f"; the first is on line {first.line(by)}" if first.line(by) else ""
            yield Mistake(entry.line(by), f"{kind} “{name}”{where} is declared twice{before}")
