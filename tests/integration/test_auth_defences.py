"""What strangers try at auth's doors: limits, forms and addresses of other sites, planted cookies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs
from tests.integration.auth_support import FORM, ORIGIN, Auth, Browser, running_auth
from tests.support.servers import RedisServer

from keystead_auth.adapters import tables

FRONT_DOOR = f"/auth/sign-in/{FORM}"


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with running_auth(database_url, redis_url, tmp_path) as running:
        yield running


@pytest.fixture
def browser(auth: Auth) -> Browser:
    return auth.browser()


def test_nothing_tells_a_stranger_whether_an_address_is_known(auth: Auth) -> None:
    seen = []
    for address in ("ada@example.org", "eve@unknown.org"):  # of one length, as Location and cookie echo nothing else
        browser = auth.browser()
        form_token = browser.form_token(FRONT_DOOR)
        statements: list[str] = []

        def note(*args: object, into: list[str] = statements) -> None:
            into.append(str(args[2]))

        event.listen(auth.parts.database.engine, "before_cursor_execute", note)
        answer = browser.post(FRONT_DOOR, email=address, form_token=form_token)
        event.remove(auth.parts.database.engine, "before_cursor_execute", note)
        page = browser.get(f"{FRONT_DOOR}/check-mail")
        seen.append(
            (
                answer.status_code,
                sorted(name for name in answer.headers),
                answer.headers["location"],
                re.sub("asked=[^;]+", "", answer.headers["set-cookie"]),
                len(answer.content),
                statements,
                page.status_code,
                len(page.content),
                sorted(name for name in page.headers),
                page.text.replace("a…@example.org", "").replace("e…@unknown.org", ""),
            )
        )
    assert seen[0] == seen[1]
    assert any("INSERT INTO sign_in_requests" in statement for statement in seen[0][5])
    auth.decide()
    assert [fact["email"] for fact in auth.links()] == ["ada@example.org"]


def test_limits_are_the_same_for_known_and_unknown_addresses(auth: Auth) -> None:
    refused = []
    for number, address in enumerate(("ada@example.org", "eve@unknown.org")):
        for attempt in range(5):
            assert auth.browser(f"198.51.{number}.{attempt}").ask(address).status_code == 303
        answer = auth.browser(f"198.51.{number}.99").ask(address)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 900
        refused.append(re.sub("[0-9a-f]{32}|[0-9]+ minutes?", "", answer.text))
    assert refused[0] == refused[1]
    assert auth.browser("203.0.113.7").ask("grace@example.org").status_code == 303


def test_one_client_is_limited_whatever_addresses_it_tries(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_auth(database_url, redis_url, tmp_path, limit_sign_in_per_client="4/hour") as auth:
        browser = auth.browser()
        statuses = [browser.ask(f"user{number}@example.org").status_code for number in range(5)]
        assert statuses == [303] * 4 + [429]
        assert auth.count(tables.sign_in_requests) == 4


def test_nobody_can_lock_a_form_for_others_and_the_log_warns_once(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path, limit_sign_in_per_form="3/15 minutes") as auth:
        with capture_logs() as lines:
            statuses = [
                auth.browser(f"198.51.100.{number}").ask(f"u{number}@example.org").status_code for number in range(6)
            ]
    assert statuses == [303] * 6
    [warning] = [line for line in lines if line["log_level"] == "warning"]
    assert (warning["event"], warning["form"]) == ("more sign-ins begun than usual", FORM)


def test_a_request_that_is_refused_counts_against_nobody(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    limits = {"limit_sign_in_per_client": "6/15 minutes", "limit_sign_in_per_email": "2/15 minutes"}
    with running_auth(sqlite_url, redis_url, tmp_path, **limits) as auth:
        browser = auth.browser()
        impatient = [browser.ask("ada@example.org").status_code for _ in range(8)]
        others = [browser.ask(f"user{number}@example.org").status_code for number in range(4)]
    assert impatient == [303] * 2 + [429] * 6
    assert others == [303] * 4, "whoever shares the network has what is left of its limit"


def test_tags_do_not_flood_a_mailbox_nor_use_up_its_owners_limit(auth: Auth) -> None:
    tagged = [auth.browser(f"198.51.100.{n}").ask(f"Ada+{n}@Example.org").status_code for n in range(8)]
    assert tagged[:5] == [303] * 5
    assert tagged[-1] == 429, "where a window ends a sixth may come through, no more"
    assert auth.browser("203.0.113.7").ask("ada@example.org").status_code == 303


def test_an_ipv6_subscriber_is_one_client(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path, limit_sign_in_per_client="3/15 minutes") as auth:
        statuses = [auth.browser(f"2001:db8::{n}").ask(f"u{n}@example.org").status_code for n in range(4)]
        other = auth.browser("2001:db8:0:1::1").ask("grace@example.org").status_code
    assert (statuses, other) == ([303, 303, 303, 429], 303)


def test_trying_links_is_limited(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_auth(database_url, redis_url, tmp_path, limit_confirm_per_client="3/15 minutes") as auth:
        browser = auth.browser()
        answers = [browser.get(f"/auth/confirm/guess{number}") for number in range(4)]
        assert auth.browser("203.0.113.7").get(f"/auth/confirm/{auth.token()}").status_code == 200
    assert [each.status_code for each in answers] == [410, 410, 410, 429]
    assert "retry-after" in answers[3].headers


def test_links_that_exist_are_opened_as_often_as_scanners_like(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path, limit_confirm_per_client="3/15 minutes") as auth:
        browser, token = auth.browser(), auth.token()
        assert {browser.get(f"/auth/confirm/{token}").status_code for _ in range(9)} == {200}
        assert browser.confirm(token).status_code == 303
        assert {auth.browser().get(f"/auth/confirm/{token}").status_code for _ in range(9)} == {410}
        assert auth.browser().get(f"/auth/confirm/{auth.token()}").status_code == 200


def test_without_redis_people_still_sign_in_and_are_still_limited(
    sqlite_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    with running_auth(sqlite_url, own_redis.url, tmp_path) as auth:
        own_redis.stop()
        statuses = [auth.browser(f"198.51.100.{number}").ask("ada@example.org").status_code for number in range(8)]
        assert statuses[:5] == [303] * 5
        assert statuses[-1] == 429, "where a window ends a sixth may come through, no more"
        assert auth.decide() == statuses.count(303) <= 6
        token = auth.links()[0]["link"].rsplit("/", 1)[1]
        assert auth.browser().confirm(token).status_code == 303


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, f"{ORIGIN}.evil.example"])
def test_a_form_from_another_origin_is_refused(auth: Auth, browser: Browser, origin: str | None) -> None:
    token = auth.token()
    form_token = browser.form_token(FRONT_DOOR)
    for path in (FRONT_DOOR, f"/auth/confirm/{token}"):
        answer = browser.post(path, origin=origin, email="ada@example.org", form_token=form_token)
        assert answer.status_code == 403
    assert browser.confirm(token).status_code == 303


def test_a_missing_or_foreign_form_token_is_refused(auth: Auth, browser: Browser) -> None:
    token = auth.token()
    foreign = auth.browser().form_token(FRONT_DOOR)
    browser.get(FRONT_DOOR)
    for path in (FRONT_DOOR, f"/auth/confirm/{token}"):
        assert browser.post(path, email="ada@example.org").status_code == 403
        assert browser.post(path, email="ada@example.org", form_token=foreign).status_code == 403
    assert auth.count(tables.sign_in_requests) == 1


def test_a_planted_session_is_not_adopted(auth: Auth, browser: Browser) -> None:
    token = auth.token()
    browser.http.cookies.set("keystead_auth_session", "planted-by-somebody-else", domain="localhost.local")
    browser.confirm(token)
    values = [each.value for each in browser.http.cookies.jar if each.name == "keystead_auth_session"]
    intruder = auth.browser()
    intruder.http.cookies.set("keystead_auth_session", "planted-by-somebody-else")
    assert intruder.get(FRONT_DOOR).status_code == 200
    assert any(value != "planted-by-somebody-else" for value in values)


def test_each_sign_in_has_a_session_of_its_own(auth: Auth, browser: Browser) -> None:
    browser.confirm(auth.token())
    first = browser.cookie("keystead_auth_session")
    browser.confirm(auth.token())
    assert browser.cookie("keystead_auth_session") not in (None, first)


@pytest.mark.parametrize(
    "uri", ["//evil.example", "%2F%2Fevil.example", "https:%2F%2Fevil.example", "..", "a%0d%0aLocation:x"]
)
def test_no_address_redirects_elsewhere(auth: Auth, browser: Browser, uri: str) -> None:
    browser.confirm(auth.token())
    for path in (f"/auth/sign-in/{uri}", f"{FRONT_DOOR}?next=https://evil.example", f"/auth/confirm/{uri}"):
        answer = browser.get(path)
        assert "evil" not in answer.headers.get("location", "")
        assert answer.headers.get("location", "/e/").startswith(("/e/", "/auth/", ORIGIN))
    assert "evil" not in browser.post(f"/auth/sign-out?form={uri}").headers.get("location", "")


def test_cookies_cannot_be_read_by_script_nor_sent_by_other_sites(auth: Auth, browser: Browser) -> None:
    answer = browser.confirm(auth.token())
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
    assert answer.headers["cache-control"] == "no-store"


def test_on_https_cookies_belong_to_the_host_alone(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path, public_origin="https://enroll.example.org") as auth:
        answer = auth.browser().http.get(FRONT_DOOR)
    assert answer.headers["set-cookie"].startswith("__Host-keystead_auth_visit=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "strict-transport-security" in answer.headers


def test_no_byte_in_an_address_is_a_fault_of_ours(auth: Auth, browser: Browser) -> None:
    for path in ("/auth/sign-in/a%00b", "/auth/confirm/%00", "/auth/sign-in/%ff", "/auth/confirm/%ed%a0%80"):
        assert browser.get(path).status_code in (404, 410)
