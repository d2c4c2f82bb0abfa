"""A set-up file: every mistake at once, by its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from keystead_enroll.adapters.declaration import read_declaration
from keystead_enroll.domain.refusals import DeclarationInvalid

PROFILE = {
    "name": "Person",
    "type": "client",
    "key_algorithms": ["ec-p256"],
    "term_days": [365],
    "subject": "CN={name|email}",
}


def mistakes(tmp_path: Path, content: object) -> list[str]:
    path = tmp_path / "setup.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(DeclarationInvalid) as refused:
        read_declaration(path)
    return refused.value.mistakes


def test_all_mistakes_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        {
            "organizations": [{"name": "", "dns_domains": ["not a domain"]}],
            "profiles": [
                PROFILE | {"term_days": [0], "key_algorithms": []},
                PROFILE | {"name": "B", "subject": "CN={x"},
            ],
            "forms": [
                {"name": "F", "type": "device", "methods": ["secret_id"]},
                {"name": "G", "type": "client", "uri_extension": "a/b", "help_link": "javascript:alert(1)"},
                {
                    "name": "H",
                    "type": "client",
                    "accounts": [{"name": "ab", "organization": "O", "profiles": [], "access_code": "no good!"}],
                },
            ],
            "registration_tokens": [{"name": "t", "token": "short", "organization": "O"}],
            "surprise": 1,
        },
    )
    places = {mistake.split(": ")[0] for mistake in found}
    assert places >= {
        "organizations.0.name",
        "organizations.0.dns_domains",
        "profiles.0.term_days.0",
        "profiles.0.key_algorithms",
        "profiles.1",
        "forms.0",
        "forms.1.uri_extension",
        "forms.1.help_link",
        "forms.2.accounts.0.name",
        "forms.2.accounts.0.profiles",
        "forms.2.accounts.0.access_code",
        "registration_tokens.0.token",
        "surprise",
    }


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


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "just text", "!!python/object:os.system {}"])
def test_what_is_no_set_up_is_refused(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, text)


def test_a_pattern_that_is_no_regular_expression_is_refused(tmp_path: Path) -> None:
    assert any(
        "regular expression" in m for m in mistakes(tmp_path, {"profiles": [PROFILE | {"device_name_pattern": "("}]})
    )


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationInvalid):
        read_declaration(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(DeclarationInvalid):
        read_declaration(tmp_path / "latin.yaml")


def test_an_empty_file_declares_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert read_declaration(tmp_path / "empty.yaml").forms == []


@pytest.mark.parametrize(
    "content", [{"organizations": [{"name": "A\0"}]}, {"organizations": [{"name": "A", "departments": ["B\0"]}]}]
)
def test_nul_is_refused_as_postgresql_stores_none(tmp_path: Path, content: object) -> None:
    assert any("NUL" in mistake for mistake in mistakes(tmp_path, content))
