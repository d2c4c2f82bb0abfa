"""Fixtures that every kind of test shares: real servers, one of each a test process, clean for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tests.support.mailbox import Mailbox
from tests.support.scratch import scratch_folder
from tests.support.servers import PostgresServer, RedisServer, postgres_server, redis_server

SQLITE_ROOM = 512 * 1024 * 1024

# services inside a test log plain text: structlog draws tracebacks for seconds by default, while event loops wait
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def redis_url(_redis: RedisServer) -> str:
    """An empty Redis."""
    _redis.flush()
    return _redis.url


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A redis-server for this test alone, which may stop and start it."""
    with redis_server() as server:
        yield server


@pytest.fixture
def sqlite_url() -> Iterator[str]:
    """A SQLite database that does not exist yet."""
    folder = scratch_folder("keystead-sqlite-", SQLITE_ROOM)
    yield f"sqlite:///{folder}/test.db"
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(_postgres: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    with _postgres.database() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, once of each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    """A mail server that takes everything, for this test alone."""
    box = Mailbox(tmp_path / "mail")
    with box.serving():
        yield box
