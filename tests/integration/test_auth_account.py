"""What administrators have of their own: an authenticator that is set up later, browsers that are signed out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
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

from keystead_auth.bootstrap import migrations
from keystead_contracts.people import AdministratorSeen

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


def sessions_on(browser: Browser) -> list[str]:
    """What the page says of each browser, this one's first."""
    page = browser.get(ACCOUNT).text
    return page.partition("Where you are signed in")[2].split("<h3>")[1:]


def sign_out_of(session: str) -> str:
    return f"{ACCOUNT}/sessions/{session}/sign-out"


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


def test_each_browser_is_listed_with_where_it_is_and_this_one_marked(auth: Auth) -> None:
    browser, other = auth.browser("192.0.2.7"), auth.browser("198.51.100.9")
    other.http.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    for each in (browser, other):
        give_password(each)
    listed = sessions_on(other)
    assert [("Firefox on Linux" in row, "198.51.100.9" in row, "This browser" in row) for row in listed[:1]] == [
        (True, True, True)
    ]
    assert ["This browser" in row for row in listed].count(True) == 1
    assert any("192.0.2.7" in row and "This browser" not in row for row in listed)


def test_what_a_browser_calls_itself_is_not_shown_as_it_is(auth: Auth) -> None:
    hostile = auth.browser()
    hostile.http.headers["user-agent"] = "<script>alert(1)</script> Ask 192.0.2.66 for help" * 20
    assert give_password(hostile).headers["location"] == CONSOLE_PAGE
    page = hostile.get(ACCOUNT).text
    assert "alert(1)" not in page
    assert "192.0.2.66" not in page


def test_one_browser_is_signed_out_here_and_at_the_console_and_the_others_stay(auth: Auth) -> None:
    browser, other, third = auth.browser("192.0.2.7"), auth.browser("198.51.100.9"), signed_in(auth)
    for each in (browser, other):
        give_password(each)
    session = claims(auth, other).session
    answer = browser.post(sign_out_of(session), form_token=browser.form_token(ACCOUNT))
    assert "That browser is signed out." in browser.get(answer.headers["location"]).text
    assert other.get(ACCOUNT).headers["location"] == SIGN_IN
    assert third.get(ACCOUNT).status_code == 200
    ended = [fact for fact in auth.facts() if fact["type"] == "administrator_sign_ins_ended"]
    assert [fact["session"] for fact in ended][-1:] == [session]
    assert not any("198.51.100.9" in row for row in sessions_on(browser))


def test_this_browser_too_is_signed_out_from_the_list(auth: Auth) -> None:
    browser = signed_in(auth)
    answer = browser.post(sign_out_of(claims(auth, browser).session), form_token=browser.form_token(ACCOUNT))
    assert "You are signed out" in answer.text
    assert browser.get(ACCOUNT).headers["location"] == SIGN_IN


def test_nobody_signs_out_somebody_else(auth: Auth) -> None:
    victim = signed_in(auth)
    auth.take(administrator(administrator_id="b" * 32, email="eve@example.org"))
    eve = auth.browser()
    choose(eve, invitation_path(auth))
    told = len(auth.facts())
    eve.post(sign_out_of(claims(auth, victim).session), form_token=eve.form_token(ACCOUNT))
    assert victim.get(ACCOUNT).status_code == 200
    assert len(auth.facts()) == told
    assert len(sessions_on(eve)) == 1


def test_the_schema_goes_there_and_back_with_open_sessions(auth: Auth) -> None:
    browser, other = signed_in(auth), signed_in(auth)
    steps = migrations(auth.parts.database)
    steps.downgrade("0006")
    steps.upgrade()
    assert steps.drift() == []
    listed = re.findall(r"/account/sessions/(\w+)/sign-out", browser.get(ACCOUNT).text)
    for id in listed[1:]:
        browser.post(sign_out_of(id), form_token=browser.form_token(ACCOUNT))
    assert len(sessions_on(browser)) == 1
    assert other.get(ACCOUNT).headers["location"] == SIGN_IN


def test_a_session_that_is_used_at_the_console_goes_on(auth: Auth) -> None:
    browser, idle = signed_in(auth), signed_in(auth)
    session = claims(auth, browser).session
    for _ in range(2):
        auth.clock.ahead += timedelta(minutes=40)
        auth.take(AdministratorSeen(administrator_id="a" * 32, session=session, seen_at=auth.clock.now()))
    assert browser.get(ACCOUNT).status_code == 200
    assert idle.get(ACCOUNT).headers["location"] == SIGN_IN
    assert len(sessions_on(browser)) == 1, "one that is over is not listed"


def test_the_page_and_its_deeds_are_for_signed_in_administrators_and_our_own_forms(auth: Auth) -> None:
    stranger = auth.browser()
    assert stranger.get(ACCOUNT).headers["location"] == SIGN_IN
    token = stranger.form_token(SIGN_IN)
    for path in (SET_UP, ELSEWHERE, sign_out_of("a" * 32)):
        assert stranger.post(path, current=SECRET, form_token=token).headers["location"] == SIGN_IN
    browser, other = signed_in(auth), signed_in(auth)
    for path in (SET_UP, ELSEWHERE, sign_out_of(claims(auth, other).session)):
        assert browser.post(path, current=SECRET, form_token="forged").status_code == 403
    assert other.get(ACCOUNT).status_code == 200
