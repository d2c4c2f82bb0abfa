"""The one place where notify's ports meet their adapters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from keystead_contracts.events import Envelope, Fact
from keystead_kit.bus import Bus
from keystead_kit.clock import Clock, SystemClock
from keystead_kit.db import Database
from keystead_kit.migrations import Migrations
from keystead_kit.worker import Messenger, TakeFact
from keystead_notify import ports
from keystead_notify.adapters import tables
from keystead_notify.adapters.smtp import MailServer, SmtpMailer
from keystead_notify.adapters.store import SqlLetters, SqlTransactions
from keystead_notify.adapters.writing import Writer
from keystead_notify.domain.letter import RetryPolicy
from keystead_notify.settings import NotifySettings, NotifyWorkerSettings, parse_sender
from keystead_notify.usecases.queue_letter import queue_letter

SERVICE = tables.SERVICE


@dataclass(frozen=True)
class WebParts:
    """What notify's web is made of."""

    settings: NotifySettings
    database: Database
    bus: Bus
    writer: Writer


@dataclass(frozen=True)
class WorkerParts:
    """What notify's worker is made of."""

    settings: NotifySettings
    database: Database
    bus: Bus
    messenger: Messenger
    transactions: ports.Transactions
    mailer: ports.Mailer
    policy: RetryPolicy
    clock: Clock


def web_parts(settings: NotifySettings) -> WebParts:
    """The web's parts on real adapters."""
    return WebParts(
        settings=settings,
        database=Database(settings.database_url.get_secret_value()),
        bus=Bus(SERVICE, settings.redis_url.get_secret_value()),
        writer=Writer(),
    )


def worker_parts(settings: NotifyWorkerSettings, clock: Clock | None = None) -> WorkerParts:
    """The worker's parts on real adapters."""
    database = Database(settings.database_url.get_secret_value())
    bus = Bus(SERVICE, settings.redis_url.get_secret_value())
    clock = clock or SystemClock()
    policy = retry_policy(settings)
    return WorkerParts(
        settings=settings,
        database=database,
        bus=bus,
        messenger=Messenger(database, bus, clock, tables.outbox, tables.inbox, fact_taker(clock, policy)),
        transactions=SqlTransactions(database),
        mailer=SmtpMailer(mail_server(settings), Writer()),
        policy=policy,
        clock=clock,
    )


def fact_taker(clock: Clock, policy: RetryPolicy) -> TakeFact:
    """What takes a fact in, in the inbox's transaction."""

    def take_fact(session: Session, fact: Fact, envelope: Envelope) -> None:
        queue_letter(SqlLetters(session), fact, envelope, clock.now(), policy)

    return take_fact


def retry_policy(settings: NotifySettings) -> RetryPolicy:
    """The policy that the settings describe."""
    return RetryPolicy(
        first=timedelta(seconds=settings.retry_first_seconds),
        longest=timedelta(seconds=settings.retry_longest_seconds),
        longest_for_login=timedelta(seconds=settings.retry_login_longest_seconds),
        give_up=timedelta(hours=settings.give_up_hours),
        lease=settings.lease,
    )


def mail_server(settings: NotifyWorkerSettings) -> MailServer:
    """The mail server that the settings name."""
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        sender=parse_sender(settings.smtp_from),
        domain=settings.mail_domain,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        ca_file=settings.smtp_ca_file,
        timeout=settings.smtp_timeout_seconds,
    )


def migrations(database: Database) -> Migrations:
    """notify's migrations on `database`."""
    return Migrations(database, tables.metadata, Path(__file__).parent / "migrations")
