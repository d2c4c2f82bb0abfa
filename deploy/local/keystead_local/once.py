"""What is done once: a file applied until it changes, a folder used by one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Once:
    """Whether `file` was applied to the data beside which `marker` lies, as the file is now."""

    def __init__(self, marker: Path, file: Path) -> None:
        self._marker, self._digest = marker, hashlib.sha256(file.read_bytes()).hexdigest()

    @property
    def is_due(self) -> bool:
        """The data is new, or the file is another one than was applied last."""
        return not self._marker.exists() or self._marker.read_text() != self._digest

    def done(self) -> None:
        """Notes that the file was applied."""
        self._marker.write_text(self._digest)


class FolderInUse(Exception):
    """Another process holds the folder; its words are the message."""


@contextmanager
def holding(folder: Path, words: str) -> Iterator[None]:
    """Keeps `folder` for this process while the block runs; `words` tell others who that is. The lock ends with the
    process, however it ends. Raises FolderInUse."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(file.read()) from error
        file.truncate()
        file.write(words)
        file.flush()
        yield
        file.seek(0)
        file.truncate()
