"""auth's settings: `KEYSTEAD_AUTH_<NAME>`, or the TOML file that `KEYSTEAD_AUTH_SETTINGS` names."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from pydantic import DirectoryPath, Field, FilePath, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from keystead_auth.adapters.saml_keys import SamlKey
from keystead_auth.domain.administrators import Rules
from keystead_kit.ratelimit import RateLimit
from keystead_kit.setting_types import MAKE_KEY, DevelopmentMailbox, RandomKey, TokenKeyFile, in_production
from keystead_kit.settings import ServiceSettings

_TOKEN_KEY = "P-256 private key of identity tokens, PEM; make one: keystead-auth keys"  # noqa: S105 words, not a secret
_SAML = "make both: keystead-auth saml-key"
_TOTP_KEY = f"key of administrators' authenticator secrets, 32 characters or more; {MAKE_KEY}"
_COOKIE_KEY = f"key of form tokens, 32 characters or more; {MAKE_KEY}"


class AuthSettings(ServiceSettings):
    """What every process of auth needs. The worker needs no key."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_AUTH_")

    token_key_file: TokenKeyFile | None = Field(None, description=_TOKEN_KEY)
    cookie_key: RandomKey | None = Field(None, description=_COOKIE_KEY)
    totp_key: RandomKey | None = Field(None, description=_TOTP_KEY)
    administrator_second_factor: Literal["required", "optional"] = Field(
        "required", description="whether administrators with a password need an authenticator; optional in development"
    )
    limit_secret_per_client: RateLimit = Field("50/15 minutes", description="wrong passwords or Secret IDs")
    limit_secret_per_owner: RateLimit = Field("10/15 minutes", description="tries at somebody's password or Secret ID")
    limit_code_per_administrator: RateLimit = Field("10/15 minutes", description="tries at one-time codes")
    link_minutes: int = Field(15, ge=1, le=60, description="how long a sign-in link works")
    session_hours: float = Field(8, gt=0, le=24, description="how long a session lasts")
    limit_sign_in_per_client: RateLimit = "60/15 minutes"
    limit_sign_in_per_email: RateLimit = "5/15 minutes"
    limit_sign_in_per_form: RateLimit = Field("300/15 minutes", description="beyond it the log warns, no more")
    limit_confirm_per_client: RateLimit = Field("120/15 minutes", description="sign-in links that do not exist")
    limit_idp_per_client: RateLimit = Field("300/15 minutes", description="sign-ins that go to identity providers")
    saml_key_file: FilePath | None = Field(None, description=f"our RSA key for SAML, PEM; {_SAML}")
    saml_certificate_file: FilePath | None = Field(None, description=f"its certificate, PEM; {_SAML}")
    saml_next_key_file: FilePath | None = Field(None, description="the key that is to follow: it decrypts already")
    saml_next_certificate_file: FilePath | None = Field(None, description="its certificate: it is told already")
    oidc_secrets: DirectoryPath | None = Field(None, description="folder of client secrets of OpenID providers")
    idp_networks: str = Field("", description="private networks with identity providers: 10.1.0.0/16, fd00::/8")
    mailbox_url: DevelopmentMailbox | None = Field(None, description="the development mailbox, for 'check your mail'")

    @field_validator("administrator_second_factor")
    @classmethod
    def _required_in_production(cls, value: str, info: ValidationInfo) -> str:
        if value == "optional" and in_production(info):
            raise ValueError("must be required in production mode")
        return value

    @field_validator("idp_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in value.split(","):
            if part.strip():
                ip_network(part.strip())
        return value

    @model_validator(mode="after")
    def _pairs(self) -> AuthSettings:
        for key, certificate in self._saml_files():
            if (key is None) != (certificate is None):
                raise ValueError("a SAML key and its certificate are set together, or neither is")
        if self.saml_next_key_file is not None and self.saml_key_file is None:
            raise ValueError("SAML_NEXT_KEY_FILE follows a SAML_KEY_FILE, which is missing")
        try:
            _ = self.saml_keys
        except OSError as error:
            raise ValueError(f"a SAML key or certificate cannot be read: {error.strerror}") from error
        return self

    def _saml_files(self) -> tuple[tuple[FilePath | None, FilePath | None], ...]:
        return (
            (self.saml_key_file, self.saml_certificate_file),
            (self.saml_next_key_file, self.saml_next_certificate_file),
        )

    @property
    def saml_keys(self) -> tuple[SamlKey, ...]:
        """Our SAML keys, the current one first; none if SAML is not set up. Raises ValueError or OSError."""
        return tuple(
            SamlKey.from_files(key, certificate) for key, certificate in self._saml_files() if key and certificate
        )

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Private networks in which identity providers may be."""
        return tuple(ip_network(part.strip()) for part in self.idp_networks.split(",") if part.strip())

    @property
    def rules(self) -> Rules:
        """How administrators sign in."""
        return Rules(second_factor_required=self.administrator_second_factor == "required")

    @property
    def link_lifetime(self) -> timedelta:
        """How long a sign-in link works, from the request."""
        return timedelta(minutes=self.link_minutes)

    @property
    def session_lifetime(self) -> timedelta:
        """How long a session lasts, from the sign-in."""
        return timedelta(hours=self.session_hours)


class AuthWebSettings(AuthSettings):
    """What the web process needs: the keys too."""

    token_key_file: TokenKeyFile = Field(description=_TOKEN_KEY)
    cookie_key: RandomKey = Field(description=_COOKIE_KEY)
    totp_key: RandomKey = Field(description=_TOTP_KEY)
