"""The dashboard's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from keystead_contracts.base import AssuranceLevel, CertificateType

FAILED_WITHIN = timedelta(days=7)
EXPIRING_WITHIN = timedelta(days=30)
DAYS, WEEKS = 30, 12


@dataclass(frozen=True)
class DayFigure:
    """Certificates issued on one day (UTC), by type."""

    day: date
    issued: dict[CertificateType, int]


@dataclass(frozen=True)
class WeekFigure:
    """Certificates that end in the seven days from `begins` (UTC)."""

    begins: date
    expiring: int


@dataclass(frozen=True)
class Figures:
    """What needs somebody, and how things go. Certificates are counted as long as they are neither revoked nor
    expired; `failing_providers` are the names of identity providers, for masters alone."""

    awaiting_approval: int
    failed: int
    expiring: int
    valid: int
    failing_providers: tuple[str, ...]
    days: tuple[DayFigure, ...]
    assurance: dict[AssuranceLevel, int]
    weeks: tuple[WeekFigure, ...]
