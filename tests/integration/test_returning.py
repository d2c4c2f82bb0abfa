"""Persons who come back: they see what they have, and are asked what a new request needs when they add one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.integration.api.test_certificates import installed
from tests.support.enroll_app import ADA, BOB, CODE, Browser, EnrollApp


def account(app: EnrollApp, browser: Browser, name: str) -> str:
    """The id of an account of the browser's form."""
    with app.enroll.transactions.read() as tx:
        form = tx.form_by_uri(browser.uri)
        assert form is not None
        return next(a.id for a in tx.accounts(form.id) if a.name == name)


def second_account(app: EnrollApp, access_code: str | None) -> None:
    """Gives the form Staff another account, and its first one an access code."""
    first: dict[str, Any] = {"name": "Staff", "organization": "Example Hospital", "department": "Radiology"}
    first["profiles"] = ["Person", "Person in TPM"]
    if access_code:
        first |= {"authorization": "access_code", "access_code": access_code}
    internal = {"name": "Internal", "organization": "Example Hospital", "profiles": ["Person"]}
    app.apply({"forms": [{"name": "Staff", "type": "client", "accounts": [first, internal]}]})


def leads_to(browser: Browser, path: str) -> str:
    """Where a page sends on to, below the form's address."""
    location = browser.get(path).headers["location"]
    return location.removeprefix(f"/e/{browser.uri}")


def unlocked(app: EnrollApp) -> Browser:
    """A browser whose person gave the access code."""
    browser = app.browser("Coded")
    browser.get("/code")
    assert browser.post("/code", access_code=CODE).headers["location"].endswith("/request")
    return browser


def test_who_has_nothing_here_is_asked_for_the_code_at_once(app: EnrollApp) -> None:
    assert leads_to(app.browser("Coded"), "") == "/code"


def test_who_comes_back_sees_what_they_have_without_a_code(app: EnrollApp) -> None:
    order_id = unlocked(app).order()
    again = app.browser("Coded")
    assert leads_to(again, "") == "/certificates"
    assert order_id in again.get("/certificates").text


def test_who_comes_back_gives_the_code_before_they_ask_again(app: EnrollApp) -> None:
    unlocked(app).order()
    again = app.browser("Coded")
    assert f'href="/e/{again.uri}/request"' in again.get("/certificates").text
    assert leads_to(again, "/request") == "/code"
    refused = again.request()
    assert refused.status_code == 401


def test_who_comes_back_chooses_an_account_when_they_add(app: EnrollApp) -> None:
    first = app.browser("Two doors")
    first.get("/account")
    chosen = first.post("/account", account=account(app, first, "Front door"))
    assert chosen.headers["location"] == f"/e/{first.uri}/request"
    first.order()
    for browser in (first, app.browser("Two doors")):
        assert leads_to(browser, "") == "/certificates"
        assert f'href="/e/{browser.uri}/account"' in browser.get("/certificates").text
    assert leads_to(browser, "/request") == "/account"


def test_what_is_to_be_renewed_is_remembered_over_choice_and_code(app: EnrollApp) -> None:
    made = installed(app)
    second_account(app, "STAFF77")
    browser = app.browser()
    assert leads_to(browser, f"/request?renew={made}") == f"/account?renew={made}"
    page = browser.get(f"/account?renew={made}").text
    used = account(app, browser, "Staff")
    assert re.search(rf'value="{used}"[^>]* checked', page)
    again = browser.mistakes(browser.post("/account", account="0" * 32, renew=made))
    assert f'name="renew" value="{made}"' in again
    chosen = browser.post("/account", account=used, renew=made)
    assert chosen.headers["location"] == f"/e/{browser.uri}/request?renew={made}"
    assert leads_to(browser, f"/request?renew={made}") == f"/code?renew={made}"
    browser.get(f"/code?renew={made}")
    again = browser.mistakes(browser.post("/code", access_code="WRONG", renew=made))
    assert f'name="renew" value="{made}"' in again
    assert browser.post("/code", access_code="STAFF77", renew=made).headers["location"].endswith(f"?renew={made}")
    assert f'name="renew" value="{made}"' in browser.get(f"/request?renew={made}").text


def test_nobody_renews_another_person_s_over_the_choice_of_account(app: EnrollApp) -> None:
    made = installed(app)
    assert app.browser("Staff", BOB).get(f"/account?renew={made}").status_code == 404


@pytest.mark.parametrize("renew", ["//evil.example", "%0d%0aset-cookie:x=1", '"><script>'])
def test_what_is_remembered_leads_nowhere_else(app: EnrollApp, renew: str) -> None:
    browser = app.browser("Coded")
    browser.get("/code")
    assert (
        browser.post("/code", access_code=CODE, renew=renew)
        .headers["location"]
        .startswith(f"/e/{browser.uri}/request?renew=")
    )


def test_accounts_are_called_by_what_one_gets_there_and_by_their_own_name_only_to_tell_them_apart(
    app: EnrollApp,
) -> None:
    second_account(app, None)
    page = app.browser().get("/account").text
    assert "Person, Person in TPM" in page and "Example Hospital, Radiology" in page
    assert "Internal" not in page
    assert "Front door" in app.browser("Two doors").get("/account").text


def test_the_code_s_page_speaks_of_the_form_and_not_of_the_account(app: EnrollApp) -> None:
    page = app.browser("Coded", ADA).get("/code").text
    assert "Radiology staff" not in page and "<strong>Coded</strong>" in page
