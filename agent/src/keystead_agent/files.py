"""Files that survive a power cut: whole or absent, and on disk before the caller goes on; locks between processes."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from keystead_agent.backoff import NOTICE_SECONDS
from keystead_agent.errors import StoreUnwritable
from keystead_agent.system import system

_SAFE_NAME = re.compile(
    r"(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[A-Z0-9_-]([A-Z0-9._-]{0,98}[A-Z0-9_-])?", re.ASCII | re.IGNORECASE
)
TEMPORARY_PREFIX = ".tmp-"


def safe_name(identifier: str) -> str:
    """`identifier` as one path component: itself if it is plain, else its SHA-256. A server chooses identifiers, so
    none of them may leave the directory that it is meant for; on Windows neither by the name of a device, whatever its
    extension, nor as another one by a full stop at its end."""
    if _SAFE_NAME.fullmatch(identifier):
        return identifier
    return "h-" + hashlib.sha256(identifier.encode()).hexdigest()


def private_directory(path: Path) -> Path:
    """`path`, made for this account alone if it is absent. Raises StoreUnwritable."""
    require_folder(path)
    with unwritable(path):
        system.make_private(path)
    return path


def require_folder(path: Path) -> Path:
    """What there is of `path`: itself, or the nearest parent that exists. Raises StoreUnwritable if that is not a
    folder."""
    with unwritable(path):
        nearest = next(place for place in (path, *path.parents) if os.path.lexists(place))
        if not nearest.is_dir():
            raise StoreUnwritable(
                f"{nearest} is not a folder",
                "Name a folder in the setting state_dir (KEYSTEAD_AGENT_STATE_DIR), or move away what is there.",
            )
    return nearest


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Turns an OSError inside into StoreUnwritable that names `path`."""
    try:
        yield
    except OSError as error:
        raise StoreUnwritable(
            f"{error.filename or path} cannot be used: {error.strerror or error}",
            "Check the owner, the permissions and the free space of the agent's state directory, or change the "
            "setting state_dir (KEYSTEAD_AGENT_STATE_DIR).",
        ) from error


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | system.OPEN_FLAGS, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_file(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` (mode 0600): after a crash either the old or the new content is there, whole.
    Raises StoreUnwritable."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    with unwritable(path):
        try:
            _write_synced(temporary, content)
            system.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        system.sync_directory(path.parent)


def write_directory(path: Path, content: Mapping[str, bytes]) -> None:
    """Makes directory `path` hold exactly the files `content`, all at once. An older directory of that name is kept
    beside as `.old-<name>` until the new one is in place; `recover_directories` puts it back after a crash in
    between. Raises StoreUnwritable."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    old = path.with_name(f".old-{path.name}")
    with unwritable(path):
        try:
            temporary.mkdir(mode=0o700)
            for name, data in content.items():
                _write_synced(temporary / name, data)
            system.sync_directory(temporary)
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)
                system.replace(path, old)
            system.replace(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        system.sync_directory(path.parent)
        shutil.rmtree(old, ignore_errors=True)


def remove_directory(path: Path) -> None:
    """Removes directory `path` if it is there; after a crash it is there whole or not at all."""
    with unwritable(path):
        doomed = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
        try:
            system.replace(path, doomed)
        except FileNotFoundError:
            return
        system.sync_directory(path.parent)
        shutil.rmtree(doomed)


def recover_directories(parent: Path) -> None:
    """Tidies `parent` after a crash: puts interrupted replacements back and removes what was never finished. Call it
    only while holding the lock under which `parent` is written."""
    with unwritable(parent):
        for old in parent.glob(".old-*"):
            current = parent / old.name.removeprefix(".old-")
            if current.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                system.replace(old, current)
        for unfinished in parent.glob(f"{TEMPORARY_PREFIX}*"):
            if unfinished.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
            else:
                unfinished.unlink(missing_ok=True)


@contextmanager
def locked(
    path: Path, *, patience: float, create: bool = True, waiting: Callable[[], None] | None = None
) -> Iterator[int | None]:
    """Holds the lock file `path` against other processes and threads; the system frees it if the process dies. Yields
    its descriptor, or None if it could not be had within `patience` seconds; calls `waiting` once after
    NOTICE_SECONDS. Without `create` a lock file that is not there, or not for this account, is nobody's: the
    descriptor is then of a file that nobody else sees."""
    descriptor = _lock_file(path, create=create)
    try:
        yield descriptor if _acquire(descriptor, patience, waiting) else None
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _lock_file(path: Path, *, create: bool) -> int:
    flags = os.O_RDWR | system.OPEN_FLAGS
    if create:
        with unwritable(path):
            return os.open(path, flags | os.O_CREAT, 0o600)
    try:
        return os.open(path, flags)
    except OSError:
        return system.unseen_file(path.name)


def _acquire(descriptor: int, patience: float, waiting: Callable[[], None] | None) -> bool:
    started = time.monotonic()
    pause = 0.002
    while True:
        if system.try_lock(descriptor):
            return True
        waited = time.monotonic() - started
        if waited >= patience:
            return False
        if waiting is not None and waited >= NOTICE_SECONDS:
            waiting()
            waiting = None
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@contextmanager
def held(
    path: Path, owner: int, *, patience: float = 0.0, waiting: Callable[[int], None] | None = None
) -> Iterator[int | None]:
    """Like `locked`, in the name of process `owner`. Yields None once the lock is held, else the process that holds
    it (0 if that cannot be told), of which `waiting` is told after NOTICE_SECONDS."""
    tell = None if waiting is None else lambda: waiting(_owner(path))
    with locked(path, patience=patience, waiting=tell) as lock:
        if lock is None:
            yield _owner(path)
            return
        with unwritable(path):
            os.ftruncate(lock, 0)
            os.lseek(lock, 0, os.SEEK_SET)
            os.write(lock, str(owner).encode())
        yield None


def _owner(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
