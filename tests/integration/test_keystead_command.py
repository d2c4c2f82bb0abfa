"""The administrator's command `keystead`, as a shell runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tests.support.enroll_app import ADA, BOB, SETUP, EnrollApp
from tests.support.keystead_command import Keystead, commands, environment, runner, set_up_writer

from keystead_enroll.cli import main
from keystead_enroll.cli_server import service


@pytest.fixture
def keystead(app: EnrollApp, database_url: str, redis_url: str) -> Keystead:
    """Runs `keystead …` beside the `app`."""
    return commands(database_url, redis_url)


@pytest.fixture
def set_up(tmp_path: Path) -> Callable[[object], str]:
    """Writes a set-up file; its path."""
    return set_up_writer(tmp_path)


def test_help_tells_the_exit_codes() -> None:
    told = runner({}).invoke(main, ["--help"]).stdout
    told = " ".join(told.split())
    for meaning in ("0 done", "1 failed", "2 usage", "3 refused", "4 server or database not reachable"):
        assert meaning in told


CA_ENVIRONMENT = {"KEYSTEAD_ENROLL_CA_KEY_PASSPHRASE": "the issuing CA's passphrase"}


def ca_init(folder: Path, *arguments: str, **environment: str) -> Result:
    """`keystead ca init` with no settings but the CA's, and no terminal."""
    values = CA_ENVIRONMENT | {"KEYSTEAD_ENROLL_CA_FOLDER": str(folder / "ca")} | environment
    return runner(values).invoke(main, ["ca", "init", "--organization", "Example", *arguments])


