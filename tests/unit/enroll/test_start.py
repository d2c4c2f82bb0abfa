"""A command waits for no library that it does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["cli_server", "cli_ca", "cli"])
def test_a_command_imports_no_server_and_no_linter(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, keystead_enroll.{module}; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not {"fastapi", "celery", "alembic", "pkilint", "uvicorn"} & set(told.stdout.split())
