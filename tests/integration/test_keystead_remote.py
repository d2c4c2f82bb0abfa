"""`keystead <noun> <verb>` against a served API, as a shell runs it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.integration.api.test_issuing import working
from tests.support.administrators import administrator, api_token
from tests.support.enroll_app import ADA, EnrollApp, issued, served
from tests.unit.enroll_pki.samples import csr_pem

from keystead_enroll.cli import main
from keystead_enroll.remote.nouns import NOUNS
from keystead_enroll.web.api.app import describe

Keystead = Callable[..., Result]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, _redis: object) -> Iterator[EnrollApp]:
    url = f"sqlite:///{tmp_path_factory.mktemp('remote')}/test.db"
    with served(url, _redis.url) as app:  # type: ignore[attr-defined]
        yield app


@pytest.fixture(scope="module")
def token(app: EnrollApp) -> str:
    return api_token(app, administrator(app))


@pytest.fixture
def keystead(app: EnrollApp, token: str, tmp_path: Path) -> Keystead:
    """Runs `keystead …` as a master administrator."""

    def run(*arguments: str, **environment: str | None) -> Result:
        around = {"KEYSTEAD_URL": app.origin, "KEYSTEAD_TOKEN": token, "XDG_CONFIG_HOME": str(tmp_path)}
        return CliRunner().invoke(main, arguments, env=around | environment)

    return run


def told(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def test_every_noun_is_in_the_api_and_shows_fields_that_it_has(app: EnrollApp) -> None:
    document = describe(app.web)
    schemas = document["components"]["schemas"]
    for noun in NOUNS:
        routes = document["paths"][f"/api/v1{noun.path}"]
        page = schemas[
            routes["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        ]
        item = schemas[page["properties"]["items"]["items"]["$ref"].split("/")[-1]]
        assert {column.partition(".")[0] for column in noun.columns} <= set(item["properties"]), noun.name
        assert not noun.named or noun.named in item["properties"], noun.name
        assert ("post" in routes) >= noun.create, noun.name
        for verb in noun.verbs:
            assert verb.method.lower() in document["paths"][f"/api/v1{noun.path}/{{id}}{verb.path}"], verb.name


def test_what_the_api_can_do_the_command_can(app: EnrollApp) -> None:
    paths = {noun.path for noun in NOUNS}
    roots = {f"/{path.split('/')[3]}" for path in describe(app.web)["paths"]}
    assert roots - paths == {"/me", "/dashboard"}
    assert {"me", "dashboard"} <= set(main.commands)


def test_the_dashboard_s_numbers_are_told(keystead: Keystead) -> None:
    figures = told(keystead("dashboard", "--json"))
    assert figures["valid"] == len(json.loads(keystead("cert", "list", "--search", "state:valid", "--json").stdout))
    assert "awaiting approval  0" in keystead("dashboard").output


def test_every_command_has_help_with_an_example(keystead: Keystead) -> None:
    for noun in NOUNS:
        listed = keystead(noun.name, "--help")
        assert listed.exit_code == 0, listed.output
        for verb in main.commands[noun.name].list_commands(None):  # type: ignore[attr-defined]
            shown = keystead(noun.name, verb, "--help")
            assert shown.exit_code == 0, shown.output
            assert f"keystead {noun.name} {verb}" in shown.output


def test_a_thing_is_made_changed_and_deleted_by_its_name(keystead: Keystead) -> None:
    made = keystead(
        "organization", "create", "--name", "Physics", "--email-domain", "a.example", "--email-domain", "b.example"
    )
    assert made.output.startswith("created ")
    assert told(keystead("organization", "show", "physics", "--json"))["email_domains"] == ["a.example", "b.example"]
    changed = keystead(
        "organization", "change", "Physics", "--clear", "email-domain", "--dns-domain", "c.example", "--json"
    )
    assert told(changed)["email_domains"] == []
    assert told(changed)["dns_domains"] == ["c.example"]
    refused = keystead("organization", "delete", "Physics")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert keystead("organization", "delete", "Physics", "--yes").output == "deleted\n"
    gone = keystead("organization", "show", "Physics")
    assert (gone.exit_code, "keystead organization list" in gone.stderr) == (3, True)


def test_other_things_are_named_and_not_numbered(keystead: Keystead) -> None:
    made = keystead("department", "create", "--organization", "Example Hospital", "--name", "Optics", "--json")
    assert told(keystead("department", "show", "Optics", "--json"))["id"] == told(made)["id"]
    wrong = keystead("department", "create", "--organization", "Nowhere", "--name", "Optics")
    assert (wrong.exit_code, "Nowhere" in wrong.stderr) == (3, True)


def test_things_of_one_name_are_told_apart_by_their_organizations(keystead: Keystead) -> None:
    for organization in ("North", "South"):
        assert keystead("organization", "create", "--name", organization).exit_code == 0
        for noun in ("registration-token", "department"):
            made = keystead(noun, "create", "--name", "Lab", "--organization", organization)
            assert made.exit_code == 0, made.output
    unclear = keystead("registration-token", "show", "Lab")
    assert (unclear.exit_code, "of “North”" in unclear.stderr, "of “South”" in unclear.stderr) == (3, True, True)
    assert "--organization" in unclear.stderr
    found = told(keystead("registration-token", "show", "Lab", "--organization", "South", "--json"))
    assert found["organization"] == "South"
    person = ("--email", "lab@example.org", "--name", "Lab", "--organization", "South", "--department", "Lab")
    assert keystead("person", "create", *person).exit_code == 0
    assert keystead("registration-token", "delete", "Lab", "--organization", "North", "--yes").exit_code == 0
    assert told(keystead("registration-token", "show", "Lab", "--json"))["organization"] == "South"


def test_forms_of_one_name_are_told_apart(keystead: Keystead) -> None:
    for organization in ("East", "West"):
        assert keystead("organization", "create", "--name", organization).exit_code == 0
        made = keystead(
            "form", "create", "--name", "Cards", "--organization", organization, "--certificate-type", "client",
            "--method", "email",
        )  # fmt: skip
        assert made.exit_code == 0, made.output
    unclear = keystead("form", "show", "Cards")
    assert (unclear.exit_code, "of “East”" in unclear.stderr, "--organization" in unclear.stderr) == (3, True, True)
    found = told(keystead("form", "show", "Cards", "--organization", "West", "--json"))
    unchanged = keystead("form", "change", "Cards", "--help-text", "Ask us.")
    assert (unchanged.exit_code, "Give the id" in unchanged.stderr) == (3, True), "its --organization is a field"
    account = ("--name", "Cards", "--profile", "Person", "--authorization", "none")
    made = keystead("account", "create", "--form", "Cards", "--organization", "West", *account)
    assert made.exit_code == 0, made.output
    assert told(keystead("account", "show", "Cards", "--json"))["form_id"] == found["id"]


def test_a_form_is_tried_for_somebody(keystead: Keystead) -> None:
    tried = keystead("form", "try", "Staff", "--email", ADA, "--name", "Ada Lovelace")
    assert tried.exit_code == 0, tried.output
    assert "account “Staff” of Example Hospital, Radiology: open" in tried.output
    assert "CN=Ada Lovelace" in tried.output
    trial = told(keystead("form", "try", "Staff", "--email", ADA, "--json"))
    assert (trial["refused"], trial["licence_version"]) == (None, "2026-11")


def test_a_trial_that_comes_to_nothing_exits_with_1(keystead: Keystead) -> None:
    stranger = keystead("form", "try", "Staff", "--email", "eve@evil.example", "--json")
    assert (stranger.exit_code, bool(json.loads(stranger.stdout)["refused"])) == (1, True)
    servers = ("form", "try", "Servers", "--email", ADA, "--dns-name")
    assert keystead(*servers, "www.example.org").exit_code == 0
    foreign = keystead(*servers, "www.evil.example")
    assert (foreign.exit_code, "refused  dns names" in foreign.output) == (1, True)


def test_a_trial_that_cannot_be_made_says_why(keystead: Keystead) -> None:
    unknown = keystead("form", "try", "Nowhere", "--email", ADA)
    assert (unknown.exit_code, "keystead form list" in unknown.stderr) == (3, True)
    otherwise = keystead("form", "try", "Staff", "--email", ADA, "--method", "idp", "--attribute", "groups=staff")
    assert (otherwise.exit_code, "method:" in otherwise.stderr) == (2, True)
    assert keystead("form", "try", "Staff", "--email", ADA, "--attribute", "groups").exit_code == 2


def test_roles_are_given_in_words(keystead: Keystead) -> None:
    made = keystead(
        "administrator", "create", "--email", "rao@example.org", "--name", "Rao", "--method", "password",
        "--grant", "rao:Example Hospital:client,device", "--json",
    )  # fmt: skip
    grant = json.loads(keystead("administrator", "show", "rao@example.org", "--json").stdout)["grants"][0]
    assert told(made)
    assert (grant["role"], sorted(grant["certificate_types"])) == ("rao", ["client", "device"])


def test_what_is_wrong_is_said_by_field(keystead: Keystead) -> None:
    done = keystead("organization", "create", "--name", "X", "--dns-domain", "not a domain")
    assert done.exit_code == 2
    assert "error: " in done.stderr
    assert "dns domains" in done.stderr
    assert "hint: " in done.stderr


def test_a_certificate_is_found_downloaded_exported_and_revoked(
    app: EnrollApp, keystead: Keystead, tmp_path: Path
) -> None:
    issued(app)
    (found,) = json.loads(keystead("cert", "list", "--search", f"email:{ADA}", "--json").stdout)
    file = tmp_path / "certificate.pem"
    assert keystead("cert", "download", found["serial"], "-o", str(file)).exit_code == 0
    assert file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert found["serial"] in keystead("cert", "export", "--search", "state:valid").stdout
    revoked = keystead("cert", "revoke", found["serial"], "--reason", "superseded", "--yes", "--json")
    assert told(revoked)["state"] == "revoked"


def test_a_program_s_own_request_becomes_a_certificate(app: EnrollApp, keystead: Keystead, tmp_path: Path) -> None:
    csr, made = tmp_path / "pump.csr", tmp_path / "pump.pem"
    csr.write_text(csr_pem(ec.generate_private_key(ec.SECP256R1()), x509.Name([])))
    asking = ["cert", "request", str(csr), "--organization", "Example Hospital", "--profile", "Machine"]
    wrong = keystead(*asking, "--device-name", "pump.example.com")
    assert "example.com" in wrong.stderr and wrong.exit_code
    with working(app):
        done = keystead(*asking, "--device-name", "pump.example.org", "--chain", "-o", str(made))
    assert done.exit_code == 0, done.output + done.stderr
    leaf, issuing = x509.load_pem_x509_certificates(made.read_bytes())
    leaf.verify_directly_issued_by(issuing)
    assert "pump.example.org" in leaf.subject.rfc4514_string()


def test_a_request_is_decided(app: EnrollApp, keystead: Keystead) -> None:
    order_id, other = app.browser("Approved").order(), app.browser("Approved").order()
    assert "They get a letter." in keystead("order", "approve", order_id).output
    assert keystead("order", "reject", other, "--note", "Ask Grace.").exit_code == 0
    assert told(keystead("order", "show", other, "--json"))["state"] == "rejected"
    again = keystead("order", "approve", order_id)
    assert (again.exit_code, "hint: " in again.stderr) == (3, True)


def test_a_request_is_cancelled_once(app: EnrollApp, keystead: Keystead) -> None:
    order_id = app.browser("Approved").order()
    asked = keystead("order", "cancel", order_id)
    assert (asked.exit_code, "--yes" in asked.stderr) == (2, True)
    assert "They get a letter." in keystead("order", "cancel", order_id, "--note", "Lost.", "--yes").output
    assert told(keystead("order", "show", order_id, "--json"))["state"] == "cancelled"
    again = keystead("order", "cancel", order_id, "--yes")
    assert (again.exit_code, "has ended already" in again.stderr) == (3, True)


def test_persons_come_from_a_file(keystead: Keystead, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text("email;name;organization\nada@example.org;Ada;Example Hospital\nbob;Bob;Example Hospital\n")
    checked = keystead("person", "import", str(file), "--check")
    assert (checked.exit_code, "line 3" in checked.stderr) == (1, True)
    assert keystead("person", "import", str(file)).exit_code == 1
    assert told(keystead("person", "show", "ada@example.org", "--json"))["name"] == "Ada"


def test_known_tpms_come_from_a_file_and_are_called_by_their_fingerprints(keystead: Keystead, tmp_path: Path) -> None:
    file, fingerprint = tmp_path / "tpms.csv", "a1" * 32
    file.write_text(f"sha256,organization,ruling\n{fingerprint},,deny\nnothing,,\n")
    checked = keystead("known-tpm", "import", str(file), "--check")
    assert (checked.exit_code, "line 3" in checked.stderr) == (1, True)
    assert keystead("known-tpm", "import", str(file)).exit_code == 1
    assert told(keystead("known-tpm", "show", fingerprint, "--json"))["ruling"] == "deny"
    assert keystead("known-tpm", "change", fingerprint, "--ruling", "allow").exit_code == 0
    assert fingerprint in keystead("known-tpm", "export").output
    assert keystead("known-tpm", "create", "--sha256", "b2" * 32, "--organization", "Example Hospital").exit_code == 0
    assert keystead("known-tpm", "delete", fingerprint, "--yes").exit_code == 0


def test_without_a_server_it_says_how_to_name_one(keystead: Keystead) -> None:
    done = keystead("cert", "list", KEYSTEAD_URL=None, KEYSTEAD_TOKEN=None)
    assert (done.exit_code, "keystead login" in done.stderr) == (2, True)


def test_a_server_that_does_not_answer_is_told_apart_from_one_that_refuses(keystead: Keystead) -> None:
    assert keystead("cert", "list", KEYSTEAD_URL="http://127.0.0.1:9").exit_code == 4
    assert keystead("cert", "list", KEYSTEAD_TOKEN="ksa_wrong").exit_code == 3


def test_a_login_is_remembered_for_its_owner_alone(
    app: EnrollApp, keystead: Keystead, token: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    nothing = {"KEYSTEAD_URL": None, "KEYSTEAD_TOKEN": None}
    done = keystead("login", app.origin, "--token-file", str(file), **nothing)
    assert "you are Grace Hopper" in done.output
    kept = tmp_path / "keystead" / "access.toml"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert keystead("me", **nothing).exit_code == 0
    # the token of one server is never sent to another
    elsewhere = keystead("me", KEYSTEAD_URL="http://127.0.0.1:9", KEYSTEAD_TOKEN=None)
    assert (elsewhere.exit_code, "There is no token" in elsewhere.stderr) == (2, True)
    assert keystead("logout").exit_code == 0
    assert not kept.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(keystead: Keystead, shell: str) -> None:
    done = keystead("completion", shell)
    assert done.exit_code == 0
    assert "_KEYSTEAD_COMPLETE" in done.output


def test_what_people_copy_is_whole_in_a_narrow_terminal() -> None:
    row = {"name": "A form", "active": True, "url": f"https://x.example/e/{'a' * 40}", "id": "b" * 32}
    code = (
        "import json, sys; from keystead_enroll.remote.output import show_table; "
        "show_table([json.loads(sys.argv[1])], ('name', 'active', 'url', 'id'), '')"
    )
    command = shlex.join([sys.executable, "-c", code, json.dumps(row)])
    shown = subprocess.run(
        ["script", "-qec", f"stty columns 60; {command}", "/dev/null"], capture_output=True, text=True, check=True
    )
    assert f"    {row['url']}  {row['id']}" in shown.stdout


def test_a_certificate_is_called_by_the_beginning_of_its_serial_number(app: EnrollApp, keystead: Keystead) -> None:
    issued(app)
    found = json.loads(keystead("cert", "list", "--json").stdout)[0]
    assert told(keystead("cert", "show", found["serial"][:12], "--json"))["id"] == found["id"]
    gone = keystead("cert", "show", "ffffffffffff")
    assert (gone.exit_code, "There is no certificate" in gone.stderr, "keystead cert list" in gone.stderr) == (
        3,
        True,
        True,
    )
