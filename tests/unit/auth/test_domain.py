"""auth's rules, as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keystead_auth.domain.email import counted_as, mask, normalize
from keystead_auth.domain.errors import (
    EmailMalformed,
    FormUnknown,
    LinkExpired,
    LinkUnknown,
    LinkUsed,
    MethodNotOffered,
    TooManyAttempts,
)
from keystead_auth.domain.sign_in import Decision, Form, Link, SignInRequest, decide, offering, open_form, usable
from keystead_contracts.events import LoginRequested
from keystead_contracts.identity import SignInMethod

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FORM = Form("staff", 1, "Staff", "Northwind", (SignInMethod.EMAIL,), ("example.org",))
REQUEST = SignInRequest("1" * 32, "staff", "ada@example.org", NOW, "192.0.2.1", "a" * 32)
LINK = Link("d" * 64, "staff", "ada@example.org", NOW + timedelta(minutes=15), "a" * 32)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada.Lovelace+x@Example.ORG ", "ada.lovelace+x@example.org"),
        ("o'brien@sub.example-1.org", "o'brien@sub.example-1.org"),
        ("a@localhost", "a@localhost"),
    ],
)
def test_an_address_is_stored_trimmed_and_in_lower_case(typed: str, stored: str) -> None:
    assert normalize(typed) == stored


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada+X@Example.ORG", "ada+@example.org"),
        ("ada+y+z@example.org", "ada+@example.org"),
        ("ada+@example.org", "ada+@example.org"),
    ],
)
def test_tagged_addresses_of_a_mailbox_count_as_one(address: str, counted: str) -> None:
    assert counted_as(address) == counted


@pytest.mark.parametrize(
    "typed",
    ["", " ", "ada", "@example.org", "ada@", "a b@example.org", "ada@exa mple.org", "ada@-example.org",
     "ada@example-.org",
     "ada@.org", "ada@example..org", ".ada@example.org", "ada.@example.org", "a..b@example.org", "ada@@example.org",
     "ada@example.org\nBcc: eve@example.net", "ada\0@example.org", "ädä@example.org", "ada@exämple.org",
     '"ada"@example.org', "<ada@example.org>", "ada@example.org, eve@example.org", f"{'a' * 65}@example.org",
     f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 63}.org", f"a@{'b' * 64}.org", "a@[192.0.2.1]"],
)  # fmt: skip
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(EmailMalformed):
        normalize(typed)


def test_a_stored_address_is_one_that_the_contracts_take() -> None:
    fact = LoginRequested(
        email=normalize("O'Brien.x_y+z=1@Sub.Example.ORG"), organization="o", form_name="f", link="l",
        requested_at=NOW, expires_at=NOW,
    )  # fmt: skip
    assert fact.email == "o'brien.x_y+z=1@sub.example.org"


def test_a_masked_address_shows_the_first_letter_and_the_domain() -> None:
    assert mask("ada@example.org") == "a…@example.org"


def test_an_eligible_address_gets_a_link_until_it_would_be_too_late() -> None:
    expires_at = NOW + timedelta(minutes=15)
    assert decide(REQUEST, FORM, NOW, expires_at) is Decision.LINK_SENT
    assert decide(REQUEST, FORM, expires_at, expires_at) is Decision.TOO_LATE


@pytest.mark.parametrize(
    "form",
    [
        None,
        replace(FORM, withdrawn=True),
        replace(FORM, methods=(SignInMethod.SECRET_ID,)),
        replace(FORM, email_domains=("example.net",)),
    ],
)
def test_nobody_else_gets_a_link(form: Form | None) -> None:
    assert decide(REQUEST, form, NOW, NOW + timedelta(minutes=15)) is Decision.NOT_ELIGIBLE


def test_an_unknown_or_withdrawn_form_is_unknown() -> None:
    for form in (None, replace(FORM, withdrawn=True)):
        with pytest.raises(FormUnknown):
            open_form(form)


def test_a_form_refuses_a_method_that_it_does_not_offer() -> None:
    with pytest.raises(MethodNotOffered):
        offering(FORM, SignInMethod.IDP)


def test_a_link_is_usable_until_its_end_and_once() -> None:
    assert usable(LINK, NOW) is LINK
    with pytest.raises(LinkExpired):
        usable(LINK, LINK.expires_at)
    with pytest.raises(LinkUsed):
        usable(replace(LINK, used_at=NOW, used_by="v" * 64), LINK.expires_at)
    with pytest.raises(LinkUnknown):
        usable(None, NOW)


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 minute,"), (60, "1 minute,"), (61, "2 minutes,"), (900, "15 minutes,")]
)
def test_a_limit_says_how_long_to_wait(seconds: int, words: str) -> None:
    assert words in TooManyAttempts(seconds).advice
