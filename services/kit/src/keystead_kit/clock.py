"""Time, passed in: a use case asks its clock, never the operating system."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that knows the time."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC, to the microsecond."""
        return datetime.now(UTC)
