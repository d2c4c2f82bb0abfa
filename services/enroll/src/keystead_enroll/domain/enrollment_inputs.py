"""What administrators say of profiles, forms and accounts: the fields that a set-up file, the console and the API
share, and the inputs of the latter two."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, field_validator, model_validator

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_contracts.identity import ATTRIBUTES, SignInMethod
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.certificates import ALLOWED_EXTENDED_KEY_USAGES, DEFAULT_EXTENDED_KEY_USAGES
from keystead_enroll.domain.device_name_pattern import DeviceNamePattern
from keystead_enroll.domain.enrollment import Authorization, CsrGenerationMethod, usual_scope
from keystead_enroll.domain.idp_mapping import MatchType
from keystead_enroll.domain.inputs import AccessCode, AccountName, Input, Name, WebAddress, at_odds, words_of
from keystead_enroll.domain.key_usages import KeyUsage, key_usage_mistake
from keystead_enroll.domain.name_templates import NameTemplate
from keystead_enroll.domain.people_inputs import Email, PersonName


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _falling(days: list[int]) -> list[int]:
    return sorted(set(days), reverse=True)


Group = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]
PolicyOid = Annotated[str, StringConstraints(pattern=r"^[0-2](\.\d+)+$", max_length=256)]
Id = Annotated[str, StringConstraints(max_length=32)]


class ProfileFields(BaseModel):
    """What is said of a certificate profile wherever it is said."""

    name: Name
    description: str = Field("", max_length=2048)
    key_algorithms: Annotated[list[KeyAlgorithm], AfterValidator(_once)] = Field(min_length=1, max_length=20)
    term_days: list[Annotated[int, Field(ge=1, le=3650)]] = Field(min_length=1, max_length=20)
    subject: str = Field(max_length=2048)
    subject_alternative_names: list[Annotated[str, Field(max_length=2048)]] = Field(
        default_factory=list, max_length=100
    )
    key_usages: Annotated[list[KeyUsage], AfterValidator(_once)] = Field(
        default_factory=list, max_length=20, description="what keys may do; without any, digitalSignature"
    )
    extended_key_usages: Annotated[list[str], AfterValidator(_once)] = Field(default_factory=list, max_length=20)
    minimum_assurance: AssuranceLevel = AssuranceLevel.CLAIMED
    scope: CertificateScope | None = Field(
        None, description="whose SSL certificates are; if it is left out, of whoever opens the link"
    )
    device_name_pattern: str = ""
    renewal_window_days: int = Field(30, ge=1, le=3650)
    policy_oids: Annotated[list[PolicyOid], AfterValidator(_once)] = Field(default_factory=list, max_length=20)
    idp_groups: Annotated[list[Group], AfterValidator(_once)] = Field(default_factory=list, max_length=200)
    notice_days: Annotated[list[Annotated[int, Field(ge=1, le=365)]], AfterValidator(_falling)] = Field(
        default_factory=lambda: [30, 14, 7, 1], max_length=20
    )
    connector: Literal["builtin"] = "builtin"
    active: bool = True

    @property
    def kind(self) -> CertificateType:
        """The certificate type, which a set-up file names otherwise than the API."""
        raise NotImplementedError

    @field_validator("device_name_pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            DeviceNamePattern.parse(value)
        except Refusal as refusal:
            raise ValueError(words_of(refusal)) from refusal
        return value

    @model_validator(mode="after")
    def _parses(self) -> Self:
        for field, subject, names in (
            ("subject", self.subject, []),
            ("subject_alternative_names", "CN=any", self.subject_alternative_names),
        ):
            try:
                if subject.strip() or not self.subject_alternative_names:
                    NameTemplate.parse(self.kind, subject, names)
            except Refusal as refusal:
                raise at_odds(words_of(refusal), field) from refusal
        allowed = ALLOWED_EXTENDED_KEY_USAGES[self.kind]
        strangers = [usage for usage in self.extended_key_usages if usage not in allowed]
        if strangers:
            raise at_odds(
                Words(
                    "has {usage}, and {kind} certificates may have {allowed}",
                    usage=strangers[0][:80],
                    kind=self.kind.value,
                    allowed=", ".join(allowed),
                ),
                "extended_key_usages",
            )
        purposes = self.extended_key_usages or DEFAULT_EXTENDED_KEY_USAGES[self.kind]
        unfit = key_usage_mistake(self.kind, self.key_algorithms, purposes, self.key_usages)
        if unfit:
            raise at_odds(unfit, "key_usages")
        if self.scope not in (None, usual_scope(self.kind)) and self.kind is not CertificateType.SSL:
            raise at_odds(
                Words(
                    "is {scope}, and {kind} certificates are always {usual}",
                    scope=self.scope.value,
                    kind=self.kind.value,
                    usual=usual_scope(self.kind).value,
                ),
                "scope",
            )
        return self


class ProfileInput(ProfileFields, Input):
    """A certificate profile. `organization_ids`: whose accounts may use it, empty for all."""

    certificate_type: CertificateType
    organization_ids: Annotated[list[Id], AfterValidator(_once)] = Field(default_factory=list, max_length=1000)

    @property
    def kind(self) -> CertificateType:
        """The certificate type."""
        return self.certificate_type


class FormFields(BaseModel):
    """What is said of an enrollment form wherever it is said."""

    name: Name
    methods: Annotated[list[SignInMethod], AfterValidator(_once)] = Field(
        default_factory=lambda: [SignInMethod.EMAIL], min_length=1, max_length=10
    )
    help_text: Annotated[str, StringConstraints(max_length=2048)] = ""
    help_link: WebAddress | None = None
    active: bool = True

    @property
    def kind(self) -> CertificateType:
        """The certificate type, which a set-up file names otherwise than the API."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _secret_id_for_persons(self) -> Self:
        if SignInMethod.SECRET_ID in self.methods and self.kind is not CertificateType.CLIENT:
            raise at_odds(Words("Secret ID is for client forms only"), "methods")
        return self


