"""A person's visit to the portal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(eq=False)
class PortalSession:
    """A person's visit to one form: who auth said they are, and how far they got."""

    digest: str
    form_id: str
    email: str
    name: str | None
    method: str
    created_at: datetime
    expires_at: datetime
    account_id: str | None = None
    unlocked_account_id: str | None = None
