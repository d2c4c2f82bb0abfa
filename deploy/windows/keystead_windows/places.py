"""Where things are: everything that is made lies below var/windows."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
VAR = ROOT / "var/windows"
PYTHON = VAR / "python"
PREFIX = VAR / "prefix"
SOURCES = (ROOT / "agent/src", ROOT / "services/contracts/src")
REQUIREMENTS = ROOT / "requirements"
