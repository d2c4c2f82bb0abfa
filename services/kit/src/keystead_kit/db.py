"""One way to reach SQLite and PostgreSQL: engines, column types, transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Dialect, Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.types import TypeDecorator

POOL_SIZE, MOST_CONNECTIONS = 10, 31
"""Connections that are kept, and the most that a process has at once."""
BUSY_SECONDS = 15
"""How long a writer waits for others on SQLite."""
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def new_metadata() -> MetaData:
    """Metadata whose constraints have stable names, so that migrations can speak of them."""
    return MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on both databases. Refuses naive values."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: UTC; naive on SQLite, which has no zones."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """A database and its transactions.

    On SQLite a transaction that may write takes the write lock at its start (`BEGIN IMMEDIATE`): two writers wait
    for each other instead of failing half-way. Those of one process queue for it: SQLite itself wakes nobody, so who
    merely tries again and again may never have it while many others do. `synchronous=FULL`: a committed row survives a
    power cut.
    """

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            if self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = create_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=MOST_CONNECTIONS - pool_size,
                connect_args={"timeout": BUSY_SECONDS},
                hide_parameters=True,
            )
            _use_explicit_transactions(self.engine)
        else:
            self.engine = create_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=MOST_CONNECTIONS - pool_size,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args={"connect_timeout": 5, "options": "-c lock_timeout=15s -c statement_timeout=30s"},
            )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed when the block ends, rolled back when it raises."""
        with self._turn(), self._sessions() as session, session.begin():
            yield session

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """This writer's, on SQLite; who waits too long goes on and leaves it to SQLite."""
        held = self.is_sqlite and self._writers.acquire(timeout=BUSY_SECONDS)
        try:
            yield
        finally:
            if held:
                self._writers.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading only; on SQLite it never waits for a writer."""
        with self._sessions() as session:
            session.connection(execution_options={"keystead_read": True})
            yield session
            session.expunge_all()  # what was read stays usable, as it was, after the transaction
            session.rollback()

    def ping(self) -> None:
        """Raises sqlalchemy.exc.OperationalError if the database does not answer."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def claim_options(self) -> dict[str, Any]:
        """Arguments for `Select.with_for_update` that let several workers claim different rows."""
        return {"skip_locked": True}

    def close(self) -> None:
        """Closes every pooled connection."""
        self.engine.dispose()


def _use_explicit_transactions(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("keystead_read", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
