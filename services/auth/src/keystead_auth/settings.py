"""auth's settings: `KEYSTEAD_AUTH_<NAME>`, or the TOML file that `KEYSTEAD_AUTH_SETTINGS` names."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from limits import parse
from pydantic import (
    AfterValidator,
    Field,
    FilePath,
    HttpUrl,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from keystead_kit.settings import Mode, ServiceSettings

LEAST_DISTINCT_CHARACTERS = 10


def _limit(text: str) -> str:
    try:
        parse(text)
    except ValueError as error:
        raise ValueError('must be a number and a time, such as "20/15 minutes"') from error
    return text


Limit = Annotated[str, AfterValidator(_limit)]


class AuthSettings(ServiceSettings):
    """What every process of auth needs. The worker needs no key."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_AUTH_")

    token_key_file: FilePath | None = Field(None, description="P-256 private key (PKCS#8 PEM) of identity tokens")
    cookie_key: SecretStr | None = Field(None, min_length=32, description="key of form tokens, 32 characters or more")
    link_minutes: int = Field(15, ge=1, le=60, description="how long a sign-in link works")
    session_hours: float = Field(8, gt=0, le=24, description="how long a session lasts")
    limit_sign_in_per_client: Limit = "60/15 minutes"
    limit_sign_in_per_email: Limit = "5/15 minutes"
    limit_sign_in_per_form: Limit = "300/15 minutes"
    limit_confirm_per_client: Limit = "120/15 minutes"
    mailbox_url: HttpUrl | None = Field(None, description="the development mailbox, linked from 'check your mail'")

    @field_validator("cookie_key")
    @classmethod
    def _random_in_production(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        weak = value is not None and len(set(value.get_secret_value())) < LEAST_DISTINCT_CHARACTERS
        if weak and info.data.get("mode") is Mode.PRODUCTION:
            raise ValueError("must be random, such as the output of `openssl rand -hex 32`")
        return value

    @model_validator(mode="after")
    def _no_doubles_in_production(self) -> Self:
        if self.mode is Mode.PRODUCTION and self.mailbox_url is not None:
            raise ValueError("mailbox_url names a development double and is refused in production mode")
        return self

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

    token_key_file: FilePath = Field(description="P-256 private key (PKCS#8 PEM) of identity tokens")
    cookie_key: SecretStr = Field(min_length=32, description="key of form tokens, 32 characters or more")
