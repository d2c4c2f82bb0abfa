"""What notify counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

LETTERS = Counter("keystead_letters_total", "Letters by what became of them", ["kind", "outcome"])
LETTERS_WAITING = Gauge("keystead_letters_waiting", "Letters that have not ended")
LETTERS_OLDEST = Gauge("keystead_letters_oldest_age_seconds", "Age of the oldest letter that has not ended")
