"""Settings: environment over a TOML file, secrets from files, every mistake told at once, at start."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

EXIT_USAGE = 2


class Mode(StrEnum):
    """development warns about doubles and weak secrets; production refuses to start with them."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ServiceSettings(BaseSettings):
    """What every service needs. A subclass sets `env_prefix`; `<PREFIX>SETTINGS` may name a TOML file, and
    `<PREFIX><NAME>_FILE` a file that holds one value."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    mode: Mode = Mode.PRODUCTION
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    public_origin: str = Field(description="scheme://host[:port] that browsers and agents use")
    database_url: SecretStr = Field(description="sqlite:////path or postgresql+psycopg://…")
    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"))
    web_host: str = "127.0.0.1"
    web_port: int = Field(8000, ge=1, le=65535)
    worker_metrics_port: int = Field(0, ge=0, le=65535, description="0: no metrics server in the worker")
    worker_metrics_host: str = "127.0.0.1"
    heartbeat_seconds: float = Field(2.0, gt=0, le=60, description="how often a worker looks for work unasked")
    trusted_proxies: str = Field("127.0.0.1", description="addresses whose X-Forwarded-For is believed")

    @field_validator("public_origin")
    @classmethod
    def _plain_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError("must be an origin such as https://enroll.example.org, without a path")
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _production_is_https(self) -> Self:
        if self.mode is Mode.PRODUCTION and not self.public_origin.startswith("https://"):
            raise ValueError("public_origin must be https in production mode")
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers reach this service by https."""
        return self.public_origin.startswith("https://")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then `_FILE` variables, then the TOML file."""
        prefix = str(settings_cls.model_config.get("env_prefix", ""))
        sources = [init_settings, env_settings, _ValueFiles(settings_cls, prefix)]
        toml = os.environ.get(f"{prefix}SETTINGS")
        if toml:
            sources.append(TomlConfigSettingsSource(settings_cls, Path(toml)))
        return tuple(sources)


class _ValueFiles(PydanticBaseSettingsSource):
    """Reads `<PREFIX><NAME>_FILE` variables."""

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        self._prefix = prefix

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{self._prefix}{field_name}_FILE".upper())
        if path and f"{field_name}_file" not in self.settings_cls.model_fields:
            return Path(path).read_text().strip(), field_name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


S = TypeVar("S", bound=ServiceSettings)


def load_settings(cls: type[S]) -> S:
    """The settings from the environment. Prints every mistake with the variable's name and exits 2 if any."""
    prefix = str(cls.model_config.get("env_prefix", ""))
    try:
        return cls()
    except ValidationError as error:
        lines = []
        for mistake in error.errors(include_input=False, include_url=False):
            where = "_".join(str(part) for part in mistake["loc"])
            name = f"{prefix}{where.upper()}" if where else f"{prefix}*"
            lines.append(f"  {name}: {mistake['msg']}")
        _refuse(cls, lines)
    except (OSError, ValueError) as error:
        _refuse(cls, [f"  {error}"])


def _refuse(cls: type[ServiceSettings], lines: list[str]) -> NoReturn:
    prefix = str(cls.model_config.get("env_prefix", ""))
    count = "1 setting is wrong" if len(lines) == 1 else f"{len(lines)} settings are wrong"
    hint = f"hint: set them in the environment or in the TOML file that {prefix}SETTINGS names"
    sys.stderr.write("\n".join([f"error: {count}, nothing was started:", *lines, hint, ""]))
    raise SystemExit(EXIT_USAGE)
