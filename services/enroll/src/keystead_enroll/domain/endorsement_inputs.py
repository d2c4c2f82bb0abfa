"""What administrators send about endorsement keys; see `domain.inputs`."""

from __future__ import annotations

import base64
import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from keystead_contracts.words import Words
from keystead_enroll.domain.endorsement_keys import Ruling
from keystead_enroll.domain.inputs import Input, Remark, one_line

_HEX = re.compile(r"[0-9a-f]{64}")
_URN = "urn:ek:sha256:"


def fingerprint(value: str) -> str:
    """A SHA-256 in lower-case hex, from hex with or without colons, or from `urn:ek:sha256:` and base64. Raises
    ValueError."""
    plain = re.sub(r"[\s:]", "", value).lower()
    if value.lower().startswith(_URN):
        try:
            plain = base64.b64decode(value[len(_URN) :], validate=True).hex()
        except ValueError:
            plain = ""
    if not _HEX.fullmatch(plain):
        raise ValueError(
            Words("is no SHA-256: 64 hexadecimal digits, with or without colons, or urn:ek:sha256: and base64")
        )
    return plain


Fingerprint = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256), AfterValidator(fingerprint)
]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128), AfterValidator(one_line)]


class EndorsementKeyInput(Input):
    """A TPM by its endorsement key, which is the organization's (`allow`) or is refused (`deny`). Without an
    organization this goes for all of them, and only a master may say it."""

    organization_id: Annotated[str, StringConstraints(max_length=32)] | None = None
    sha256: Fingerprint = Field(
        description="SHA-256 of the endorsement key's SubjectPublicKeyInfo: hex, or urn:ek:sha256:…"
    )
    ruling: Ruling = Ruling.ALLOW
    label: Line = ""
    serial_number: Line = Field("", description="the machine's serial number")
    model: Line = Field("", description="the machine's model")
    note: Remark = ""
