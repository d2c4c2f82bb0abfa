"""The settings of enroll: `KEYSTEAD_ENROLL_…`, or a TOML file that `KEYSTEAD_ENROLL_SETTINGS` names."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from keystead_kit.ratelimit import RateLimit
from keystead_kit.settings import Mode, ServiceSettings


class EnrollSettings(ServiceSettings):
    """What enroll needs beside the common settings."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_ENROLL_", extra="forbid", hide_input_in_errors=True)

    identity_key_file: Path = Field(description="auth's public token key, PEM")
    token_key_file: Path = Field(description="this service's private token key, P-256 PEM")
    cookie_key: SecretStr = Field(min_length=32, description="HMAC key for form tokens and enrollment links")
    access_code_key: SecretStr = Field(min_length=32, description="HMAC key for access codes and registration tokens")
    ca_folder: Path = Field(description="the built-in CA, as `keystead ca init` wrote it")
    ca_key_passphrase: SecretStr | None = None
    access_code_limit_person: RateLimit = "5/15 minutes"
    access_code_limit_form: RateLimit = "100/15 minutes"
    access_code_limit_address: RateLimit = "20/15 minutes"
    claim_limit_address: RateLimit = Field("60/minute", description="wrong links, tokens and signatures of an address")
    keep_alive_seconds: float = Field(15.0, gt=0, le=60)
    stream_life_seconds: float = Field(600.0, gt=0, description="how long an agent's stream lives; jitter is added")
    most_streams: int = Field(10_000, ge=1, le=30_000, description="open event streams a web process holds")
    page_streams_per_person: int = Field(10, ge=1, description="live pages that one person has open at a time")
    agent_token_seconds: int = Field(600, ge=60, le=3600)
    agent_download_url: str | None = None
    mailbox_url: HttpUrl | None = Field(None, description="the development mailbox, linked from the start page")

    @model_validator(mode="after")
    def _no_doubles_in_production(self) -> Self:
        if self.mode is Mode.PRODUCTION and self.mailbox_url is not None:
            raise ValueError("mailbox_url names a development double and is refused in production mode")
        return self
