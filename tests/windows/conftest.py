"""Tests that call Windows' own DLLs. CPython for Windows runs them, under Wine on Linux: `make test-windows`. What Wine
does not have (`*_on_hardware.py`) is for a Windows of Microsoft's."""

from __future__ import annotations

import ctypes
import sys

if sys.platform != "win32":
    collect_ignore_glob = ["test_*.py"]
elif hasattr(ctypes.WinDLL("ntdll.dll"), "wine_get_version"):
    collect_ignore_glob = ["test_*_on_hardware.py"]


def pytest_report_header() -> str | None:
    return None if sys.platform == "win32" else "tests/windows: not run here, `make test-windows` runs them under Wine"
