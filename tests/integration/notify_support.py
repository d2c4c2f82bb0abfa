"""notify on real parts: its worker's duties in this process, or its worker as a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.integration.auth_support import TestClock
from tests.support.servers import HOST, end_process

from keystead_contracts.base import AssuranceLevel, CertificateType
from keystead_contracts.events import CertificateInstalled, Envelope, LoginRequested
from keystead_kit.secrets import new_id
from keystead_notify.adapters import tables
from keystead_notify.bootstrap import WorkerParts, migrations, worker_parts
from keystead_notify.settings import NotifyWorkerSettings
from keystead_notify.worker import duties

ORIGIN = "http://localhost:8080"


def login(email: str = "ada@example.org", minutes: float = 15) -> LoginRequested:
    now = datetime.now(UTC)
    return LoginRequested(
        email=email, organization="Northwind", form_name="Staff", link=f"{ORIGIN}/auth/confirm/{new_id()}",
        requested_at=now, expires_at=now + timedelta(minutes=minutes),
    )  # fmt: skip


def installed(email: str = "ada@example.org") -> CertificateInstalled:
    now = datetime.now(UTC)
    return CertificateInstalled(
        email=email, organization="Northwind", form_name="Staff", order_id=new_id(),
        certificate_type=CertificateType.CLIENT, subject="CN=Ada", issuer="CN=CA", serial="01",
        not_after=now + timedelta(days=365), machine="laptop", assurance=AssuranceLevel.ATTESTED, installed_at=now,
        portal_link=f"{ORIGIN}/e/staff",
    )  # fmt: skip


def in_envelope(fact: LoginRequested | CertificateInstalled, message_id: str | None = None) -> Envelope:
    return Envelope(
        message_id=message_id or new_id(), source="auth", destination="notify", recorded_at=datetime.now(UTC),
        trace_id="c" * 32, fact=fact.model_dump(mode="json"),
    )  # fmt: skip


def settings(database_url: str, redis_url: str, smtp_port: int, **changes: Any) -> dict[str, Any]:
    return {
        "mode": "development",
        "public_origin": ORIGIN,
        "database_url": database_url,
        "redis_url": redis_url,
        "smtp_host": HOST,
        "smtp_port": smtp_port,
        "smtp_security": "none",
        "smtp_from": "Keystead <no-reply@example.org>",
        "heartbeat_seconds": 0.3,
        "retry_first_seconds": 0.3,
        "smtp_timeout_seconds": 5,
    } | changes


@dataclass
class Notify:
    """notify's worker, in this process."""

    parts: WorkerParts
    clock: TestClock

    def take(self, envelope: Envelope) -> None:
        self.parts.messenger.take_in(envelope.model_dump(mode="json"))

    def deliver(self) -> int:
        return duties(self.parts)["deliver"]()

    def letters(self) -> list[Any]:
        with self.parts.database.read() as session:
            return list(session.execute(select(tables.letters).order_by(tables.letters.c.queued_at)).all())


@contextmanager
def running_notify(database_url: str, redis_url: str, smtp_port: int, **changes: Any) -> Iterator[Notify]:
    """notify, migrated."""
    clock = TestClock()
    parts = worker_parts(NotifyWorkerSettings(**settings(database_url, redis_url, smtp_port, **changes)), clock)
    migrations(parts.database).upgrade()
    try:
        yield Notify(parts, clock)
    finally:
        parts.bus.close()
        parts.database.close()


class WorkerProcess:
    """`keystead-<service> worker` as a process."""

    def __init__(self, service: str, values: dict[str, Any], log: Path) -> None:
        prefix = f"KEYSTEAD_{service.upper()}_"
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")} | {
            f"{prefix}{name.upper()}": str(value) for name, value in values.items()
        }
        self._command = [str(Path(sys.executable).parent / f"keystead-{service}"), "worker"]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stderr=log, stdout=log)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process:
            end_process(self._process)

    def __enter__(self) -> WorkerProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
