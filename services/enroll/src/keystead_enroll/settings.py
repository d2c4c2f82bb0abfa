"""The settings of enroll: `KEYSTEAD_ENROLL_…`, or a TOML file that `KEYSTEAD_ENROLL_SETTINGS` names."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from keystead_kit.ratelimit import RateLimit
from keystead_kit.settings import ServiceSettings


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
    claim_limit_address: RateLimit = "60/minute"
    keep_alive_seconds: float = Field(15.0, gt=0, le=60)
    stream_life_seconds: float = Field(600.0, gt=0, description="how long an agent's stream lives; jitter is added")
    agent_token_seconds: int = Field(600, ge=60, le=3600)
    agent_download_url: str | None = None