class FormInput(FormFields, Input):
    """An enrollment form. `organization_ids`: whose accounts it may have, empty for all. Its address is generated."""

    certificate_type: CertificateType
    organization_ids: Annotated[list[Id], AfterValidator(_once)] = Field(default_factory=list, max_length=1000)

    @property
    def kind(self) -> CertificateType:
        """The certificate type."""
        return self.certificate_type


class IdpRuleInput(Input):
    """One rule over what the identity provider says: `key` has a value that is one of `values` as a whole (MATCHES), or
    has one of them in it (CONTAINS)."""

    key: Literal[ATTRIBUTES]  # type: ignore[valid-type]
    match_type: MatchType = MatchType.MATCHES
    values: Annotated[list[Group], AfterValidator(_once)] = Field(min_length=1, max_length=100)


class AccountFields(BaseModel):
    """What is said of a web form account wherever it is said. `access_code` is stored as a keyed digest only."""

    name: AccountName
    csr_method: CsrGenerationMethod = CsrGenerationMethod.AGENT
    authorization: Authorization = Authorization.NONE
    access_code: AccessCode | None = Field(None, json_schema_extra={"writeOnly": True})
    idp_rules: list[IdpRuleInput] = Field(default_factory=list, max_length=50)
    automatic_approval: bool = True
    active: bool = True

    @model_validator(mode="after")
    def _said_where_asked(self) -> Self:
        if self.authorization is not Authorization.ACCESS_CODE and self.access_code is not None:
            raise at_odds(Words("is asked for only with “authorization: access_code”"), "access_code", "authorization")
        mapping = self.authorization is Authorization.IDP_MAPPING
        if mapping and not self.idp_rules:
            raise at_odds(Words("asks for idp_rules, and there are none"), "authorization", "idp_rules")
        if not mapping and self.idp_rules:
            raise at_odds(Words("are asked only with “authorization: idp_mapping”"), "idp_rules", "authorization")
        return self

    @property
    def plain_rules(self) -> list[dict[str, object]]:
        """The rules as they are stored."""
        return [rule.model_dump(mode="json") for rule in self.idp_rules]


class AccountInput(AccountFields, Input):
    """A web form account. Without `access_code` an account that has a code keeps it; none can be read back."""

    form_id: Id
    organization_id: Id
    department_id: Id | None = None
    profile_ids: Annotated[list[Id], AfterValidator(_once)] = Field(min_length=1, max_length=100)


class LicenceInput(Input):
    """A new version of the licence terms, which becomes the one that persons accept."""

    version: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100_000)]


class TrialInput(Input):
    """Somebody who might come to a form: how they would sign in, what an identity provider would say of them
    (`attributes`: field → values), and what they would type into a request."""

    method: SignInMethod
    email: Email
    name: PersonName | None = None
    identity_provider_id: Id | None = None
    attributes: dict[str, Annotated[list[Group], Field(max_length=100)]] = Field(
        default_factory=dict, max_length=len(ATTRIBUTES)
    )
    device_name: str = Field("", max_length=256)
    serial_number: str = Field("", max_length=256)
    dns_names: str = Field("", max_length=4096)

    @field_validator("attributes")
    @classmethod
    def _known(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        strange = next((name for name in value if name not in ATTRIBUTES), None)
        if strange is not None:
            raise ValueError(
                Words("has “{name}”; the fields are {names}", name=strange[:64], names=", ".join(ATTRIBUTES))
            )
        return value
