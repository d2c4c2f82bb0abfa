"""notify's settings: `KEYSTEAD_NOTIFY_<NAME>`, or the TOML file that `KEYSTEAD_NOTIFY_SETTINGS` names."""

from __future__ import annotations

from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address, AddressHeader
from email.message import EmailMessage
from email.policy import SMTP
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, FilePath, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from keystead_kit.setting_types import in_production
from keystead_kit.settings import ServiceSettings

SMTP_STEPS = 6
"""Replies that one letter waits for at most: MAIL, RCPT, DATA, the letter, RSET, and one to spare."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def parse_sender(text: str) -> Address:
    """The one address of a From header, such as "Keystead <no-reply@example.org>". Raises ValueError."""
    mistake = ValueError("must be one address, such as Keystead <no-reply@example.org>")
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = text
    except (MessageError, ValueError, IndexError) as error:
        raise mistake from error
    header = message["From"]
    if header.defects or not isinstance(header, AddressHeader) or len(header.addresses) != 1:
        raise mistake
    found = header.addresses[0]
    if not found.username or ("." not in found.domain.strip(".") and found.domain != "localhost"):
        raise mistake
    return found


def _sender(text: str) -> str:
    parse_sender(text)
    return text


Sender = Annotated[str, AfterValidator(_sender)]


class NotifySettings(ServiceSettings):
    """What every process of notify needs."""

    model_config = SettingsConfigDict(env_prefix="KEYSTEAD_NOTIFY_")

    smtp_host: str | None = Field(None, min_length=1, description="the mail server")
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_security: Literal["none", "starttls", "tls"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = Field(None, validate_default=True)
    smtp_from: Sender | None = Field(None, description="whom letters are from")
    smtp_ca_file: FilePath | None = Field(None, description="PEM of the CA of the mail server's certificate")
    smtp_timeout_seconds: float = Field(10, gt=0, le=60, description="the longest wait for one reply")
    retry_first_seconds: float = Field(2, gt=0, le=60, description="the wait after the first failure; it doubles")
    retry_longest_seconds: float = Field(300, gt=0, le=3600)
    retry_login_longest_seconds: float = Field(30, gt=0, le=3600, description="the same for sign-in links")
    give_up_hours: float = Field(24, gt=0, le=168, description="after that a letter expires; a sign-in link with it")
    lease_seconds: float = Field(
        120, gt=0, le=3600, validate_default=True, description="after that a letter in a lost worker is sent again"
    )

    @field_validator("smtp_security")
    @classmethod
    def _encrypted(cls, value: str, info: ValidationInfo) -> str:
        if in_production(info) and value == "none" and info.data.get("smtp_host") not in _LOOPBACK:
            raise ValueError("none is refused in production mode, except for a mail server on this machine")
        return value

    @field_validator("smtp_password")
    @classmethod
    def _of_a_user(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (info.data.get("smtp_username") is None) != (value is None):
            raise ValueError("belongs together with SMTP_USERNAME: set both or neither")
        return value

    @field_validator("lease_seconds")
    @classmethod
    def _outlasts_a_letter(cls, value: float, info: ValidationInfo) -> float:
        least = SMTP_STEPS * info.data.get("smtp_timeout_seconds", 0)
        if value < least:
            raise ValueError(f"must be {least:g} or more: {SMTP_STEPS} times SMTP_TIMEOUT_SECONDS")
        return value

    @property
    def mail_domain(self) -> str:
        """What names this host to mail servers: the public host name."""
        return urlsplit(self.public_origin).hostname or "localhost"

    @property
    def lease(self) -> timedelta:
        """How long a worker may take for one letter."""
        return timedelta(seconds=self.lease_seconds)


class NotifyWorkerSettings(NotifySettings):
    """What the worker needs: the mail server too."""

    smtp_host: str = Field(min_length=1, description="the mail server")
    smtp_from: Sender = Field(description="whom letters are from")
