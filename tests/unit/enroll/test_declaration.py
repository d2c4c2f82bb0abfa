"""A set-up file: every mistake at once, by its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from keystead_enroll.adapters.declaration import Reading, read_declaration
from keystead_enroll.domain.refusals import DeclarationInvalid

PROFILE = {
    "name": "Person",
    "type": "client",
    "key_algorithms": ["ec-p256"],
    "term_days": [365],
    "subject": "CN={name|email}",
}


def read(tmp_path: Path, content: object) -> Reading:
    path = tmp_path / "setup.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return read_declaration(path)


def mistakes(tmp_path: Path, content: object) -> list[str]:
    """What is told of the file by itself."""
    try:
        reading = read(tmp_path, content)
    except DeclarationInvalid as refused:
        return [str(mistake) for mistake in refused.mistakes]
    found = DeclarationInvalid([*reading.mistakes, *reading.declaration.repeated_names()])
    return [str(mistake) for mistake in found.mistakes]


BAD = """\
organizations:
  - name: ""
    dns_domains: [a.example, not a domain]
profiles:
  - name: Person
    type: client
    key_algorithms: []
    term_days: [365, 0]
    subject: CN={name}
  - name: B
    type: devise
    key_algorithms: [ec-p256]
    term_days: 30
    subject: CN={x
  - {name: C, type: device, key_algorithms: [ec-p256], term_days: [30], subject: "CN={name}"}
forms:
  - name: F
    type: device
    methods: [secret_id]
  - name: G
    type: client
    uri_extension: a/b
    help_link: javascript:alert(1)
    help_txt: Ask.
    accounts:
      - name: ab
        organization: O
        profiles: []
        access_code: no good!
      - name: Ward
        organization: O
        profiles: [Person]
        access_code: 2026
        authorization: access_code
      - organization: O
        profiles: [Person]
registration_tokens:
  - {name: t, token: short, organization: O}
surprise: 1
"""


def test_all_mistakes_are_told_at_once_by_line_and_name_in_plain_words(tmp_path: Path) -> None:
    assert mistakes(tmp_path, BAD) == [
        "line 2: an organization without a name: name: must not be empty",
        "line 3: an organization without a name: dns_domains (number 2): “not a domain” is not a host name: "
        "“not a domain” is not 1 to 63 letters, digits and inner hyphens",
        "line 7: profile “Person”: key_algorithms: needs at least 1 entry",
        "line 8: profile “Person”: term_days (number 2): must be 1 or more",
        "line 11: profile “B”: type: must be one of: client, device, ssl",
        "line 13: profile “B”: term_days: must be a list",
        "line 15: profile “C”: subject: there is no variable {name} for this certificate type. There are "
        "country, department, device_name, fqdn, locality, organization, serial_number, state.",
        "line 19: form “F”: methods: Secret ID is for client forms only",
        "line 22: form “G”: uri_extension: may have letters a-z, digits, - and _ only, 1 to 58 of them",
        "line 23: form “G”: help_link: must be an address that begins with https:// or http://",
        "line 24: form “G”: there is no setting “help_txt” here; did you mean help_text?",
        "line 26: account “ab” of form “G”: name: must have at least 3 characters",
        "line 28: account “ab” of form “G”: profiles: needs at least 1 entry",
        "line 29: account “ab” of form “G”: access_code: may have letters a-z and digits only, 1 to 255 of them",
        "line 33: account “Ward” of form “G”: access_code: must be text: put it in quotes",
        "line 35: an account without a name, of form “G”: name is missing",
        "line 38: registration token “t”: token: must have at least 16 characters",
        "line 39: the file: there is no setting “surprise” here; there are organizations, licence, profiles, forms, "
        "registration_tokens, administrators, identity_providers",
    ]


def test_what_is_right_can_be_used_and_what_is_not_is_known_by_name(tmp_path: Path) -> None:
    reading = read(tmp_path, BAD)
    (form, other) = reading.declaration.forms
    assert (form.name, other.name, [account.name for account in other.accounts]) == ("F", "G", ["Ward"])
    assert other.accounts[0].line("profiles", 0) == 32
    assert reading.left_out == {("organization", ""), ("profile", "Person"), ("profile", "B"), ("profile", "C")}


def test_what_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    assert mistakes(tmp_path, 'organizations:\n  - name: "a\\0b"\n') == [
        "line 2: organization 'a\\x00b': name: has the character U+0000, which cannot be stored"
    ]
    assert mistakes(tmp_path, "organizations:\n  - name: a\0b\n") == [
        "line 2: has the character U+0000, which no text may hold"
    ]


def test_a_mistake_does_not_repeat_the_secret(tmp_path: Path) -> None:
    account = {"name": "abc", "organization": "O", "profiles": ["Person"], "access_code": "hunter 2!"}
    found = mistakes(tmp_path, {"forms": [{"name": "F", "type": "client", "accounts": [account]}]})
    assert "hunter" not in "".join(found)


@pytest.mark.parametrize(
    "content",
    [
        {"organizations": [{"name": "A"}, {"name": "A"}]},
        {"profiles": [PROFILE, PROFILE]},
        {"forms": [{"name": "A", "type": "ssl"}, {"name": "A", "type": "ssl"}]},
        {
            "forms": [
                {
                    "name": "A",
                    "type": "ssl",
                    "accounts": [{"name": "abc", "organization": "O", "profiles": ["P"]}] * 2,
                }
            ]
        },
        {"registration_tokens": [{"name": "t", "token": "0" * 16, "organization": "O"}] * 2},
    ],
)
def test_a_name_stands_once(tmp_path: Path, content: dict[str, object]) -> None:
    assert any("declared twice" in mistake for mistake in mistakes(tmp_path, content))


@pytest.mark.parametrize(
    "account",
    [{"authorization": "access_code"}, {"access_code": "ABC"}, {"authorization": "none", "access_code": "ABC"}],
)
def test_a_code_is_given_exactly_where_it_is_asked(tmp_path: Path, account: dict[str, str]) -> None:
    content = {"name": "abc", "organization": "O", "profiles": ["P"]} | account
    assert mistakes(tmp_path, {"forms": [{"name": "F", "type": "client", "accounts": [content]}]})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("forms: [", "line 1: ends before a list or group in brackets is closed"),
        (
            "forms:\n  - name: a: b\n",
            "line 2: has a second “name:” or is indented too far: put text with a colon in quotes",
        ),
        ("forms:\n\t- name: a\n", "line 2: has a tab where only spaces may stand: indent with spaces"),
        ("forms:\n  - name: 'a\n", "line 2: begins a text in quotes that never ends"),
        ("forms:\n  - name\n   x: 1\n", "line 3: "),
        ("forms:\n  - name: @a\n", "line 2: begins a text with a character that YAML reserves: put the text in quotes"),
        ("forms: *a\n", "line 1: names something with * that is not there"),
        ("forms: &a [*a]\n", "line 1: contains itself by a * name"),
        ("forms: []\n---\nforms: []\n", "line 2: begins a second document with ---: use one file for each"),
        ("forms:\n  - name: a\n    name: b\n", "line 2: has “name” twice in one group"),
        ("forms: !!python/object:os.system {}\n", "line 1: "),
        ("? [a]\n: 1\n", "line 1: has a list or group where a name belongs"),
        ("- 1\n- 2\n", "line 1: this is no set-up"),
        ("just text", "line 1: this is no set-up"),
    ],
)
def test_what_is_no_set_up_is_refused_with_its_line_and_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found.startswith(told)
    assert "yaml" not in found.lower().replace("that yaml reserves", "")


def test_a_pattern_that_is_no_regular_expression_is_refused(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, {"profiles": [PROFILE | {"device_name_pattern": "("}]})
    assert "device_name_pattern: the pattern is not a regular expression" in found


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationInvalid, match="No such file"):
        read_declaration(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(DeclarationInvalid, match="UTF-8"):
        read_declaration(tmp_path / "latin.yaml")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "forms: []\norganizations: []\n"])
def test_a_file_that_declares_nothing_is_a_mistake(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeclarationInvalid, match=r"empty|declares nothing") as refused:
        read(tmp_path, text)
    assert "never takes anything away" in refused.value.advice


def test_a_version_that_looks_like_a_date_is_text(tmp_path: Path) -> None:
    licence = read(tmp_path, "licence:\n  version: 2026-11-01\n  text: Be good.\n").declaration.licence
    assert licence is not None and licence.version == "2026-11-01"


def test_a_department_is_a_name_or_more(tmp_path: Path) -> None:
    optics = {"name": "Optics", "dns_domains": ["optics.example"], "home_organization": "Optics.Example"}
    content = {"organizations": [{"name": "Physics", "departments": ["Theory", optics]}]}
    theory, declared = read(tmp_path, content).declaration.organizations[0].departments
    assert (theory.name, theory.model_fields_set) == ("Theory", {"name"})
    assert (declared.dns_domains, declared.home_organization) == (["optics.example"], "optics.example")


def test_a_department_with_a_bad_name_is_told_and_left_out(tmp_path: Path) -> None:
    text = 'organizations:\n  - name: Physics\n    departments: ["", Theory, {name: X, dns_domains: [a b]}]\n'
    assert mistakes(tmp_path, text) == [
        "line 3: a department of organization “Physics”: name: must not be empty",
        "line 3: department “X” of organization “Physics”: dns_domains (number 1): “a b” is not a host name: “a b” is "
        "not 1 to 63 letters, digits and inner hyphens",
    ]
    reading = read(tmp_path, text)
    assert [d.name for d in reading.declaration.organizations[0].departments] == ["Theory", "X"]


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ({"extended_key_usages": ["serverAuth"]}, "extended_key_usages: has serverAuth, and client certificates may"),
        ({"key_usages": ["keyCertSign"]}, "key_usages (number 1): must be one of: digitalSignature"),
        ({"key_usages": ["keyEncipherment"]}, "key_usages: has keyEncipherment, which is nothing for ec-p256 keys"),
        ({"scope": "machine"}, "scope: is machine, and client certificates are always user"),
        ({"notice_days": [0]}, "notice_days (number 1): must be 1 or more"),
        ({"connector": "acme"}, "connector: must be one of: builtin"),
    ],
)
def test_what_a_profile_cannot_have_is_told(tmp_path: Path, profile: dict[str, object], told: str) -> None:
    (mistake,) = mistakes(tmp_path, {"profiles": [PROFILE | profile]})
    assert told in mistake


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ({"authorization": "idp_mapping"}, "asks for idp_rules, and there are none"),
        ({"idp_rules": [{"key": "groups", "values": ["staff"]}]}, "are asked only with “authorization: idp_mapping”"),
        ({"authorization": "idp_mapping", "idp_rules": [{"key": "groups", "values": [" "]}]}, "must not be empty"),
        ({"authorization": "idp_mapping", "idp_rules": [{"key": "shoe", "values": ["9"]}]}, "must be one of: cn,"),
    ],
)
def test_rules_are_given_exactly_where_they_are_asked(tmp_path: Path, account: dict[str, object], told: str) -> None:
    declared = {"name": "All", "organization": "Physics", "profiles": ["Person"]} | account
    form = {"name": "F", "type": "client", "methods": ["idp"], "accounts": [declared]}
    (mistake,) = mistakes(tmp_path, {"forms": [form]})
    assert told in mistake
