"""A little of `make fuzz`, the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.attacks.fuzz import fuzz
from tests.support.administrators import administrator, api_token
from tests.support.enroll_app import served
from tests.support.tenants import tenant


@pytest.mark.parametrize("real", [True, False], ids=["at real things", "at made-up things"])
def test_the_api_answers_as_its_document_says(sqlite_url: str, redis_url: str, tmp_path: Path, real: bool) -> None:
    with served(sqlite_url, redis_url, token_limit_address="1000000/minute") as app:
        things, token = tenant(app, "Aldebaran"), api_token(app, administrator(app))
        options = ("--phases", "fuzzing", "--max-examples", "2", "--no-shrink")
        assert fuzz(app.origin, token, things if real else None, tmp_path, 20261125, *options) == 0
