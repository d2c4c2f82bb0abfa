"""Prometheus: what every process counts, and the exposition for processes without a web server."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, start_http_server

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUESTS = Histogram(
    "keystead_http_request_duration_seconds",
    "Time to answer a request (streams: until the answer began)",
    ["service", "method", "route", "status"],
    buckets=LATENCY_BUCKETS,
)
BUS_ERRORS = Counter("keystead_bus_errors_total", "Messages that Redis did not take", ["operation"])
FACTS_SENT = Counter("keystead_facts_sent_total", "Facts handed to the queue, repeats included", ["destination"])
FACTS_TAKEN = Counter("keystead_facts_taken_total", "Facts received, by what became of them", ["type", "outcome"])
OUTBOX_DEPTH = Gauge("keystead_outbox_messages", "Facts without a receipt")
OUTBOX_AGE = Gauge("keystead_outbox_oldest_age_seconds", "Age of the oldest fact without a receipt")
DUTIES = Histogram(
    "keystead_worker_duty_duration_seconds",
    "Time of one pass of a duty that had work",
    ["duty"],
    buckets=LATENCY_BUCKETS,
)
DUTY_ERRORS = Counter("keystead_worker_duty_errors_total", "Passes of a duty that raised", ["duty"])


def serve_metrics(host: str, port: int) -> None:
    """Exposes the default registry on `host:port`, in a daemon thread. Port 0: not at all."""
    if port:
        start_http_server(port, addr=host, registry=REGISTRY)
