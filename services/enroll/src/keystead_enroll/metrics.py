"""What enroll counts."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from keystead_enroll.domain.bulk_jobs import RowStage
from keystead_kit.metrics import LATENCY_BUCKETS

ORDERS_DESERTED = Counter("keystead_orders_deserted_total", "Orders that ended because their agent went away")
KEYS_JUDGED = Counter(
    "keystead_keys_judged_total",
    "Keys whose evidence was judged: of requests and of devices, by the level shown and whether it was enough",
    ["of", "level", "outcome"],
)
CERTIFICATES_LINTED = Counter(
    "keystead_certificates_linted_total",
    "Certificates checked before they were signed: linted in full, as the first of their shape or as a sample, or "
    "judged by their shape and values",
    ["how"],
)
ISSUANCE_BATCH = Histogram(
    "keystead_issuance_batch_orders",
    "How many orders were issued together",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
JOB_LOOKS = Histogram(
    "keystead_job_look_duration_seconds",
    "Time of a look for the jobs of all agents that were woken, came or were due",
    buckets=LATENCY_BUCKETS,
)
BULK_ROWS = Gauge("keystead_bulk_rows", "Rows of bulk jobs that run or are paused, by how far they are", ["state"])
BULK_ROWS_READ = Counter("keystead_bulk_rows_read_total", "Rows of bulk jobs that were read", ["outcome"])
BULK_ORDERS = Counter("keystead_bulk_orders_total", "Requests that were made of rows of bulk jobs")
LISTS_SIGNED = Counter("keystead_crl_signed_total", "Revocation lists that were signed and published")
LIST_THIS_UPDATE = Gauge(
    "keystead_crl_this_update_timestamp_seconds", "When the oldest of the published revocation lists was signed"
)
LIST_NEXT_UPDATE = Gauge(
    "keystead_crl_next_update_timestamp_seconds", "When the first of the published revocation lists ends (nextUpdate)"
)
STATUS_CHANGES_WAITING = Gauge(
    "keystead_crl_changes_waiting", "Certificates whose status changed and that no published list has yet"
)
OCSP_ANSWERS = Counter(
    "keystead_ocsp_answers_total",
    "OCSP answers: good, revoked, unknown (nothing like that was issued here), malformed, unauthorized (another CA's), "
    "try_later",
    ["status"],
)


def show_bulk_rows(stages: Mapping[RowStage, int]) -> None:
    """Sets the gauges; stages that are left out have none."""
    for stage in RowStage:
        BULK_ROWS.labels(stage.value).set(stages.get(stage, 0))


def count_rows_read(*, accepted: int, of: int) -> None:
    """More rows that were read, and how many of them proceed."""
    BULK_ROWS_READ.labels("accepted").inc(accepted)
    BULK_ROWS_READ.labels("refused").inc(of - accepted)


def count_judged(of: str, level: str | None, *, refused: bool) -> None:
    """One more; `level` is None where a check of the evidence failed."""
    KEYS_JUDGED.labels(of, level or "none", "refused" if refused else "accepted").inc()
