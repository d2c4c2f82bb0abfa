"""Tests that call Windows' own DLLs. CPython for Windows runs them, under Wine on Linux: `make test-windows`."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header() -> str | None:
    return None if sys.platform == "win32" else "tests/windows: not run here, `make test-windows` runs them under Wine"
