"""The administrator's command `keystead`, as a shell runs it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tests.support.enroll_app import ACCESS_CODE_KEY, ADA, BOB, COOKIE_KEY, SETUP, EnrollApp, enroll_app, files

from keystead_enroll.cli import main
from keystead_enroll.cli_server import service
from keystead_enroll.domain.administration import Grant, Role, Scope
from keystead_enroll.domain.lint import Finding
from keystead_enroll.domain.lists import AUDIT
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.domain.search import PageWanted
from keystead_enroll.ports import Linter

Keystead = Callable[..., Result]


class _Counting:
    """A linter that counts what it lints."""

    def __init__(self, linter: Linter) -> None:
        self.linter, self.count = linter, 0

    def lint(self, der: bytes) -> tuple[Finding, ...]:
        self.count += 1
        return self.linter.lint(der)


def runner(environment: Mapping[str, str | None]) -> CliRunner:
    """Runs commands with these settings and none of this process's."""
    own = {name: None for name in os.environ if name.startswith("KEYSTEAD_")}
    return CliRunner(env={**own, **environment})


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
        "COOKIE_KEY": COOKIE_KEY,
        "ACCESS_CODE_KEY": ACCESS_CODE_KEY,
        "CA_FOLDER": str(made.ca_folder),
    }
    return {f"KEYSTEAD_ENROLL_{name}": value for name, value in values.items()}


@pytest.fixture
def keystead(app: EnrollApp, database_url: str, redis_url: str) -> Keystead:
    """Runs `keystead …` beside the `app`."""

    def run(*arguments: str) -> Result:
        return runner(environment(database_url, redis_url)).invoke(main, list(arguments))

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


def test_mistakes_of_a_file_are_told_though_the_database_is_away(
    redis_url: str, set_up: Callable[[object], str]
) -> None:
    nowhere = environment("postgresql+psycopg://u:p@127.0.0.1:1/d", redis_url)
    done = runner(nowhere).invoke(main, ["apply", "-f", set_up("forms: [{name: A, type: nothing}]")])
    assert done.exit_code == 4
    assert "line 1: form “A”: type: must be one of: client, device, ssl\n" in done.stderr
    assert "error: the database cannot be used: " in done.stderr


def test_the_token_key_is_made_once_and_where_the_settings_say(tmp_path: Path) -> None:
    missing = runner({}).invoke(service, ["keys"])
    assert missing.exit_code == 2 and "missing  KEYSTEAD_ENROLL_TOKEN_KEY_FILE: " in missing.stderr
    key = tmp_path / "enroll.pem"
    told = [runner({"KEYSTEAD_ENROLL_TOKEN_KEY_FILE": str(key)}).invoke(service, ["keys"]).stdout for _ in "12"]
    assert told == [f"made {key}\n", f"kept {key}\n"]


PEOPLE: dict[str, list[dict[str, Any]]] = {
    "organizations": [{"name": "Example Hospital", "email_domains": ["example.org"], "departments": ["Radiology"]}],
    "administrators": [
        {"email": "Grace@example.org", "name": "Grace", "grants": [{"role": "mrao"}]},
        {
            "email": "ada@example.org", "name": "Ada", "methods": ["idp"],
            "grants": [{"role": "drao", "organization": "Example Hospital", "department": "Radiology"}],
        },
    ],
    "identity_providers": [
        {
            "name": "University", "kind": "saml", "metadata_url": "https://idp.example/",
            "organizations": ["Example Hospital"],
        }
    ],
}  # fmt: skip


def test_administrators_and_identity_providers_are_declared(
    app: EnrollApp, keystead: Keystead, set_up: Callable[[object], str]
) -> None:
    file = set_up(PEOPLE)
    assert "created    administrator “Grace”" in keystead("apply", "-f", file).output
    told = {fact["email"]: fact for fact in app.facts("administrator_published")}
    assert {email: fact["invitation"] for email, fact in told.items()} == {"grace@example.org": 1, ADA: 0}
    (provider,) = app.facts("identity_provider_published")
    assert len(provider["organization_ids"]) == 1
    again = keystead("apply", "-f", file)
    assert again.output.startswith("Done: 4 unchanged.")
    assert len(app.facts("administrator_published")) == 2


