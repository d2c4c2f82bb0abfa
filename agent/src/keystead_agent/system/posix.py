"""Files, locks, accounts and folders of Linux; see `windows` for the other half."""

from __future__ import annotations

import sys

assert sys.platform != "win32"  # for the type checker, which then reads this for one platform

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
SETTINGS_FILE = Path("/etc/keystead/agent.toml")
POLICY_SOURCE = ""
"""Where `policy` comes from, in words."""


def try_lock(descriptor: int) -> bool:
    """Takes the lock on an open file (flock(2)) until it is closed, unless another open of the file has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unseen_file(name: str) -> int:
    """The descriptor of an empty file that nobody else sees."""
    return os.memfd_create(name)


def replace(source: Path, target: Path) -> None:
    """Renames; a file takes the place of another one."""
    source.replace(target)


def sync_directory(path: Path) -> None:
    """Makes the names in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private(path: Path) -> None:
    """Makes the folder `path` for this account alone, unless it is there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def works_for_computer() -> bool:
    """Whether this account's keys and certificates are the computer's."""
    return os.geteuid() == 0


def computer_state() -> Path:
    """Where the computer's keys and certificates are kept."""
    return Path("/var/lib/keystead")


def claim_computer_folder() -> None:
    """Makes the folder of the computer's settings; only root can."""
    SETTINGS_FILE.parent.mkdir(mode=0o755, parents=True, exist_ok=True)


def account_state(environ: Mapping[str, str]) -> Path:
    """Where this account's are kept."""
    return Path(environ.get("XDG_DATA_HOME") or f"{environ.get('HOME', '~')}/.local/share") / "keystead"


def foreign_hand(path: Path) -> str:
    """Who, not being an administrator, could have written `path`; empty if nobody. /etc is root's by its mode."""
    return ""


def policy() -> dict[str, Any]:
    """Policy that is set elsewhere than in files: here nothing."""
    return {}
