"""The endorsement keys that administrators know: which TPMs are an organization's, and which are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Ruling(StrEnum):
    """What an administrator says of a TPM. A refusal outranks whatever else vouches for it."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(eq=False)
class EndorsementKey:
    """A TPM by its endorsement key, for one organization or, with None, for all."""

    id: str
    organization_id: str | None
    sha256: str
    """Of the key's SubjectPublicKeyInfo, in lower-case hex."""
    ruling: Ruling
    label: str = ""
    serial_number: str = ""
    """The machine's."""
    model: str = ""
    note: str = ""
    created_at: datetime | None = None
    created_by: str = ""
    """The name of who added it."""
