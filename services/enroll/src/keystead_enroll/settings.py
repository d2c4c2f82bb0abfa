"""The settings of enroll: `KEYSTEAD_ENROLL_…`, or a TOML file that `KEYSTEAD_ENROLL_SETTINGS` names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from cryptography.x509 import ObjectIdentifier
from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from keystead_contracts.base import AssuranceLevel
from keystead_enroll.domain.attestation_state import SameMachine
from keystead_enroll.domain.enrollment_inputs import PolicyOid
from keystead_kit.ratelimit import RateLimit
from keystead_kit.secrets import same_key_pair
from keystead_kit.setting_types import (
    MAKE_KEY,
    DevelopmentMailbox,
    Passphrase,
    RandomKey,
    TokenKeyFile,
    TokenPublicKeyFile,
    WebAddress,
    in_production,
)
from keystead_kit.settings import EnvironmentSettings, ServiceSettings


class _CaFolder(EnvironmentSettings):
    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_ENROLL_", extra="ignore", hide_input_in_errors=True)

    ca_folder: Path = Field(description="folder of the built-in CA, as `keystead ca init` makes it")
    ca_key_passphrase: Passphrase | None = Field(
        None, validate_default=True, description=f"encrypts the issuing CA's key, always in production; {MAKE_KEY}"
    )


class CaSettings(_CaFolder):
    """What is needed to make the CA and to sign with it."""

    @field_validator("ca_key_passphrase")
    @classmethod
    def _encrypted_in_production(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and in_production(info):
            raise PydanticCustomError("missing", "the issuing CA's key is kept encrypted")
        return value


class EnrollSettings(_CaFolder, ServiceSettings):
    """What enroll needs beside the common settings."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_ENROLL_", extra="forbid", hide_input_in_errors=True)

    identity_key_file: TokenPublicKeyFile = Field(
        description="auth's public token key, PEM: the file that `keystead-auth keys --public` made"
    )
    token_key_file: TokenKeyFile = Field(
        description="this service's P-256 private token key, PEM; make one: keystead-enroll keys"
    )
    cookie_key: RandomKey = Field(description=f"key of form tokens and enrollment links; {MAKE_KEY}")
    access_code_key: RandomKey = Field(description=f"key of access codes and registration tokens; {MAKE_KEY}")
    access_code_limit_person: RateLimit = "5/15 minutes"
    access_code_limit_form: RateLimit = "100/15 minutes"
    access_code_limit_address: RateLimit = "20/15 minutes"
    access_code_limit_administrator: RateLimit = Field(
        "5/hour", description="how often an administrator may choose codes that turn out to be in use"
    )
    trial_limit_administrator: RateLimit = Field(
        "60/10 minutes", description="test runs of enrollment forms by one administrator"
    )
    claim_limit_address: RateLimit = Field("60/minute", description="wrong links, tokens and signatures of an address")
    token_limit_address: RateLimit = Field("60/minute", description="invalid API tokens of an address")
    open_orders_limit: int = Field(20, ge=1, description="unfinished requests of one person with one account")
    bulk_octets_limit: int = Field(
        256 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024, description="the most octets of a bulk job's file"
    )
    bulk_lines_limit: int = Field(1_000_001, ge=2, le=10_000_001, description="the most lines of a bulk job's file")
    bulk_in_flight: int = Field(
        2000, ge=1, description="requests of one bulk job that are under way at a time and moved in the last minute"
    )
    approval_letter_minutes: float = Field(
        60, gt=0, description="the least time between two letters to an administrator on what waits for approval"
    )
    keep_alive_seconds: float = Field(15.0, gt=0, le=60)
    stream_life_seconds: float = Field(600.0, gt=0, description="how long an agent's stream lives; jitter is added")
    most_streams: int = Field(10_000, ge=1, le=30_000, description="open event streams a web process holds")
    page_streams_per_person: int = Field(10, ge=1, description="live pages that one person has open at a time")
    agent_token_seconds: int = Field(600, ge=60, le=3600)
    ek_roots_folder: Path | None = Field(
        None, description="TPM manufacturers' roots: certificates, or what `keystead ek-roots update` made"
    )
    same_machine: SameMachine = Field(
        SameMachine.ASK,
        description="a TPM that registers again with another device key: ask an administrator, or replace the device",
    )
    ek_roots_key_file: FilePath | None = Field(
        None, description="the operator's Ed25519 public key, PEM: only a bundle that it signed is taken"
    )
    level_policies: dict[AssuranceLevel, PolicyOid] = Field(
        {}, description='certificate policy of an assurance level, for certificates: {"vendor": "1.3.6.1.4.1.….1"}'
    )
    issue_patience_seconds: float = Field(
        10.0, gt=0, le=60, description="how long the API waits for a certificate before it says that it takes longer"
    )
    lint_share: float = Field(
        0.001,
        ge=0,
        le=1,
        description="of the certificates whose shape was linted before, the share that is all the same",
    )
    status_origin: str | None = Field(
        None,
        description="scheme://host[:port], better http (RFC 5280 section 8), at which relying parties reach /pki/ and "
        "/ocsp; else public_origin",
    )
    status_in_certificates: bool = Field(
        True,
        description="certificates say where relying parties learn what they are worth (CDP, AIA), unless that host has "
        "no domain",
    )
    crl_hours: float = Field(
        48, gt=0, le=24 * 366, description="for how long a revocation list is valid; half of it before the next one"
    )
    ocsp_hours: float = Field(4, gt=0, le=24 * 7, description="for how long an OCSP answer may be relied on")
    status_cache_minutes: float = Field(
        5, ge=0, le=24 * 60, description="for how long HTTP caches give out a revocation list or an OCSP answer unasked"
    )
    agent_download_url: WebAddress | None = None
    mailbox_url: DevelopmentMailbox | None = Field(
        None, description="the development mailbox, linked from the start page"
    )

    @field_validator("status_origin")
    @classmethod
    def _plain_status_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or value.rstrip("/").count("/") != 2:
            raise ValueError("must be an origin such as http://pki.example.org, without a path")
        return value.rstrip("/")

    @field_validator("level_policies")
    @classmethod
    def _encodable(cls, value: dict[AssuranceLevel, PolicyOid]) -> dict[AssuranceLevel, PolicyOid]:
        for level, dotted in value.items():
            try:
                ObjectIdentifier(dotted)
            except ValueError as error:
                raise ValueError(f"“{dotted}”, for {level}, is no object identifier") from error
        return value

    @field_validator("token_key_file")
    @classmethod
    def _not_auth_s(cls, value: Path, info: ValidationInfo) -> Path:
        identity = info.data.get("identity_key_file")
        if in_production(info) and identity and same_key_pair(value, identity):
            raise ValueError("is auth's, the other half of IDENTITY_KEY_FILE; make one: keystead-enroll keys")
        return value


class EnrollWorkerSettings(EnrollSettings, CaSettings):
    """What the worker needs, which signs: in production the CA's passphrase too."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_ENROLL_", extra="forbid", hide_input_in_errors=True)


class TokenKeySettings(EnvironmentSettings):
    """What is needed to make the token key."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_ENROLL_", extra="ignore", hide_input_in_errors=True)

    token_key_file: Path = Field(description="where this service's private token key is to be, PEM")


class EkRootsSettings(EnvironmentSettings):
    """What is needed to look after the bundle of TPM manufacturers' certificates."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_ENROLL_", extra="ignore", hide_input_in_errors=True)

    ek_roots_folder: Path = Field(description="the folder of the bundle; or give --folder")
    ek_roots_key_file: FilePath | None = None
