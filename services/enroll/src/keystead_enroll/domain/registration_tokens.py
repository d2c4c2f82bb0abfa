"""Registration tokens: with one, the machines of a group register by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MOST_DEVICES = 1_000_000
"""The highest limit a token may have."""


class TokenState(StrEnum):
    """Whether a registration token lets new devices in."""

    USABLE = "usable"
    USED_UP = "used_up"
    """As many devices as it may register came with it."""
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(eq=False)
class RegistrationToken:
    """Lets machines of an organization register as devices. Only a keyed digest is stored. Its name stays, because
    devices remember by which token they came."""

    id: str
    name: str
    digest: str
    organization_id: str
    owner: str | None = None
    """Whose devices they will be, if they are somebody's."""
    expires_at: datetime | None = None
    group: str = ""
    """What its devices are: "laptops 2027". They have it from then on; "" for none."""
    most_devices: int | None = None
    """How many devices it may register; None for any number."""
    uses: int = 0
    """How many it has registered. Devices that were removed since count too."""
    created_at: datetime | None = None
    created_by: str = ""
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> TokenState:
        """What it is worth now, the weightiest reason first."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return TokenState.EXPIRED
        used_up = self.most_devices is not None and self.uses >= self.most_devices
        return TokenState.USED_UP if used_up else TokenState.USABLE
