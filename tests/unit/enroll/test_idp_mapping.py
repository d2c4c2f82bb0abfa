"""Rules over what an identity provider says of a person."""

from __future__ import annotations

import pytest

from keystead_enroll.domain.idp_mapping import IdpRule, MatchType, failing

SAID = {"groups": ["Staff", "VPN users"], "mail": ["Ada@Example.org"]}


def rule(key: str, match: str, *values: str) -> IdpRule:
    return IdpRule(key, MatchType(match), values)


def test_matches_means_the_whole_value() -> None:
    assert rule("groups", "MATCHES", "staff").holds(SAID)
    assert not rule("groups", "MATCHES", "staf").holds(SAID)
    assert not rule("groups", "MATCHES", "Staff of others").holds(SAID)


def test_contains_means_a_part_of_the_value() -> None:
    assert rule("groups", "CONTAINS", "vpn").holds(SAID)
    assert not rule("groups", "CONTAINS", "VPN users at home").holds(SAID)


def test_any_of_the_values_suffices() -> None:
    assert rule("groups", "MATCHES", "nobody", "vpn users").holds(SAID)


def test_what_the_provider_does_not_say_fits_nothing() -> None:
    assert not rule("uid", "CONTAINS", "a").holds(SAID)


def test_all_rules_must_hold() -> None:
    staff, other = rule("groups", "MATCHES", "Staff"), rule("mail", "CONTAINS", "@other.example")
    assert not failing([staff], SAID)
    assert failing([staff, other], SAID) == [other]
    assert not failing([], SAID)


@pytest.mark.parametrize(("key", "values"), [("groups", ()), ("groups", ("",)), ("groups", (" ",)), ("shoe", ("9",))])
def test_a_rule_that_would_let_everybody_in_cannot_be_made(key: str, values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a rule has"):
        IdpRule(key, MatchType.CONTAINS, values)


def test_a_rule_reads_back_as_it_is_stored() -> None:
    stored: dict[str, object] = {"key": "groups", "match_type": "CONTAINS", "values": ["a", "b"]}
    assert IdpRule.from_plain(stored) == rule("groups", "CONTAINS", "a", "b")
