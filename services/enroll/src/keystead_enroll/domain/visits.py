"""A person's visit to the portal."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    identity_provider: str | None = None
    identity_provider_organizations: list[str] = field(default_factory=list)
    attributes: dict[str, list[str]] = field(default_factory=dict)
    """What the identity provider said: names of `keystead_contracts.identity.ATTRIBUTES` → values."""
    attributes_cut: list[str] = field(default_factory=list)
    """Those of which it said more than is known here."""
    persons: list[str] = field(default_factory=list)
    """Ids of the Persons whose Secret ID was given."""
