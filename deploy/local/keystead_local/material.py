"""The secrets of one installation in a folder: made once, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAMES = (
    "auth-cookie-key",
    "auth-totp-key",
    "enroll-cookie-key",
    "enroll-access-code-key",
    "enroll-ca-key-passphrase",
    "enroll-ca-root-passphrase",
    "redis-password",
)


def make_secrets(folder: Path) -> None:
    """Makes every secret that `folder` lacks: 256 random bits, hex, mode 0600 in a folder of mode 0700."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in NAMES:
        if not (folder / name).exists():
            write_secret(folder / name, secrets.token_hex(32))


def write_secret(path: Path, text: str) -> None:
    """Writes `text` to `path`, all or nothing, mode 0600."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
