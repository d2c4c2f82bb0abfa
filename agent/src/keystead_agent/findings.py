"""What `doctor` finds: one thing that was looked at, how it came out, what to do."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Mark(StrEnum):
    """How a finding came out."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


class Finding(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(frozen=True)

    subject: str
    mark: Mark
    found: str
    advice: str = ""


def good(subject: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(subject=subject, mark=Mark.GOOD, found=found)


def warning(subject: str, found: str, advice: str) -> Finding:
    """It works, or is not needed by everybody."""
    return Finding(subject=subject, mark=Mark.WARNING, found=found, advice=advice)


def bad(subject: str, found: str, advice: str) -> Finding:
    """Something has to be done before certificates can be had."""
    return Finding(subject=subject, mark=Mark.BAD, found=found, advice=advice)
