"""What administrators send about persons, administrators and identity providers; see `domain.inputs`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from keystead_contracts.identity import ATTRIBUTES
from keystead_contracts.people import AdministratorMethod, IdentityProviderKind
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.inputs import GrantInput, Input, Name, at_odds, one_line, words_of
from keystead_enroll.domain.names import check_email, check_upn
from keystead_enroll.domain.saml_metadata import check_metadata

LEAST_SECRET_ID, MOST_SECRET_ID = 8, 128
MOST_METADATA = 262_144
MOST_CERTIFICATE = 16_384
LEAST_RSA_BITS = 2048
_DOCTYPE = re.compile(r"<!\s*doctype", re.IGNORECASE)


def _accepted(check: Callable[[str], str]) -> Callable[[str], str]:
    def checked(value: str) -> str:
        try:
            return check(value)
        except Refusal as refusal:
            raise ValueError(words_of(refusal)) from refusal

    return checked


def _without_doctype(value: str) -> str:
    if _DOCTYPE.search(value):
        raise ValueError(Words("has a document type declaration (DOCTYPE), which metadata never needs"))
    return value


def _signing_certificate(value: str) -> str:
    """One certificate in PEM whose key is strong enough to sign with."""
    try:
        [certificate] = x509.load_pem_x509_certificates(value.encode())
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(Words("is no certificate in PEM, with BEGIN CERTIFICATE and END CERTIFICATE")) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) and not (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS
    ):
        raise ValueError(Words("has a key that is too weak: RSA with 2048 bits or a NIST curve is needed"))
    return value


def line_feeds(value: object) -> object:
    """A text with line feeds alone, as XML's readers see it (XML 1.0 section 2.11)."""
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value


Email = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, max_length=254), AfterValidator(_accepted(check_email))
]
Upn = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_accepted(check_upn))]
PersonName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256), AfterValidator(one_line)
]
SecretId = Annotated[str, StringConstraints(min_length=LEAST_SECRET_ID, max_length=MOST_SECRET_ID)]
Id = Annotated[str, StringConstraints(max_length=32)]
SecureAddress = Annotated[str, StringConstraints(pattern=r"^https://[^\s/@]+(/\S*)?$", max_length=2048)]
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,128}$")]
Metadata = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MOST_METADATA),
    AfterValidator(_without_doctype),
    AfterValidator(_accepted(check_metadata)),
]
SigningCertificate = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MOST_CERTIFICATE), AfterValidator(_signing_certificate)
]
AttributeName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]


class PersonInput(Input):
    """A person of an organization. The Secret ID is taken and never shown; left out it stays as it is, null takes it
    away."""

    organization_id: Id
    department_id: Id | None = None
    email: Email
    name: PersonName
    upn: Upn | None = None
    secret_id: SecretId | None = Field(None, json_schema_extra={"writeOnly": True})


class InvitationInput(Input):
    """Which form a person is invited to."""

    form_id: Id


class AdministratorInput(Input):
    """An administrator, how they sign in, and what they may do. One who is not active can do nothing."""

    email: Email
    name: PersonName
    methods: list[AdministratorMethod] = Field(
        default_factory=lambda: [AdministratorMethod.PASSWORD], min_length=1, max_length=2
    )
    grants: list[GrantInput] = Field(min_length=1, max_length=100)
    active: bool = True


class IdentityProviderInput(Input):
    """An identity provider: SAML with the address or the text of its metadata, or OpenID Connect with issuer, client id
    and the name under which auth keeps the client secret. `attributes`: field → what this provider calls it.
    `organization_ids`: whom it may speak for, empty for all; 40 at most, unless it has more already."""

    name: Name
    kind: IdentityProviderKind
    metadata_url: SecureAddress | None = None
    metadata_xml: Metadata | None = None
    metadata_certificate: SigningCertificate | None = None
    issuer: SecureAddress | None = None
    client_id: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)] | None = None
    client_secret_name: SecretName | None = None
    attributes: dict[str, AttributeName] = Field(default_factory=dict, max_length=len(ATTRIBUTES))
    organization_ids: list[Id] = Field(default_factory=list, max_length=1000)
    for_persons: bool = True
    for_administrators: bool = False
    idp_initiated: bool = False
    active: bool = True

    @field_validator("metadata_xml", "metadata_certificate", mode="before")
    @classmethod
    def _line_feeds(cls, value: object) -> object:
        return line_feeds(value)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        for name in self.attributes:
            if name not in ATTRIBUTES:
                raise at_odds(
                    Words("has “{name}”; the fields are {names}", name=name[:64], names=", ".join(ATTRIBUTES)),
                    "attributes",
                )
        oidc = {name: getattr(self, name) for name in ("issuer", "client_id", "client_secret_name")}
        if self.kind is IdentityProviderKind.SAML:
            if (self.metadata_url is None) == (self.metadata_xml is None):
                raise at_odds(Words("Give either the metadata's address or its text"), "metadata_url", "metadata_xml")
            if self.metadata_certificate is not None and self.metadata_url is None:
                raise at_odds(Words("goes with the metadata's address"), "metadata_certificate")
            for name, value in oidc.items():
                if value is not None:
                    raise at_odds(Words("is for OpenID Connect only"), name)
            return self
        for name, value in oidc.items():
            if value is None:
                raise at_odds(Words("is needed for OpenID Connect"), name)
        for name in ("metadata_url", "metadata_xml", "metadata_certificate"):
            if getattr(self, name) is not None:
                raise at_odds(Words("is for SAML only"), name)
        if self.idp_initiated:
            raise at_odds(Words("is for SAML only"), "idp_initiated")
        return self