def test_a_ca_is_made_with_its_own_settings_and_says_what_to_do_with_the_root(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("the root's passphrase\n")
    done = ca_init(
        tmp_path, "--root-folder", str(tmp_path / "root"), "--root-passphrase-file", str(tmp_path / "passphrase")
    )
    assert done.exit_code == 0, done.output
    for name in ("root", "issuing"):
        certificate = x509.load_pem_x509_certificate((tmp_path / f"ca/{name}.pem").read_bytes())
        assert certificate.fingerprint(SHA256()).hex() in done.output
    assert f"private key  {tmp_path}/root/root.key, encrypted\n" in done.output
    assert "take the root's key offline" in done.output
    assert b"ENCRYPTED" in (tmp_path / "root/root.key").read_bytes()
    assert b"ENCRYPTED" in (tmp_path / "ca/issuing.key").read_bytes()


def test_the_root_s_key_is_left_in_plain_text_only_if_that_is_asked_for(tmp_path: Path) -> None:
    refused = ca_init(tmp_path)
    assert refused.exit_code == 2
    assert "--root-passphrase-file" in refused.stderr and "--unencrypted-root-key" in refused.stderr
    assert not (tmp_path / "ca").exists()
    done = ca_init(tmp_path, "--unencrypted-root-key", "--json")
    assert json.loads(done.stdout)["root_key_encrypted"] is False
    assert b"ENCRYPTED" not in (tmp_path / "ca/root.key").read_bytes()


def test_a_short_root_passphrase_is_refused_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("short\n")
    refused = ca_init(tmp_path, "--root-passphrase-file", str(tmp_path / "passphrase"))
    assert refused.exit_code == 2
    assert f"{tmp_path}/passphrase has 5 octets, and 12 are the least" in refused.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--organization", " "], "--organization: "),
        (["--organization", "x" * 65], "--organization: "),
        (["--root-name", ""], "--root-name: "),
        (["--issuing-name", "One\nTwo"], "--issuing-name: "),
        (["--root-name", "The CA", "--issuing-name", "The CA"], "--issuing-name: is the root's name too"),
        (["--root-folder", "passphrase"], "--root-folder: "),
        (["--root-passphrase-file", "missing"], "--root-passphrase-file missing: "),
    ],
)
def test_a_wrong_argument_of_ca_init_is_named_and_nothing_is_written(
    wrong: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passphrase").write_text("the root's passphrase\n")
    refused = ca_init(tmp_path, "--root-passphrase-file", "passphrase", *wrong)
    assert refused.exit_code == 2, refused.output
    assert said in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["passphrase"]


def test_nobody_is_asked_for_the_passphrase_of_a_ca_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ca_init(tmp_path, "--unencrypted-root-key").exit_code == 0
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    refused = ca_init(tmp_path)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Passphrase" not in refused.stderr


def test_the_issuing_ca_s_key_is_never_in_plain_text_in_production(tmp_path: Path) -> None:
    values = {"KEYSTEAD_ENROLL_CA_FOLDER": str(tmp_path / "ca")}
    refused = runner(values).invoke(main, ["ca", "init", "--organization", "Example", "--unencrypted-root-key"])
    assert refused.exit_code == 2
    assert "missing  KEYSTEAD_ENROLL_CA_KEY_PASSPHRASE: " in refused.stderr


def test_a_database_that_cannot_be_reached_is_told_without_a_traceback(
    redis_url: str, set_up: Callable[[object], str]
) -> None:
    nowhere = environment("postgresql+psycopg://u:tell-nobody@127.0.0.1:1/d", redis_url)
    done = runner(nowhere).invoke(main, ["apply", "-f", set_up(SETUP)])
    assert done.exit_code == 4
    assert "error: the database cannot be used: " in done.stderr
    assert "KEYSTEAD_ENROLL_DATABASE_URL" in done.stderr
    assert "tell-nobody" not in done.output


def test_the_token_key_is_made_once_and_where_the_settings_say(tmp_path: Path) -> None:
    missing = runner({}).invoke(service, ["keys"])
    assert missing.exit_code == 2 and "missing  KEYSTEAD_ENROLL_TOKEN_KEY_FILE: " in missing.stderr
    key = tmp_path / "enroll.pem"
    told = [runner({"KEYSTEAD_ENROLL_TOKEN_KEY_FILE": str(key)}).invoke(service, ["keys"]).stdout for _ in "12"]
    assert told == [f"made {key}\n", f"kept {key}\n"]


def test_the_first_administrator_and_a_token_are_made_on_the_server(app: EnrollApp, keystead: Keystead) -> None:
    made = keystead("bootstrap", "administrator", "Grace@example.org", "--name", "Grace Hopper")
    assert made.exit_code == 0, made.stderr
    assert "/console" in made.output
    (fact,) = app.facts("administrator_published")
    assert (fact["email"], fact["invitation"]) == ("grace@example.org", 1)
    token = keystead("bootstrap", "token", "--administrator", "grace@example.org", "--name", "job", "--days", "3")
    secret = token.stdout.strip()
    me = app.client().get("/api/v1/me", headers={"authorization": f"Bearer {secret}"})
    assert [grant["role"] for grant in me.json()["grants"]] == ["mrao"]
    lines = app.client().get("/api/v1/audit", headers={"authorization": f"Bearer {secret}"}).json()["items"]
    assert [(line["action"], line["actor_kind"]) for line in lines[:2]] == [
        ("token.create", "system"), ("administrator.create", "system"),
    ]  # fmt: skip


def test_an_officer_is_made_by_the_name_of_their_place(app: EnrollApp, keystead: Keystead) -> None:
    place = ("--organization", "Example Hospital", "--department", "Radiology")
    made = keystead("bootstrap", "administrator", ADA, "--name", "Ada", "--role", "drao", *place, "--json")
    assert json.loads(made.stdout)["email"] == ADA
    wrong = keystead("bootstrap", "administrator", BOB, "--name", "Bob", "--role", "rao", "--organization", "Nowhere")
    assert (wrong.exit_code, "Nowhere" in wrong.stderr) == (2, True)
    assert keystead("bootstrap", "administrator", ADA, "--name", "Ada").exit_code == 2


def test_nobody_gets_a_token_who_is_no_administrator(app: EnrollApp, keystead: Keystead) -> None:
    refused = keystead("bootstrap", "token", "--administrator", "nobody@example.org", "--name", "x")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--administrator: There is no administrator “nobody@example.org”." in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["administrator", "no address", "--name", " "], {"EMAIL", "--name"}),
        (["administrator", BOB, "--name", "Bob", "--role", "rao"], {"--organization"}),
        (["administrator", BOB, "--name", "Bob", "--role", "drao"], {"--organization", "--department"}),
        (["administrator", BOB, "--name", "Bob", "--organization", "Example Hospital"], {"--organization"}),
        (["administrator", BOB, "--name", "Bob", "--department", "Radiology"], {"--department"}),
        (["token", "--administrator", BOB, "--name", ""], {"--name"}),
    ],
)
def test_wrong_arguments_of_bootstrap_are_named_before_the_database_is_asked(
    arguments: list[str], named: set[str], redis_url: str
) -> None:
    nowhere = environment("postgresql+psycopg://u:p@127.0.0.1:1/d", redis_url)
    refused = runner(nowhere).invoke(main, ["bootstrap", *arguments])
    assert refused.exit_code == 2, refused.output
    assert {line.split(":")[1].strip() for line in refused.stderr.splitlines()} == named


def test_a_department_is_looked_for_in_its_organization(app: EnrollApp, keystead: Keystead) -> None:
    place = ("--role", "drao", "--organization", "Example Hospital", "--department", "Nowhere")
    refused = keystead("bootstrap", "administrator", BOB, "--name", "Bob", *place)
    assert (refused.exit_code, "--department: " in refused.stderr) == (2, True)


def test_an_address_that_an_administrator_has_is_named(app: EnrollApp, keystead: Keystead) -> None:
    for expected in (0, 2):
        done = keystead("bootstrap", "administrator", ADA, "--name", "Ada")
        assert done.exit_code == expected
    assert "error: EMAIL: " in done.stderr
