"""Settings: environment over a TOML file, secrets from files, every mistake told at once, at start."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from keystead_kit.plain_words import plain_words
from keystead_kit.setting_types import Mode, in_production

__all__ = ["EnvironmentSettings", "Mode", "ServiceSettings", "load_settings"]

EXIT_USAGE = 2


class EnvironmentSettings(BaseSettings):
    """Settings of a command. A subclass sets `env_prefix`; `<PREFIX>SETTINGS` may name a TOML file, and
    `<PREFIX><NAME>_FILE` a file that holds one value."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    mode: Mode = Mode.PRODUCTION

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


class ServiceSettings(EnvironmentSettings):
    """What every service needs."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
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
        if in_production(info) and parts.scheme != "https":
            raise ValueError("must begin with https:// in production mode")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"

    @property
    def secure(self) -> bool:
        """Whether browsers reach this service by https."""
        return self.public_origin.startswith("https://")


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


S = TypeVar("S", bound=EnvironmentSettings)


def load_settings(cls: type[S]) -> S:
    """The settings from the environment. Prints every mistake with the variable's name and exits 2 if any."""
    try:
        return cls()
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False)
        _refuse(
            cls,
            missing=[_missing(cls, mistake) for mistake in mistakes if mistake["type"] == "missing"],
            wrong=[_wrong(cls, mistake) for mistake in mistakes if mistake["type"] != "missing"],
        )
    except UnreadableSettings as error:
        _refuse(cls, missing=[], wrong=error.mistakes)
    except (OSError, ValueError) as error:
        _refuse(cls, missing=[], wrong=[str(error)])


def _prefix(cls: type[EnvironmentSettings]) -> str:
    return str(cls.model_config.get("env_prefix", ""))


def _missing(cls: type[EnvironmentSettings], mistake: ErrorDetails) -> str:
    name = str(mistake["loc"][0])
    return f"{_prefix(cls)}{name.upper()}: {cls.model_fields[name].description}"


def _wrong(cls: type[EnvironmentSettings], mistake: ErrorDetails) -> str:
    name = "_".join(str(part) for part in mistake["loc"])
    words = plain_words(mistake)
    if mistake["type"] == "extra_forbidden":
        close = get_close_matches(name, cls.model_fields, n=1)
        words += f"; did you mean {close[0].upper()}?" if close else ""
    return f"{_prefix(cls)}{name.upper() or '*'}: {words}"


def _refuse(cls: type[EnvironmentSettings], *, missing: list[str], wrong: list[str]) -> NoReturn:
    counts = [
        f"{len(lines)} {'setting' if len(lines) == 1 else 'settings'} {'is' if len(lines) == 1 else 'are'} {what}"
        for what, lines in (("missing", missing), ("wrong", wrong))
        if lines
    ]
    told = [f"  missing  {line}" for line in missing] + [f"  wrong    {line}" for line in wrong]
    hint = (
        "hint: set NAME in the environment, or NAME_FILE to a file that holds the value, or name in the TOML file "
        f"that {_prefix(cls)}SETTINGS names"
    )
    sys.stderr.write("\n".join([f"error: {' and '.join(counts)}; nothing was started:", *told, hint, ""]))
    raise SystemExit(EXIT_USAGE)
