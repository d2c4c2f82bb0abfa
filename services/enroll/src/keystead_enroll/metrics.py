"""What enroll counts."""

from __future__ import annotations

from prometheus_client import Counter

ORDERS_DESERTED = Counter("keystead_orders_deserted_total", "Orders that ended because their agent went away")
