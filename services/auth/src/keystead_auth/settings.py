"""auth's settings: `KEYSTEAD_AUTH_<NAME>`, or the TOML file that `KEYSTEAD_AUTH_SETTINGS` names."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from keystead_kit.ratelimit import RateLimit
from keystead_kit.setting_types import MAKE_KEY, DevelopmentMailbox, RandomKey, TokenKeyFile
from keystead_kit.settings import ServiceSettings

_TOKEN_KEY = "P-256 private key of identity tokens, PEM; make one: keystead-auth keys"  # noqa: S105 words, not a secret
_COOKIE_KEY = f"key of form tokens, 32 characters or more; {MAKE_KEY}"


class AuthSettings(ServiceSettings):
    """What every process of auth needs. The worker needs no key."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_AUTH_")

    token_key_file: TokenKeyFile | None = Field(None, description=_TOKEN_KEY)
    cookie_key: RandomKey | None = Field(None, description=_COOKIE_KEY)
    link_minutes: int = Field(15, ge=1, le=60, description="how long a sign-in link works")
    session_hours: float = Field(8, gt=0, le=24, description="how long a session lasts")
    limit_sign_in_per_client: RateLimit = "60/15 minutes"
    limit_sign_in_per_email: RateLimit = "5/15 minutes"
    limit_sign_in_per_form: RateLimit = Field("300/15 minutes", description="beyond it the log warns, no more")
    limit_confirm_per_client: RateLimit = Field("120/15 minutes", description="sign-in links that do not exist")
    mailbox_url: DevelopmentMailbox | None = Field(None, description="the development mailbox, for 'check your mail'")

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
