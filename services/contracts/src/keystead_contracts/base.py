"""The base of every message, and the small value types that several messages share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

from keystead_contracts.text import plain_text

__all__ = [
    "AssuranceLevel",
    "AwareDatetime",
    "Base64",
    "CertificateScope",
    "CertificateType",
    "EmailAddress",
    "KeyAlgorithm",
    "LanguageTag",
    "Message",
    "PlainText",
    "TraceId",
    "UriExtension",
    "plain_text",
    "serial_hex",
]


class Message(BaseModel):
    """An immutable message. A field that a newer sender added is ignored by an older receiver."""

    model_config = ConfigDict(frozen=True, extra="ignore")


TraceId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A W3C Trace Context trace-id: 32 lower-case hex digits."""

EmailAddress = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$",
    ),
]
"""An address as HTML's `input type=email` takes it (WHATWG HTML 4.10.5.1.5), at most 254 octets (RFC 5321)."""

UriExtension = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,58}$")]
"""The unguessable end of an enrollment form's address: at most 58 URL-safe characters."""

LanguageTag = Annotated[str, StringConstraints(pattern=r"^(?:[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)?$", max_length=35)]
"""A language (BCP 47) in which a person reads; "" where it is not known."""


PlainText = Annotated[str, AfterValidator(plain_text)]
"""Text that a person will read: what cannot be seen becomes U+FFFD. A database, a log or a letter's header would choke
on control characters but tab and line feed; zero-width, direction and private-use characters deceive the reader."""

Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=65536)]
"""Standard base64 (RFC 4648 section 4), padded."""


def serial_hex(number: int) -> str:
    """A certificate's serial number as people see it everywhere: lower-case hex, two digits an octet, as in
    `openssl x509 -serial`."""
    digits = f"{number:x}"
    return digits if len(digits) % 2 == 0 else f"0{digits}"


class CertificateScope(StrEnum):
    """Whose a certificate is on the machine that has it: the person's (Windows: `CurrentUser\\My`), or the whole
    computer's (`LocalMachine\\My`)."""

    USER = "user"
    MACHINE = "machine"


class CertificateType(StrEnum):
    """What a certificate is for; decides where its subject comes from and where it lands."""

    CLIENT = "client"
    DEVICE = "device"
    SSL = "ssl"


class KeyAlgorithm(StrEnum):
    """The key algorithms a certificate profile may allow."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"


class AssuranceLevel(StrEnum):
    """How sure the service is that the private key cannot leave the TPM, weakest first."""

    SOFTWARE = "software"
    CLAIMED = "claimed"
    ATTESTED = "attested"
    LISTED = "listed"
    VENDOR = "vendor"

    @property
    def rank(self) -> int:
        """The level's place in the order, 0 for the weakest."""
        return list(AssuranceLevel).index(self)
