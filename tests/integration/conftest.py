"""One enroll for each test, on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.enroll_app import EnrollApp, enroll_app


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url) as app:
        yield app


@pytest.fixture
def lite(sqlite_url: str, redis_url: str) -> Iterator[EnrollApp]:
    """For refusals that no database has a part in."""
    with enroll_app(sqlite_url, redis_url) as app:
        yield app