def test_declared_changes_are_told(app: EnrollApp, keystead: Keystead, set_up: Callable[[object], str]) -> None:
    keystead("apply", "-f", set_up(PEOPLE))
    changed = PEOPLE | {
        "administrators": [PEOPLE["administrators"][1] | {"methods": ["idp", "password"]}],
        "identity_providers": [PEOPLE["identity_providers"][0] | {"for_administrators": True}],
    }
    output = keystead("apply", "-f", set_up(changed)).output
    assert "changed    administrator “Ada”: methods" in output
    assert "changed    identity provider “University”: for_administrators" in output
    ada = [fact for fact in app.facts("administrator_published") if fact["email"] == ADA]
    assert sorted((fact["version"], fact["invitation"]) for fact in ada) == [(1, 0), (2, 1)]
    assert sorted(fact["version"] for fact in app.facts("identity_provider_published")) == [1, 2]


@pytest.mark.parametrize(("change", "told"), [
    ({"administrators": [{"email": "x@example.org", "name": "X", "grants": [{"role": "rao"}]}]}, "grant"),
    ({"administrators": [{"email": "x@example.org", "name": "X",
                          "grants": [{"role": "rao", "organization": "Nowhere"}]}]}, "no organization “Nowhere”"),
    ({"administrators": [PEOPLE["administrators"][0], PEOPLE["administrators"][0]]}, "declared twice"),
    ({"identity_providers": [{"name": "X", "kind": "oidc", "issuer": "https://x.example/"}]}, "client_id"),
    ({"identity_providers": [{"name": "X", "kind": "saml", "metadata_url": "http://x.example/"}]}, "https://"),
    ({"identity_providers": [PEOPLE["identity_providers"][0] | {"organizations": ["Nowhere"]}]}, "Nowhere"),
])  # fmt: skip
def test_mistakes_about_people_are_told(
    app: EnrollApp, keystead: Keystead, set_up: Callable[[object], str], change: dict[str, object], told: str
) -> None:
    refused = keystead("apply", "-f", set_up(PEOPLE | change))
    assert refused.exit_code == 2
    assert told in " ".join(refused.stderr.split())
    assert app.facts("administrator_published") == []


def test_a_declaration_does_not_take_the_last_master_away(
    app: EnrollApp, keystead: Keystead, set_up: Callable[[object], str]
) -> None:
    keystead("apply", "-f", set_up(PEOPLE))
    lower = PEOPLE["administrators"][0] | {"grants": [{"role": "rao", "organization": "Example Hospital"}]}
    refused = keystead("apply", "-f", set_up(PEOPLE | {"administrators": [lower]}))
    assert refused.exit_code == 2
    assert "last active master" in " ".join(refused.stderr.split())


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


def test_a_profile_is_linted_when_it_changes_and_at_no_other_time(app: EnrollApp) -> None:
    linted = _Counting(app.linter)
    app.linter = linted  # type: ignore[assignment]
    app.apply(SETUP)
    assert linted.count == 0
    person = SETUP["profiles"][0]
    app.apply({"profiles": [person | {"term_days": [30]}, *SETUP["profiles"][1:]]})
    assert linted.count == len(person["key_algorithms"])
    policies = ["1.2.3", f"1.2.3.{10**40}"]
    with pytest.raises(DeclarationInvalid, match="policy_oids"):
        app.apply({"profiles": [person | {"policy_oids": policies}]})


def test_registration_tokens_of_two_organizations_may_have_one_name(app: EnrollApp) -> None:
    tokens = [
        {"name": "Laptops", "organization": place, "token": f"a token of {place}, long enough"}
        for place in ("Example Hospital", "Physics")
    ]
    declared = {"organizations": [{"name": "Physics"}], "registration_tokens": tokens}
    assert app.applied(declared).counts["created"] == 3
    assert app.applied(declared).counts["unchanged"] == 3
    with pytest.raises(DeclarationInvalid, match="declared twice"):
        app.apply({"registration_tokens": [tokens[0], tokens[0]]})
    with pytest.raises(DeclarationInvalid, match="another one has this token already"):
        app.apply({"registration_tokens": [tokens[0] | {"name": "Desktops"}]})


def test_what_a_file_did_is_in_the_audit_log(
    app: EnrollApp, keystead: Keystead, set_up: Callable[[object], str]
) -> None:
    file = set_up({"organizations": [{"name": "Physics", "departments": ["Optics"]}]})
    for _ in range(2):
        assert keystead("apply", "-f", file).exit_code == 0
    assert keystead("apply", "--check", "-f", set_up({"organizations": [{"name": "Chemistry"}]})).exit_code == 0
    with app.enroll.transactions.read() as tx:
        lines = tx.page(AUDIT, Scope((Grant(Role.MRAO),)), PageWanted()).items
    told = [line.details for line in lines if line.action == "set-up.apply" and "Physics" in str(line.details)]
    assert told == [{"created": ["organization “Physics”", "department “Optics” of organization “Physics”"]}]
    assert not any("Chemistry" in str(line.details) for line in lines)
