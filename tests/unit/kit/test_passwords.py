"""Secrets that people know, as they are stored."""

from __future__ import annotations

import pytest

from keystead_kit.passwords import hash_secret, verify_secret


def test_a_secret_verifies_against_its_own_hash_alone() -> None:
    phc = hash_secret("correct horse")
    assert verify_secret("correct horse", phc)
    assert not verify_secret("correct horsf", phc)


def test_one_secret_has_another_hash_each_time_with_the_cost_it_was_made_with() -> None:
    first, second = hash_secret("correct horse"), hash_secret("correct horse")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("phc", ["", "plain", "$argon2id$v=19$m=8", "\ud800"])
def test_what_is_no_hash_verifies_nothing(phc: str) -> None:
    assert not verify_secret("plain", phc)


def test_what_cannot_be_encoded_verifies_nothing() -> None:
    assert not verify_secret("\ud800", hash_secret("plain"))
