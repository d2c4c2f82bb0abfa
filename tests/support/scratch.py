"""Folders for what a test's servers write: in memory where there is room. No test needs what a power cut leaves."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")


def scratch_folder(prefix: str, room: int) -> Path:
    """A new, empty folder in which `room` bytes may be written. Whoever asked removes it."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= room
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if in_memory else None))
