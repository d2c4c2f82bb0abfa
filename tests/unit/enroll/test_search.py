"""What somebody types into a search box, and what it asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keystead_enroll.domain.administration_refusals import CursorInvalid, SearchInvalid
from keystead_enroll.domain.lists import CERTIFICATES, LISTS
from keystead_enroll.domain.search import Comparison, Criterion, cursor_of, parse_search, read_cursor

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def one(text: str) -> Criterion:
    (criterion,) = parse_search(text, CERTIFICATES.fields, NOW).criteria
    return criterion


def test_words_and_fields_stand_together() -> None:
    search = parse_search('ada type:client org:"Example Hospital" lovelace', CERTIFICATES.fields, NOW)
    assert search.words == ("ada", "lovelace")
    assert [(c.field, c.value) for c in search.criteria] == [("type", "client"), ("org", "Example Hospital")]


def test_a_minus_leaves_out() -> None:
    assert one("-state:revoked").negated
    assert not one("state:revoked").negated


@pytest.mark.parametrize(
    ("text", "comparison", "distance"),
    [
        ("expires:<30d", Comparison.BEFORE, timedelta(days=30)),
        ("expires:30d", Comparison.BEFORE, timedelta(days=30)),
        ("expires:>2w", Comparison.FROM, timedelta(days=14)),
        ("issued:<7d", Comparison.FROM, timedelta(days=-7)),
        ("issued:>12h", Comparison.BEFORE, timedelta(hours=-12)),
    ],
)
def test_a_distance_is_ahead_or_ago_as_the_field_is(text: str, comparison: Comparison, distance: timedelta) -> None:
    assert (one(text).comparison, one(text).value) == (comparison, NOW + distance)


def test_a_date_is_midnight_in_utc() -> None:
    assert one("expires:<2027-01-31").value == datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour:red", "expires"),
        ("type:letter", "client, device, ssl"),
        ("expires:soon", "expires:<30d"),
        ("expires:<99999999d", "expires:<30d"),
        ("x" * 501, "shorter"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(text: str, told: str) -> None:
    with pytest.raises(SearchInvalid) as refused:
        parse_search(text, CERTIFICATES.fields, NOW)
    assert told in refused.value.advice


def test_a_cursor_leads_on_in_its_own_order_only() -> None:
    cursor = cursor_of("issued", True, "2026-11-25T12:00:00+00:00", "a" * 32)
    assert read_cursor(cursor, "issued", True) == ("2026-11-25T12:00:00+00:00", "a" * 32)
    for wrong in (cursor_of("issued", False, "x", "y"), cursor_of("expires", True, "x", "y"), "", "!", "bnVsbA", "W10"):
        with pytest.raises(CursorInvalid):
            read_cursor(wrong, "issued", True)


def test_every_list_has_an_order() -> None:
    assert all(definition.sorts for definition in LISTS)
