"""The Celery bus over Redis: facts, receipts and doorbells, all expendable.

Each service has one queue, `keystead.<service>`, and three task names on it: a fact to take in, receipts for facts it
sent, and its doorbell ("there is work", no payload, not rung again while one is waiting). Redis pub/sub carries the
wake-ups for open streams.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import redis

from keystead_contracts.events import Envelope
from keystead_kit.logs import get_logger
from keystead_kit.metrics import BUS_ERRORS

if TYPE_CHECKING:
    from celery import Celery

FACT = "keystead.fact"
RECEIPT = "keystead.receipt"
DOORBELL = "keystead.doorbell"
DOORBELL_HELD_SECONDS = 5
SOCKET_TIMEOUT_SECONDS = 2.0

_log = get_logger()


def queue_name(service: str) -> str:
    """The one queue of `service`."""
    return f"keystead.{service}"


def new_celery(service: str, redis_url: str) -> Celery:
    """A Celery application for `service`: no results, no remote control, no retries that would hold a request. Celery
    is imported here: a command that sends nothing need not wait for it."""
    from celery import Celery

    app = Celery(service, broker=redis_url, set_as_current=False)
    app.conf.update(
        task_default_queue=queue_name(service),
        task_ignore_result=True,
        task_store_eager_result=False,
        task_publish_retry=False,
        task_create_missing_queues=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=False,  # what is lost with a worker is sent again: the outbox waits for a receipt
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": 30,
            "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,
            "socket_keepalive": True,
            "retry_on_timeout": True,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.5,
            # kombu's own keys, apart for each service: its Redis user may see no other service's messages
            "unacked_key": f"{queue_name(service)}.unacked",
            "unacked_index_key": f"{queue_name(service)}.unacked_index",
            "unacked_mutex_key": f"{queue_name(service)}.unacked_mutex",
        },
    )
    return app


class Bus:
    """Sends on the bus. Nothing here raises when Redis is away: what matters is in the database already."""

    def __init__(self, service: str, redis_url: str) -> None:
        self.service = service
        self._redis_url = redis_url
        self.redis: redis.Redis = redis.Redis.from_url(
            redis_url,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            decode_responses=True,
        )

    @cached_property
    def celery(self) -> Celery:
        """What sends, made when it is first wanted."""
        return new_celery(self.service, self._redis_url)

    def prepare(self) -> None:
        """Makes what sends now, so that the first who asks for something need not wait for it."""
        _ = self.celery

    def ring(self, service: str | None = None) -> None:
        """Tells the service's workers that there is work, unless a bell is waiting to be heard already."""
        target = service or self.service
        try:
            if self.redis.set(_held(target), "1", nx=True, ex=DOORBELL_HELD_SECONDS):
                self._send(target, DOORBELL, [])
        except Exception as error:
            self._missed("ring", error)

    def heard(self) -> None:
        """The worker is about to look: the next `ring` counts again."""
        try:
            self.redis.delete(_held(self.service))
        except redis.RedisError as error:
            self._missed("heard", error)

    def tell(self, envelope: Envelope) -> bool:
        """Sends a fact to its destination; whether Redis took it."""
        try:
            self._send(envelope.destination, FACT, [envelope.model_dump(mode="json")])
        except Exception as error:
            self._missed("tell", error)
            return False
        return True

    def receipt(self, source: str, message_ids: list[str]) -> None:
        """Tells `source` that these messages took effect here."""
        try:
            self._send(source, RECEIPT, [message_ids])
        except Exception as error:
            self._missed("receipt", error)

    def wake(self, topics: Iterable[str]) -> None:
        """Wakes this service's open streams that wait for any of `topics`."""
        message = json.dumps(sorted(topics))
        try:
            self.redis.publish(wake_channel(self.service), message)
        except redis.RedisError as error:
            self._missed("wake", error)

    def ping(self) -> None:
        """Raises redis.RedisError if Redis does not answer."""
        self.redis.ping()

    def close(self) -> None:
        """Closes the connections."""
        self.redis.close()
        if "celery" in self.__dict__:
            self.celery.close()

    def _send(self, service: str, task: str, args: list[Any]) -> None:
        self.celery.send_task(task, args=args, queue=queue_name(service), retry=False, ignore_result=True)

    @staticmethod
    def _missed(what: str, error: Exception) -> None:
        BUS_ERRORS.labels(operation=what).inc()
        _log.warning("bus unreachable, the heartbeat will do it", operation=what, error=str(error))


def wake_channel(service: str) -> str:
    """The pub/sub channel of a service's wake-ups; a message is a JSON list of topics."""
    return f"keystead.{service}.wake"


def _held(service: str) -> str:
    return f"keystead.{service}.doorbell"
