"""What an administrator sets up: organizations, certificate profiles, enrollment forms, web form accounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keystead_contracts.base import AssuranceLevel, CertificateScope, CertificateType, KeyAlgorithm
from keystead_contracts.delegation import email_is_delegated
from keystead_contracts.identity import SignInMethod
from keystead_enroll.domain.key_usages import KeyUsage


class Authorization(StrEnum):
    """What a web form account asks of a signed-in person, beside who they are."""

    NONE = "none"
    ACCESS_CODE = "access_code"
    IDP_MAPPING = "idp_mapping"


class CsrGenerationMethod(StrEnum):
    """Who makes the key and the certificate signing request."""

    AGENT = "keystead_agent"
    PROVIDED = "provided_csr"


def usual_scope(certificate_type: CertificateType) -> CertificateScope:
    """Whose a certificate of this type is if nothing is said: a device's is the computer's."""
    return CertificateScope.MACHINE if certificate_type is CertificateType.DEVICE else CertificateScope.USER


@dataclass(eq=False)
class Organization:
    """A customer of the CA. `email_domains` and `dns_domains` are delegated to it."""

    id: str
    name: str
    email_domains: list[str] = field(default_factory=list)
    dns_domains: list[str] = field(default_factory=list)
    home_organization: str | None = None
    """What identity providers send as `schacHomeOrganization` for it."""
    created_at: datetime | None = None

    def owns_email(self, email: str) -> bool:
        """Whether the address's domain is delegated to this organization."""
        return email_is_delegated(email, self.email_domains)


@dataclass(eq=False)
class Department:
    """A part of an organization. Domains of its own narrow those of the organization for its accounts."""

    id: str
    organization_id: str
    name: str
    email_domains: list[str] = field(default_factory=list)
    dns_domains: list[str] = field(default_factory=list)
    home_organization: str | None = None
    created_at: datetime | None = None


@dataclass(eq=False)
class CertificateProfile:
    """What a certificate will be: type, keys, terms, names, demanded proof of key residency."""

    id: str
    name: str
    description: str
    certificate_type: CertificateType
    key_algorithms: list[KeyAlgorithm]
    term_days: list[int]
    subject: str
    subject_alternative_names: list[str]
    minimum_assurance: AssuranceLevel = AssuranceLevel.CLAIMED
    device_name_pattern: str = ""
    renewal_window_days: int = 30
    policy_oids: list[str] = field(default_factory=list)
    extended_key_usages: list[str] = field(default_factory=list)
    """Names of `domain.certificates`' extended key usages; empty for those that the type has by itself."""
    key_usages: list[KeyUsage] = field(default_factory=list)
    """What its keys may do; empty for `DEFAULT_KEY_USAGES`."""
    scope: CertificateScope | None = None
    """Whose its certificates are on the machine that has them; None if the profile does not say (`usual_scope`)."""
    idp_groups: list[str] = field(default_factory=list)
    """Groups an identity provider must name one of; empty for anybody."""
    organization_ids: list[str] = field(default_factory=list)
    """Whose accounts may use it; empty for all."""
    notice_days: list[int] = field(default_factory=lambda: [30, 14, 7, 1])
    """How many days before a certificate's end its owner gets a letter."""
    connector: str = "builtin"
    active: bool = True
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.key_algorithms or not self.term_days:
            raise ValueError("a profile allows at least one key algorithm and one term")


@dataclass(eq=False)
class WebFormAccount:
    """A way through an enrollment form: for one organization, with these profiles and this authorization."""

    id: str
    form_id: str
    name: str
    organization_id: str
    department_id: str | None
    profile_ids: list[str]
    csr_method: CsrGenerationMethod = CsrGenerationMethod.AGENT
    authorization: Authorization = Authorization.NONE
    access_code_digest: str | None = None
    automatic_approval: bool = True
    idp_rules: list[dict[str, object]] = field(default_factory=list)
    active: bool = True
    created_at: datetime | None = None

    @property
    def has_access_code(self) -> bool:
        """Whether a code is set; none can be read back."""
        return self.access_code_digest is not None


@dataclass(eq=False)
class EnrollmentForm:
    """A published page for one certificate type, at `/e/<uri_extension>`."""

    id: str
    name: str
    certificate_type: CertificateType
    uri_extension: str
    methods: list[SignInMethod]
    help_text: str = ""
    help_link: str | None = None
    version: int = 1
    published: dict[str, object] = field(default_factory=dict)
    organization_ids: list[str] = field(default_factory=list)
    """Whose accounts it may have; empty for all."""
    active: bool = True
    created_at: datetime | None = None


@dataclass(eq=False)
class LicenceTerms:
    """The text a person accepts with a request."""

    version: str
    text: str
    current: bool = True
    published_at: datetime | None = None
