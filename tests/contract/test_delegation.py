"""Whose address a domain stands for."""

from __future__ import annotations

import pytest

from keystead_contracts.delegation import email_is_delegated


@pytest.mark.parametrize(
    ("address", "domains", "delegated"),
    [
        ("ada@example.org", ["example.org"], True),
        ("ada@example.org", ["EXAMPLE.org"], True),
        ("ada@EXAMPLE.org", ["example.org"], True),
        ("ada@sub.example.org", ["example.org"], False),
        ("ada@sub.example.org", ["*.example.org"], True),
        ("ada@a.b.example.org", ["*.example.org"], True),
        ("ada@example.org", ["*.example.org"], False),
        ("ada@evilexample.org", ["*.example.org"], False),
        ("ada@evilexample.org", ["example.org"], False),
        ("ada@example.org.evil.net", ["example.org"], False),
        ("ada@example.org", [], False),
        ("ada@example.org", [""], False),
        ("ada@example.org", ["*."], False),
        ("ada@example.org", ["example.net", " example.org. "], True),
    ],
)
def test_a_domain_is_delegated_exactly_or_below_a_star(address: str, domains: list[str], delegated: bool) -> None:
    assert email_is_delegated(address, domains) is delegated
