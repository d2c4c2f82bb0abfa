"""The administrator's command `keystead` on the server, for tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from click.testing import CliRunner, Result
from tests.support.enroll_app import ACCESS_CODE_KEY, COOKIE_KEY, files

from keystead_enroll.cli import main

Keystead = Callable[..., Result]


def runner(environment: Mapping[str, str | None]) -> CliRunner:
    """Runs commands with these settings and none of this process's."""
    own = {name: None for name in os.environ if name.startswith("KEYSTEAD_")}
    return CliRunner(env={**own, **environment})


def environment(database_url: str, redis_url: str) -> dict[str, str | None]:
    """The settings of the `app` fixture's enroll."""
    made = files()
    values = {
        "MODE": "development",
        "PUBLIC_ORIGIN": "http://enroll.test:7800",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "IDENTITY_KEY_FILE": str(made.identity_public),
        "TOKEN_KEY_FILE": str(made.token_key),
        "COOKIE_KEY": COOKIE_KEY,
        "ACCESS_CODE_KEY": ACCESS_CODE_KEY,
        "CA_FOLDER": str(made.ca_folder),
    }
    return {f"KEYSTEAD_ENROLL_{name}": value for name, value in values.items()}


def commands(database_url: str, redis_url: str) -> Keystead:
    """Runs `keystead …` beside the enroll on these servers."""

    def run(*arguments: str) -> Result:
        return runner(environment(database_url, redis_url)).invoke(main, list(arguments))

    return run


def set_up_writer(folder: Path) -> Callable[[object], str]:
    """Writes a set-up file; its path."""

    def write(content: object) -> str:
        path = folder / "setup.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return str(path)

    return write
