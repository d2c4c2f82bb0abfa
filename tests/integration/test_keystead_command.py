"""The administrator's command `keystead`, as a shell runs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.support.enroll_app import SETUP, EnrollApp, enroll_app, files

from keystead_enroll.cli import main

Keystead = Callable[..., Result]


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url) as app:
        yield app


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
        "COOKIE_KEY": "c" * 40,
        "ACCESS_CODE_KEY": "d" * 40,
        "CA_FOLDER": str(made.ca_folder),
    }
    return {f"KEYSTEAD_ENROLL_{name}": value for name, value in values.items()}


@pytest.fixture
def keystead(app: EnrollApp, database_url: str, redis_url: str) -> Keystead:
    """Runs `keystead …` beside the `app`."""

    def run(*arguments: str) -> Result:
        return CliRunner(env=environment(database_url, redis_url)).invoke(main, list(arguments))

    return run


@pytest.fixture
def set_up(tmp_path: Path) -> Callable[[object], str]:
    """Writes a set-up file; its path."""

    def write(content: object) -> str:
        path = tmp_path / "setup.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return str(path)

    return write


def test_apply_says_what_it_did_and_where_the_forms_are(keystead: Keystead, set_up: Callable[[object], str]) -> None:
    profile = SETUP["profiles"][0] | {"term_days": [30]}
    form = {"name": "Staff", "type": "client", "uri_extension": "new-address"}
    file = set_up({"organizations": [{"name": "New"}], "profiles": [profile, SETUP["profiles"][1]], "forms": [form]})
    would = keystead("apply", "--check", "-f", file)
    assert would.output.endswith("Would be: 1 created, 2 changed, 1 withdrawn, 1 unchanged. Nothing was changed.\n")
    done = keystead("apply", "-f", file)
    assert "created    organization “New”\n" in done.output
    assert "changed    profile “Person”: term_days\n" in done.output
    assert "withdrawn  address /e/" in done.output
    assert "Done: 1 created, 2 changed, 1 withdrawn, 1 unchanged.\n" in done.output
    assert "Staff  http://enroll.test:7800/e/new-address\n" in done.output
    again = json.loads(keystead("apply", "--json", "-f", file).stdout.splitlines()[-1])
    assert (again["unchanged"], again["changes"]) == (4, [])
    assert (would.exit_code, done.exit_code) == (0, 0)


def test_apply_tells_mistakes_of_the_file_and_of_what_it_names_together(
    keystead: Keystead, set_up: Callable[[object], str]
) -> None:
    file = set_up(
        """\
profiles:
  - {name: Broken, type: client, key_algorithms: [ec-p256], term_days: [0], subject: CN=x}
forms:
  - name: Ward
    type: client
    help_link: nowhere
    accounts:
      - name: Nurses
        organization: Nobody
        profiles: [Person, Persn, Broken, Server]
        access_code: RAD2026
        authorization: access_code
"""
    )
    done = keystead("apply", "-f", file)
    assert done.exit_code == 2
    assert done.stderr == (
        f"error: {file} has 6 mistakes:\n"
        "  line 2: profile “Broken”: term_days (number 1): must be 1 or more\n"
        "  line 6: form “Ward”: help_link: must be an address that begins with https:// or http://\n"
        "  line 9: account “Nurses” of form “Ward”: there is no organization “Nobody”\n"
        "  line 10: account “Nurses” of form “Ward”: there is no profile “Persn”\n"
        "  line 10: account “Nurses” of form “Ward”: profile “Server” is for ssl certificates, "
        "the form for client ones\n"
        "  line 11: account “Nurses” of form “Ward”: another account has this access code already; choose another\n"
        "hint: Correct the file and apply it again; nothing was changed.\n"
    )


def test_an_empty_file_is_a_mistake(keystead: Keystead, set_up: Callable[[object], str]) -> None:
    done = keystead("apply", "-f", set_up("# later\n"))
    assert done.exit_code == 2
    assert "setup.yaml: the file is empty\n" in done.stderr


def test_a_database_that_cannot_be_reached_is_told_without_a_traceback(
    redis_url: str, set_up: Callable[[object], str]
) -> None:
    nowhere = environment("postgresql+psycopg://u:tell-nobody@127.0.0.1:1/d", redis_url)
    done = CliRunner(env=nowhere).invoke(main, ["apply", "-f", set_up(SETUP)])
    assert done.exit_code == 4
    assert "error: the database cannot be used: " in done.stderr
    assert "KEYSTEAD_ENROLL_DATABASE_URL" in done.stderr
    assert "tell-nobody" not in done.output
