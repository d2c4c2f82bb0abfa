"""A service's worker: a Celery consumer for the bells and facts, and a heartbeat that needs neither.

A *duty* is a function that does one batch of undone rows and says how many it did. A bell or a heartbeat runs all
duties until a whole round finds nothing; one round at a time in a process, any number of processes at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from keystead_contracts.events import Envelope, Fact, parse_fact
from keystead_kit.bus import DOORBELL, FACT, RECEIPT, Bus, queue_name
from keystead_kit.clock import Clock
from keystead_kit.db import Database
from keystead_kit.logs import get_logger
from keystead_kit.metrics import (
    DUTIES,
    DUTY_ERRORS,
    FACTS_SENT,
    FACTS_TAKEN,
    OUTBOX_AGE,
    OUTBOX_DEPTH,
    serve_metrics,
)
from keystead_kit.outbox import OLDEST_FACT, Inbox, Outbox
from keystead_kit.settings import ServiceSettings
from keystead_kit.trace import tracing

if TYPE_CHECKING:
    from celery import Celery

Duty = Callable[[], int]
TakeFact = Callable[[Session, Fact, Envelope], None]
MOST_ROUNDS = 1000
SELF_RING_SECONDS = 10.0
DEAF_AFTER_SECONDS = 40.0
EXIT_DEAF = 70

_log = get_logger()


class Messenger:
    """The outbox and inbox of one service, on its bus."""

    def __init__(
        self, database: Database, bus: Bus, clock: Clock, outbox: Outbox, inbox: Inbox, take: TakeFact
    ) -> None:
        self._database, self._bus, self._clock = database, bus, clock
        self._outbox, self._inbox, self._take = outbox, inbox, take

    def relay(self) -> int:
        """Duty: sends the facts that are due. What Redis does not take comes due again by itself."""
        with self._database.write() as session:
            envelopes = self._outbox.claim(session, self._clock.now())
        for envelope in envelopes:
            if not self._bus.tell(envelope):
                return 0
            FACTS_SENT.labels(destination=envelope.destination).inc()
        return len(envelopes)

    def take_in(self, raw: Mapping[str, Any]) -> None:
        """Takes a fact in, once, and sends the receipt. A malformed message is logged and dropped; a fact older than
        `OLDEST_FACT`, of which nobody knows any more whether it was taken, has its receipt and no effect."""
        try:
            envelope = Envelope.model_validate(raw)
            fact = parse_fact(envelope)
        except ValidationError as error:
            FACTS_TAKEN.labels(type="unknown", outcome="malformed").inc()
            _log.error("malformed fact dropped", problems=error.error_count())
            return
        with tracing(envelope.trace_id):
            kind = str(envelope.fact.get("type", "unknown")) if fact else "unknown"
            if self._clock.now() - envelope.recorded_at > OLDEST_FACT:
                FACTS_TAKEN.labels(type=kind, outcome="stale").inc()
                _log.warning("fact too old to be taken", message_id=envelope.message_id, type=kind)
                self._bus.receipt(envelope.source, [envelope.message_id])
                return
            with self._database.write() as session:
                fresh = self._inbox.first_time(session, envelope.message_id, self._clock.now())
                if fresh and fact is not None:
                    self._take(session, fact, envelope)
            FACTS_TAKEN.labels(type=kind, outcome="taken" if fresh else "repeat").inc()
            self._bus.receipt(envelope.source, [envelope.message_id])
            if fresh:
                self._bus.ring()

    def settle(self, message_ids: list[str]) -> None:
        """Forgets facts whose receipts came."""
        with self._database.write() as session:
            self._outbox.settle(session, message_ids)

    def observe(self) -> None:
        """Sets the outbox gauges."""
        with self._database.read() as session:
            depth, oldest = self._outbox.depth(session)
        OUTBOX_DEPTH.set(depth)
        OUTBOX_AGE.set((self._clock.now() - oldest).total_seconds() if oldest else 0)


class Rounds:
    """Runs duties until there is nothing left, one round at a time."""

    def __init__(self, duties: Mapping[str, Duty]) -> None:
        self._duties = duties
        self._lock = threading.Lock()
        self._again = threading.Event()

    def run(self) -> int:
        """Does all there is to do; how many rows that was. A duty that raises is logged, the others go on.

        While another thread is at it, it is told to look once more and this one does not wait: a bell never keeps the
        consumer from its queue.
        """
        done = 0
        self._again.set()
        while self._again.is_set() and self._lock.acquire(blocking=False):
            try:
                self._again.clear()
                done += self._until_nothing_is_found()
            finally:
                self._lock.release()
        return done

    def _until_nothing_is_found(self) -> int:
        done = 0
        for _ in range(MOST_ROUNDS):
            found = sum(self._one(name, duty) for name, duty in self._duties.items())
            done += found
            if not found:
                break
        return done

    @staticmethod
    def _one(name: str, duty: Duty) -> int:
        started = time.perf_counter()
        try:
            found = duty()
        except Exception:
            DUTY_ERRORS.labels(duty=name).inc()
            _log.exception("duty failed, it runs again at the next heartbeat", duty=name)
            return 0
        if found:
            DUTIES.labels(duty=name).observe(time.perf_counter() - started)
        return found


def run_worker(settings: ServiceSettings, bus: Bus, messenger: Messenger, duties: Mapping[str, Duty]) -> None:
    """Runs until SIGTERM or SIGINT; finishes the task at hand first."""
    from celery.apps.worker import Worker

    rounds = Rounds({"relay": messenger.relay, **duties})
    ears = _Ears()
    app = bus.celery
    _register(app, bus, messenger, rounds, ears)
    serve_metrics(settings.worker_metrics_host, settings.worker_metrics_port)
    stopping = threading.Event()
    beat = threading.Thread(
        target=_heartbeat,
        args=(settings.heartbeat_seconds, rounds, bus, messenger, ears, stopping),
        daemon=True,
    )
    beat.start()
    worker = Worker(
        app=app,
        pool_cls="solo",
        concurrency=1,
        queues=[queue_name(bus.service)],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel=settings.log_level,
        quiet=True,
        hostname=f"{bus.service}@{os.getpid()}",
    )
    _log.info("worker started")
    try:
        worker.start()
    finally:
        stopping.set()
        beat.join(timeout=10)
    if worker.exitcode:
        raise SystemExit(worker.exitcode)


class _Ears:
    """For how long this worker has waited, with Redis well, without hearing anything from the queue. Its own work does
    not count as waiting. A Redis that dies between a message and its acknowledgement can leave a consumer deaf."""

    def __init__(self) -> None:
        self.silence = 0.0

    def heard(self) -> None:
        self.silence = 0.0

    def waited(self, seconds: float) -> None:
        self.silence += seconds


def _register(app: Celery, bus: Bus, messenger: Messenger, rounds: Rounds, ears: _Ears) -> None:
    @app.task(name=DOORBELL)  # type: ignore[untyped-decorator]
    def doorbell() -> None:
        ears.heard()
        bus.heard()
        rounds.run()

    @app.task(name=FACT)  # type: ignore[untyped-decorator]
    def fact(envelope: dict[str, Any]) -> None:
        ears.heard()
        messenger.take_in(envelope)

    @app.task(name=RECEIPT)  # type: ignore[untyped-decorator]
    def receipt(message_ids: list[str]) -> None:
        ears.heard()
        messenger.settle(message_ids)


def _heartbeat(
    seconds: float, rounds: Rounds, bus: Bus, messenger: Messenger, ears: _Ears, stopping: threading.Event
) -> None:
    """Looks for work unasked, and ends a process whose consumer went deaf while Redis is well (it is started again)."""
    since_ring = 0.0
    while not stopping.wait(seconds):
        ears.waited(seconds)
        rounds.run()
        try:
            messenger.observe()
        except Exception:
            _log.exception("outbox not observed")
        since_ring += seconds
        if since_ring >= SELF_RING_SECONDS:
            since_ring = 0.0
            bus.ring()
        if not _redis_is_well(bus):
            ears.heard()
        elif ears.silence > DEAF_AFTER_SECONDS:
            _log.error("the consumer went deaf, the worker ends to be started again", silence_seconds=ears.silence)
            ears.heard()
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Timer(15, os._exit, args=(EXIT_DEAF,)).start()


def _redis_is_well(bus: Bus) -> bool:
    try:
        bus.ping()
    except Exception:
        return False
    return True
