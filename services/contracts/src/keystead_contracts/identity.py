"""What auth says about a person: the claims of the signed identity token (ES256 JWT, RFC 7519)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from keystead_contracts.base import EmailAddress, Message, PlainText, UriExtension
from keystead_contracts.people import AdministratorMethod

IDENTITY_ISSUER = "keystead-auth"
IDENTITY_AUDIENCE = "keystead-enroll"
ADMINISTRATOR_AUDIENCE = "keystead-console"
ATTRIBUTES = (
    "cn", "displayname", "entitlement", "eppn", "givenname", "groups", "mail", "schachomeorganization", "sn", "uid",
)  # fmt: skip
"""What an identity provider may say of a person, under the names of the field whatever it calls them itself."""


class SignInMethod(StrEnum):
    """An authentication type of an enrollment form."""

    EMAIL = "email"
    IDP = "idp"
    SECRET_ID = "secret_id"  # noqa: S105 the name of a method, not a secret


class IdentityClaims(Message):
    """The payload of the identity token. `iat` and `exp` are NumericDate seconds (RFC 7519 section 4.1).

    `sub` is the e-mail address, lower case; `form` is the one enrollment form that the token opens;
    `jti` is single use: enroll refuses a second sight of it.
    """

    iss: str = IDENTITY_ISSUER
    aud: str = IDENTITY_AUDIENCE
    sub: EmailAddress
    jti: Annotated[str, Field(min_length=16, max_length=64)]
    iat: int
    exp: int
    form: UriExtension
    method: SignInMethod
    name: Annotated[PlainText, Field(max_length=256)] | None = None
    attributes: dict[str, list[str]] = Field(default_factory=dict)
    """Names of `ATTRIBUTES` → values, as the identity provider sent them. Empty for other methods."""
    attributes_cut: list[str] = Field(default_factory=list)
    """Names of `ATTRIBUTES` of which the provider sent more values than could be told: whether what is not among
    `attributes` was sent is not known."""
    identity_provider: str | None = None
    """The id of the provider that vouched for the person."""
    identity_provider_organizations: list[str] = Field(default_factory=list)
    """The organizations that it may speak for, empty for all."""
    persons: list[str] = Field(default_factory=list)
    """Ids of the Persons whose Secret ID was given."""


class AdministratorClaims(Message):
    """The payload of the token with which an administrator comes to the console. `sub` is the administrator's id;
    `jti` is single use; `second_factor` says whether more than a password was shown; `session` is the sign-in that it
    comes from, for as long as that lasts."""

    iss: str = IDENTITY_ISSUER
    aud: str = ADMINISTRATOR_AUDIENCE
    sub: str
    email: EmailAddress
    jti: Annotated[str, Field(min_length=16, max_length=64)]
    iat: int
    exp: int
    method: AdministratorMethod
    second_factor: bool = False
    session: Annotated[str, Field(max_length=32)] = ""
