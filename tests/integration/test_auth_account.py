"""What administrators have of their own: an authenticator that is set up later, browsers that are signed out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from tests.integration.auth_support import Auth, Browser, running_auth
from tests.support.console_sign_in import (
    AUTHENTICATOR,
    CODE,
    CONSOLE_PAGE,
    SECRET,
    SIGN_IN,
    administrator,
    choose,
    claims,
    give_code,
    give_password,
    invitation_path,
    secret_on,
    settled,
    token_on,
)

ACCOUNT = "/auth/administrators/account"
SET_UP, ELSEWHERE = f"{ACCOUNT}/authenticator", f"{ACCOUNT}/sign-out-elsewhere"


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with running_auth(database_url, redis_url, tmp_path, administrator_second_factor="optional") as running:
        running.take(administrator())
        assert choose(running.browser(), invitation_path(running)).headers["location"] == CONSOLE_PAGE
        yield running


def signed_in(auth: Auth) -> Browser:
    browser = auth.browser()
    assert give_password(browser).headers["location"] == CONSOLE_PAGE
    return browser


def begin(browser: Browser, password: str = SECRET) -> str:
    answer = browser.post(SET_UP, current=password, form_token=browser.form_token(ACCOUNT))
    assert answer.status_code == 303
    return answer.headers["location"]


def test_an_authenticator_is_set_up_later_and_asked_for_from_then_on(auth: Auth) -> None:
    browser, other = signed_in(auth), signed_in(auth)
    assert begin(browser) == AUTHENTICATOR
    page = browser.get(AUTHENTICATOR).text
    totp = pyotp.TOTP(secret_on(page))
    done = browser.post(AUTHENTICATOR, code=totp.at(auth.clock.now()), form_token=token_on(page))
    assert done.status_code == 200
    assert claims(auth, browser).second_factor
    assert "a code from your app" in browser.get(ACCOUNT).text
    assert other.get(ACCOUNT).headers["location"] == SIGN_IN  # it was signed in by the password alone
    later = auth.browser()
    assert give_password(later).headers["location"] == CODE
    auth.clock.ahead += type(auth.clock.ahead)(seconds=60)
    assert give_code(later, totp.at(auth.clock.now())).headers["location"] == CONSOLE_PAGE


def test_whoever_finds_an_open_browser_sets_up_no_authenticator(auth: Auth) -> None:
    browser = signed_in(auth)
    assert begin(browser, "not the password").startswith(f"{ACCOUNT}?draft=")
    assert browser.get(AUTHENTICATOR).headers["location"] == SIGN_IN
    assert browser.get(ACCOUNT).status_code == 200


def test_setting_up_that_is_left_half_way_ends_no_session(auth: Auth) -> None:
    browser = signed_in(auth)
    begin(browser)
    assert browser.get(ACCOUNT).status_code == 200
    assert give_password(auth.browser()).headers["location"] == CONSOLE_PAGE


def test_an_authenticator_that_is_there_is_not_replaced(redis_url: str, sqlite_url: str, tmp_path: Path) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path) as auth:
        browser = settled(auth).browser
        assert SET_UP not in browser.get(ACCOUNT).text
        assert begin(browser) == ACCOUNT
        assert browser.get(AUTHENTICATOR).headers["location"] == SIGN_IN


def test_other_browsers_are_signed_out_and_this_one_is_not(auth: Auth) -> None:
    browser, other = signed_in(auth), signed_in(auth)
    answer = browser.post(ELSEWHERE, form_token=browser.form_token(ACCOUNT))
    assert answer.status_code == 303
    assert "Every other browser is signed out." in browser.get(answer.headers["location"]).text
    assert other.get(ACCOUNT).headers["location"] == SIGN_IN


def test_the_page_and_its_deeds_are_for_signed_in_administrators_and_our_own_forms(auth: Auth) -> None:
    stranger = auth.browser()
    assert stranger.get(ACCOUNT).headers["location"] == SIGN_IN
    token = stranger.form_token(SIGN_IN)
    for path in (SET_UP, ELSEWHERE):
        assert stranger.post(path, current=SECRET, form_token=token).headers["location"] == SIGN_IN
    browser, other = signed_in(auth), signed_in(auth)
    for path in (SET_UP, ELSEWHERE):
        assert browser.post(path, current=SECRET, form_token="forged").status_code == 403
    assert other.get(ACCOUNT).status_code == 200
