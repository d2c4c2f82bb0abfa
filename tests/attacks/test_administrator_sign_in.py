"""Attacks on administrators' sign-in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.auth_support import Auth, running_auth
from tests.support.console_sign_in import (
    AUTHENTICATOR,
    CODE,
    CONSOLE,
    CONSOLE_PAGE,
    EMAIL,
    FORGOT,
    HALF,
    PASSWORD,
    RECOVERY,
    SECRET,
    SESSION,
    SIGN_IN,
    Grace,
    administrator,
    choose,
    give_code,
    give_password,
    invitation_path,
    settled,
    token_on,
)

from keystead_auth.worker import duties


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with running_auth(database_url, redis_url, tmp_path, limit_secret_per_client="6/15 minutes") as running:
        yield running


@pytest.fixture
def grace(auth: Auth) -> Grace:
    return settled(auth)


def test_guessing_from_one_network_is_limited(auth: Auth, grace: Grace) -> None:
    browser = auth.browser("198.51.100.1")
    answers = [give_password(browser, f"guess number {number}", f"a{number}@example.org") for number in range(8)]
    assert [answer.status_code for answer in answers] == [303] * 6 + [429] * 2
    assert give_password(browser).status_code == 429, "the right one does not come through either"
    assert give_password(auth.browser("203.0.113.9")).headers["location"] == CODE


def test_a_stranger_with_many_networks_locks_nobody_out_of_a_known_browser(auth: Auth, grace: Grace) -> None:
    for number in range(12):
        give_password(auth.browser(f"198.51.100.{number}"), "a wrong guess")
    assert give_password(auth.browser("203.0.113.9")).status_code == 429, "guessing is over for now"
    grace.browser.http.cookies.delete(SESSION)
    assert grace.sign_in(grace.browser)


def test_a_known_browser_is_no_way_around_the_limit(auth: Auth, grace: Grace) -> None:
    grace.browser.post("/auth/administrators/sign-out")
    answers = [give_password(grace.browser, "a wrong guess").status_code for _ in range(12)]
    assert answers.count(303) <= 10 and answers[-1] == 429


@pytest.mark.parametrize("forged", ["x.y", "0" * 32 + "." + "0" * 64, "", "."])
def test_a_forged_known_browser_counts_as_a_stranger(auth: Auth, grace: Grace, forged: str) -> None:
    for number in range(12):
        give_password(auth.browser(f"198.51.100.{number}"), "a wrong guess")
    browser = auth.browser("203.0.113.9")
    browser.http.cookies.set("keystead_auth_known_administrator", forged)
    assert give_password(browser).status_code == 429


def test_nothing_tells_whether_an_address_is_known(auth: Auth, grace: Grace) -> None:
    pages = []
    for email in (EMAIL, "nobody@example.org"):
        browser = auth.browser("198.51.100.3")
        page = browser.get(give_password(browser, "a wrong guess", email).headers["location"]).text
        plain = page.replace(email, "").replace(token_on(page), "")
        pages.append(re.sub(r"draft(=|%3D)[\w-]+", "", plain))
    assert pages[0] == pages[1]
    told = []
    for email in ("grace@example.org", "gustav@example.org"):
        browser = auth.browser("198.51.100.4")
        told.append(browser.post(FORGOT, email=email, form_token=browser.form_token(FORGOT)).text)
    assert told[0] == told[1]


def test_a_stranger_who_asks_for_resets_sends_few_letters(auth: Auth, grace: Grace) -> None:
    for number in range(9):
        browser = auth.browser(f"198.51.100.{number}")
        browser.post(FORGOT, email=EMAIL, form_token=browser.form_token(FORGOT))
    duties(auth.worker)["resets"]()
    assert len([fact for fact in auth.links() if fact.get("purpose") == "reset"]) <= 6
    assert grace.sign_in(), "and changes nothing"


def test_a_code_works_once(auth: Auth, grace: Grace) -> None:
    code, browser, thief = grace.code(), auth.browser(), auth.browser()
    give_password(browser)
    give_password(thief)
    assert give_code(browser, code).headers["location"] == CONSOLE_PAGE
    assert "draft" in give_code(thief, code).headers["location"]


def test_a_code_of_an_earlier_step_is_void_after_a_later_one(auth: Auth, grace: Grace) -> None:
    code = grace.code()
    earlier = grace.totp.at(auth.clock.now() - timedelta(seconds=30))
    browser, thief = auth.browser(), auth.browser()
    give_password(browser)
    give_password(thief)
    assert give_code(browser, code).headers["location"] == CONSOLE_PAGE
    assert "draft" in give_code(thief, earlier).headers["location"]


def test_of_many_who_give_one_code_at_once_one_comes_in(auth: Auth, grace: Grace) -> None:
    browsers = [auth.browser() for _ in range(4)]
    for browser in browsers:
        give_password(browser)
    tokens = [browser.form_token(CODE) for browser in browsers]
    code = grace.code()
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda each: each[0].post(CODE, code=code, form_token=each[1]), zip(browsers, tokens, strict=True))
        )
    assert [answer.headers["location"] for answer in answers].count(CONSOLE_PAGE) == 1


def test_a_recovery_code_works_once(auth: Auth, grace: Grace) -> None:
    browser, thief = auth.browser(), auth.browser()
    give_password(browser)
    give_password(thief)
    assert give_code(browser, grace.recovery[0]).headers["location"] == CONSOLE_PAGE
    assert "draft" in give_code(thief, grace.recovery[0]).headers["location"]


def test_guessing_codes_is_limited(auth: Auth, grace: Grace) -> None:
    statuses = []
    for number in range(12):
        browser = auth.browser(f"198.51.100.{number}")
        give_password(browser)
        statuses.append(give_code(browser, "000000").status_code)
    assert statuses[:10] == [303] * 10 and statuses[-1] == 429


@pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "abcdef", "-1", "0x1234", "x" * 5000])
def test_what_is_no_code_is_wrong_and_no_fault_of_ours(auth: Auth, grace: Grace, code: str) -> None:
    browser = auth.browser()
    give_password(browser)
    assert "draft" in give_code(browser, code).headers["location"]


def test_a_password_alone_opens_nothing(auth: Auth, grace: Grace) -> None:
    browser = auth.browser()
    give_password(browser)
    half = browser.cookie(HALF)
    assert half
    assert browser.cookie(CONSOLE) is None and browser.cookie(SESSION) is None
    for path in (PASSWORD, RECOVERY):
        assert browser.get(path).headers["location"] == SIGN_IN
    assert browser.get(SIGN_IN).status_code == 200
    assert browser.get(AUTHENTICATOR).headers["location"] == SIGN_IN, "no second authenticator"
    forger = auth.browser()
    forger.http.cookies.set(SESSION, half)
    assert forger.get(SIGN_IN).status_code == 200


def test_the_step_after_the_password_ends_soon_and_with_a_new_password(auth: Auth, grace: Grace) -> None:
    late, other = auth.browser(), auth.browser()
    give_password(other)
    token = grace.browser.form_token(PASSWORD)
    grace.browser.post(PASSWORD, current=SECRET, new_password="another fine one", again="another fine one",
                       form_token=token)  # fmt: skip
    assert other.get(CODE).headers["location"] == SIGN_IN
    give_password(late, "another fine one")
    auth.clock.ahead += type(auth.clock.ahead)(minutes=10)
    assert late.get(CODE).headers["location"] == SIGN_IN


def test_planted_cookies_are_not_adopted(auth: Auth, grace: Grace) -> None:
    browser = auth.browser()
    for name in (SESSION, HALF):
        browser.http.cookies.set(name, "planted-by-somebody-else", domain="localhost.local")
    give_password(browser)
    give_code(browser, grace.code())
    intruder = auth.browser()
    for name in (SESSION, HALF):
        intruder.http.cookies.set(name, "planted-by-somebody-else")
    assert intruder.get(SIGN_IN).status_code == 200
    assert intruder.get(CODE).headers["location"] == SIGN_IN


def test_every_step_has_a_token_of_its_own(auth: Auth, grace: Grace) -> None:
    browser = auth.browser()
    give_password(browser)
    half = browser.cookie(HALF)
    give_code(browser, grace.code())
    assert browser.cookie(SESSION) not in (None, half)
    used = auth.browser()
    assert half
    used.http.cookies.set(HALF, half)
    assert used.get(CODE).headers["location"] == SIGN_IN, "the half session is used up"


def test_a_link_sets_a_password_once_and_voids_the_others(auth: Auth) -> None:
    auth.take(administrator())
    first = invitation_path(auth)
    auth.take(administrator(version=2, invitation=2))
    second = invitation_path(auth)
    assert choose(auth.browser(), second).headers["location"] == AUTHENTICATOR
    assert auth.browser().get(second).status_code == 410
    assert auth.browser().get(first).status_code == 410


def test_of_many_who_use_a_link_at_once_one_sets_the_password(auth: Auth) -> None:
    auth.take(administrator())
    path = invitation_path(auth)
    browsers = [auth.browser() for _ in range(4)]
    tokens = [browser.form_token(path) for browser in browsers]

    def use(number: int) -> int:
        password = f"password of thief {number}"
        browser = browsers[number]
        return browser.post(path, new_password=password, again=password, form_token=tokens[number]).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [303, 410, 410, 410]


def test_links_that_do_not_exist_are_limited(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path, limit_confirm_per_client="3/15 minutes") as auth:
        browser = auth.browser()
        paths = [f"/auth/administrators/invitation/guess{number}" for number in range(5)]
        assert [browser.get(path).status_code for path in paths] == [410, 410, 410, 429, 429]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_another_site_sends_no_form_of_ours(auth: Auth, grace: Grace, origin: str | None) -> None:
    auth.take(administrator(version=2, invitation=2))
    for path in (SIGN_IN, FORGOT, PASSWORD, RECOVERY, CODE, AUTHENTICATOR, invitation_path(auth)):
        token = grace.browser.form_token(PASSWORD)
        assert grace.browser.post(path, origin=origin, form_token=token).status_code == 403
        assert grace.browser.post(path, form_token="0" * 64).status_code == 403
    assert grace.browser.post("/auth/administrators/sign-out", origin=origin).status_code == 403
    assert grace.browser.get(SIGN_IN).status_code == 303


def test_an_administrators_session_opens_no_form_and_a_persons_no_console(auth: Auth, grace: Grace) -> None:
    person = auth.browser()
    person.confirm(auth.token())
    session, theirs = person.cookie("keystead_auth_session"), grace.browser.cookie(SESSION)
    assert session and theirs
    mixed = auth.browser()
    mixed.http.cookies.set(SESSION, session)
    assert mixed.get(SIGN_IN).status_code == 200
    mixed.http.cookies.set("keystead_auth_session", theirs)
    assert mixed.get("/auth/sign-in/Zm9ybS1mb3ItdGVzdHM").status_code == 200


def test_an_authenticators_secret_is_no_others(auth: Auth, grace: Grace) -> None:
    from cryptography.exceptions import InvalidTag

    sealed = auth.parts.codes.new_secret("a" * 32)
    with pytest.raises(InvalidTag):
        auth.parts.codes.shown(sealed, "b" * 32)
