"""`keystead apply`: a set-up file, as a shell hands it over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.enroll_app import ADA, SETUP, EnrollApp
from tests.support.keystead_command import Keystead, commands, environment, runner, set_up_writer

from keystead_enroll.cli import main
from keystead_enroll.domain.administration import Grant, Role, Scope
from keystead_enroll.domain.lint import Finding
from keystead_enroll.domain.lists import AUDIT
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.domain.search import PageWanted
from keystead_enroll.ports import Linter


class _Counting:
    """A linter that counts what it lints."""

    def __init__(self, linter: Linter) -> None:
        self.linter, self.count = linter, 0

    def lint(self, der: bytes) -> tuple[Finding, ...]:
        self.count += 1
        return self.linter.lint(der)


@pytest.fixture
def keystead(app: EnrollApp, database_url: str, redis_url: str) -> Keystead:
    """Runs `keystead …` beside the `app`."""
    return commands(database_url, redis_url)


@pytest.fixture
def set_up(tmp_path: Path) -> Callable[[object], str]:
    """Writes a set-up file; its path."""
    return set_up_writer(tmp_path)


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


def test_mistakes_of_a_file_are_told_though_the_database_is_away(
    redis_url: str, set_up: Callable[[object], str]
) -> None:
    nowhere = environment("postgresql+psycopg://u:p@127.0.0.1:1/d", redis_url)
    done = runner(nowhere).invoke(main, ["apply", "-f", set_up("forms: [{name: A, type: nothing}]")])
    assert done.exit_code == 4
    assert "line 1: form “A”: type: must be one of: client, device, ssl\n" in done.stderr
    assert "error: the database cannot be used: " in done.stderr


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
