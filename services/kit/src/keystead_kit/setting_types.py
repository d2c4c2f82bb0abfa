"""Kinds of settings that several services have, and what production mode refuses of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, FilePath, SecretStr, ValidationInfo

from keystead_kit.secrets import TokenSigner, TokenVerifier

LEAST_KEY_CHARACTERS = 32
LEAST_DISTINCT_CHARACTERS = 10
LEAST_PASSPHRASE_OCTETS = 12
MAKE_KEY = "make one: openssl rand -hex 32"
_EXAMPLES = ("change", "example", "password", "secret")


class Mode(StrEnum):
    """development allows doubles and weak secrets; production refuses to start with them."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def in_production(info: ValidationInfo) -> bool:
    """Whether the settings under check are production's; `mode` is the first of them."""
    return info.data.get("mode") is Mode.PRODUCTION


def _distinct(value: SecretStr, info: ValidationInfo) -> SecretStr:
    if in_production(info):
        for name, other in info.data.items():
            if isinstance(other, SecretStr) and other.get_secret_value() == value.get_secret_value():
                raise ValueError(f"is the same as {name.upper()}, and each key needs a value of its own; {MAKE_KEY}")
    return value


def _random(value: SecretStr, info: ValidationInfo) -> SecretStr:
    text = value.get_secret_value()
    if len(text) < LEAST_KEY_CHARACTERS:
        raise ValueError(f"has {len(text)} characters, and {LEAST_KEY_CHARACTERS} are the least; {MAKE_KEY}")
    few = len(set(text)) < LEAST_DISTINCT_CHARACTERS
    repeats = (text + text).index(text, 1) < len(text)
    if in_production(info) and (few or repeats or any(word in text.lower() for word in _EXAMPLES)):
        raise ValueError(f"can be guessed; {MAKE_KEY}")
    return value


def _long_enough(value: SecretStr) -> SecretStr:
    octets = len(value.get_secret_value().encode())
    if octets < LEAST_PASSPHRASE_OCTETS:
        raise ValueError(f"has {octets} octets, and {LEAST_PASSPHRASE_OCTETS} are the least; {MAKE_KEY}")
    return value


def _web_address(value: str, info: ValidationInfo) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a whole address, such as https://www.example.org/")
    if in_production(info) and parts.scheme != "https":
        raise ValueError("must begin with https:// in production mode")
    return value


def _double(value: str, info: ValidationInfo) -> str:
    if in_production(info):
        raise ValueError("names the development mailbox, which is refused in production mode")
    return _web_address(value, info)


def _private_token_key(path: Path) -> Path:
    try:
        TokenSigner.from_file(path)
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ValueError("names a file that is no P-256 private key in PEM without a passphrase") from error
    return path


def _public_token_key(path: Path) -> Path:
    try:
        TokenVerifier.from_file(path)
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError("names a file that is no P-256 public key in PEM") from error
    return path


RandomKey = Annotated[SecretStr, AfterValidator(_random), AfterValidator(_distinct)]
"""A key of 32 characters or more. Production refuses what can be guessed, and one key for two uses."""

Passphrase = Annotated[SecretStr, AfterValidator(_long_enough), AfterValidator(_distinct)]
"""What encrypts a key file: 12 octets or more. Production refuses one secret for two uses."""

WebAddress = Annotated[str, AfterValidator(_web_address)]
"""An http or https address; in production https alone."""

DevelopmentMailbox = Annotated[str, AfterValidator(_double)]
"""Where the development mailbox shows its letters. Production refuses it."""

TokenKeyFile = Annotated[FilePath, AfterValidator(_private_token_key)]
"""A file with a P-256 private key (PKCS#8 PEM) that signs tokens."""

TokenPublicKeyFile = Annotated[FilePath, AfterValidator(_public_token_key)]
"""A file with the public half of such a key (SubjectPublicKeyInfo PEM)."""
