"""What enroll counts."""

from __future__ import annotations

from prometheus_client import Counter

ORDERS_DESERTED = Counter("keystead_orders_deserted_total", "Orders that ended because their agent went away")
KEYS_JUDGED = Counter(
    "keystead_keys_judged_total",
    "Keys whose evidence was judged: of requests and of devices, by the level shown and whether it was enough",
    ["of", "level", "outcome"],
)


def count_judged(of: str, level: str | None, *, refused: bool) -> None:
    """One more; `level` is None where a check of the evidence failed."""
    KEYS_JUDGED.labels(of, level or "none", "refused" if refused else "accepted").inc()
