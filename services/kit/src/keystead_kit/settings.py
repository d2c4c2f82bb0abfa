"""Settings: environment over a TOML file, secrets from files, every mistake told at once, at start."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
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
    def _plain_origin(cls, value: str, info: ValidationInfo) -> str:
        """As a browser writes it in an Origin header (RFC 6454 section 6.1): lower case, no default port."""
        parts = urlsplit(value)
        plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
            raise ValueError("must be an origin such as https://enroll.example.org, without a path")
        if info.data.get("mode") is Mode.PRODUCTION and parts.scheme != "https":
            raise ValueError("must be https in production mode")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"

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
            sources.append(_toml_source(settings_cls, f"{prefix}SETTINGS", Path(toml)))
        return tuple(sources)


class UnreadableSettings(ValueError):
    """Files that the environment names and that cannot be read: one line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def _toml_source(settings_cls: type[BaseSettings], variable: str, path: Path) -> TomlConfigSettingsSource:
    try:
        path.read_bytes()  # the source below takes a file that is not there for an empty one
        return TomlConfigSettingsSource(settings_cls, path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnreadableSettings([f"{variable}: {path}: {reason}"]) from error


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
        mistakes = []
        for name, field in self.settings_cls.model_fields.items():
            try:
                value, key, _ = self.get_field_value(field, name)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
                mistakes.append(f"{self._prefix}{name}_FILE".upper() + f": {reason}")
                continue
            if value is not None:
                found[key] = value
        if mistakes:
            raise UnreadableSettings(mistakes)
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
    except UnreadableSettings as error:
        _refuse(cls, [f"  {mistake}" for mistake in error.mistakes])
    except (OSError, ValueError) as error:
        _refuse(cls, [f"  {error}"])


def _refuse(cls: type[ServiceSettings], lines: list[str]) -> NoReturn:
    prefix = str(cls.model_config.get("env_prefix", ""))
    count = "1 setting is wrong" if len(lines) == 1 else f"{len(lines)} settings are wrong"
    hint = f"hint: set them in the environment or in the TOML file that {prefix}SETTINGS names"
    sys.stderr.write("\n".join([f"error: {count}, nothing was started:", *lines, hint, ""]))
    raise SystemExit(EXIT_USAGE)
