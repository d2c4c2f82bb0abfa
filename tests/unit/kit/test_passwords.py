"""Passwords: hashing, and which are fit."""

from __future__ import annotations

import pytest

from keystead_kit import passwords
from keystead_kit.passwords import Unfit, hash_password, needs_rehash, unfit, verify_password

GOOD = "four calm horses swim"


def test_the_right_password_verifies_and_no_other() -> None:
    stored = hash_password(GOOD)
    assert verify_password(stored, GOOD)
    assert not verify_password(stored, GOOD.title())
    assert GOOD not in stored


def test_a_password_is_the_same_however_its_characters_are_written() -> None:
    assert verify_password(hash_password("grün grün grün"), "gru\u0308n gru\u0308n gru\u0308n")


def test_nobody_has_no_password() -> None:
    assert not verify_password(None, GOOD)
    assert not verify_password(None, "")


def test_what_is_no_hash_verifies_nothing() -> None:
    assert not verify_password("plain", "plain")


def test_what_is_compared_for_nobody_costs_what_a_hash_of_today_costs() -> None:
    assert not needs_rehash(passwords._NOBODYS)
    assert "m=19456,t=2,p=1" in hash_password(GOOD)


def test_a_hash_of_other_parameters_is_made_anew() -> None:
    assert needs_rehash(hash_password(GOOD).replace("t=2", "t=1"))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("eleven char", Unfit.SHORT),
        ("x" * 257, Unfit.LONG),
        ("PasswordPassword", Unfit.COMMON),
        ("ababababababab", Unfit.COMMON),
        ("Grace Hopper", Unfit.NAME),
        ("GRACE@example.org", Unfit.NAME),
        ("ｅｌｅｖｅｎ ｃｈａｒ", Unfit.SHORT),
    ],
)
def test_what_is_guessed_easily_is_unfit(password: str, why: Unfit) -> None:
    assert unfit(password, "grace@example.org", "Grace Hopper") is why


@pytest.mark.parametrize("password", [GOOD, "alllowercase", "pässwörter und mehr", "x1" + "y" * 254])
def test_length_is_enough(password: str) -> None:
    assert unfit(password, "grace@example.org") is None
