"""The one place where auth's ports meet their adapters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from keystead_auth import ports
from keystead_auth.adapters import tables
from keystead_auth.adapters.attempts import Limits, RedisAttempts
from keystead_auth.adapters.randomness import SystemRandomness
from keystead_auth.adapters.store import SqlForms, SqlTransactions
from keystead_auth.settings import AuthSettings, AuthWebSettings
from keystead_auth.usecases.project_form import project_form
from keystead_contracts.events import Envelope, Fact, FormPublished
from keystead_kit.bus import Bus
from keystead_kit.clock import Clock, SystemClock
from keystead_kit.db import Database
from keystead_kit.drafts import Drafts
from keystead_kit.forms import Cookies, FormGuard
from keystead_kit.migrations import Migrations
from keystead_kit.ratelimit import RateLimiter
from keystead_kit.secrets import TokenSigner
from keystead_kit.worker import Messenger

SERVICE = tables.SERVICE


@dataclass(frozen=True)
class Parts:
    """What auth's web is made of."""

    settings: AuthWebSettings
    database: Database
    bus: Bus
    transactions: ports.Transactions
    attempts: ports.Attempts
    signer: ports.IdentitySigner
    randomness: ports.Randomness
    clock: Clock
    cookies: Cookies
    identity_cookies: Cookies
    guard: FormGuard
    drafts: Drafts


@dataclass(frozen=True)
class WorkerParts:
    """What auth's worker is made of."""

    settings: AuthSettings
    database: Database
    bus: Bus
    messenger: Messenger
    transactions: ports.Transactions
    randomness: ports.Randomness
    clock: Clock


def web_parts(settings: AuthWebSettings, clock: Clock | None = None) -> Parts:
    """The web's parts on real adapters. Raises ValueError or OSError if the token key cannot be used."""
    database = Database(settings.database_url.get_secret_value())
    redis_url = settings.redis_url.get_secret_value()
    bus = Bus(SERVICE, redis_url)
    key = settings.cookie_key.get_secret_value().encode()
    cookies = Cookies("keystead_auth", settings.secure)
    return Parts(
        settings=settings,
        database=database,
        bus=bus,
        transactions=SqlTransactions(database),
        attempts=RedisAttempts(
            RateLimiter(redis_url, SERVICE),
            Limits(
                per_client=settings.limit_sign_in_per_client,
                per_email=settings.limit_sign_in_per_email,
                per_form=settings.limit_sign_in_per_form,
                confirm_per_client=settings.limit_confirm_per_client,
            ),
            key,
        ),
        signer=TokenSigner.from_file(settings.token_key_file),
        randomness=SystemRandomness(),
        clock=clock or SystemClock(),
        cookies=cookies,
        identity_cookies=Cookies("keystead", settings.secure),
        guard=FormGuard(key, cookies, settings.public_origin),
        drafts=Drafts(key, cookies),
    )


def worker_parts(settings: AuthSettings, clock: Clock | None = None) -> WorkerParts:
    """The worker's parts on real adapters."""
    database = Database(settings.database_url.get_secret_value())
    bus = Bus(SERVICE, settings.redis_url.get_secret_value())
    clock = clock or SystemClock()
    return WorkerParts(
        settings=settings,
        database=database,
        bus=bus,
        messenger=Messenger(database, bus, clock, tables.outbox, tables.inbox, take_fact),
        transactions=SqlTransactions(database),
        randomness=SystemRandomness(),
        clock=clock,
    )


def take_fact(session: Session, fact: Fact, _envelope: Envelope) -> None:
    """Takes a fact in, in the inbox's transaction. Facts that are none of auth's business are dropped."""
    if isinstance(fact, FormPublished):
        project_form(SqlForms(session), fact)


def migrations(database: Database) -> Migrations:
    """auth's migrations on `database`."""
    return Migrations(database, tables.metadata, Path(__file__).parent / "migrations")
