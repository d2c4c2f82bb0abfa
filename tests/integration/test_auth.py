"""auth on real Redis, SQLite and PostgreSQL, through its pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs
from tests.integration.auth_support import FORM, ORIGIN, Auth, Browser, published, running_auth
from tests.support.servers import RedisServer

from keystead_auth.adapters import tables
from keystead_auth.bootstrap import migrations
from keystead_contracts.identity import IDENTITY_AUDIENCE, IDENTITY_ISSUER, IdentityClaims, SignInMethod
from keystead_kit.secrets import token_digest

FRONT_DOOR = f"/auth/sign-in/{FORM}"


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with running_auth(database_url, redis_url, tmp_path) as running:
        yield running


@pytest.fixture
def browser(auth: Auth) -> Browser:
    return auth.browser()


def claims(auth: Auth, browser: Browser) -> IdentityClaims:
    token = browser.cookie("keystead_identity")
    assert token
    return IdentityClaims.model_validate(
        auth.verifier.verify(token, issuer=IDENTITY_ISSUER, audience=IDENTITY_AUDIENCE)
    )


def test_models_and_migrations_agree(auth: Auth) -> None:
    assert migrations(auth.parts.database).drift() == []


def test_a_person_signs_in(auth: Auth, browser: Browser) -> None:
    page = browser.get(FRONT_DOOR)
    assert page.status_code == 200
    assert "Staff certificates" in page.text and "Ask your IT desk." in page.text
    answer = browser.ask("Ada@Example.org")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{FRONT_DOOR}/check-mail")
    assert "a…@example.org" in browser.get(f"{FRONT_DOOR}/check-mail").text
    auth.decide()
    [fact] = auth.links()
    assert fact["email"] == "ada@example.org"
    assert fact["requested_from"] == "192.0.2.1"
    assert fact["link"].startswith(f"{ORIGIN}/auth/confirm/")
    token = fact["link"].rsplit("/", 1)[1]
    assert "ada@example.org" in browser.get(f"/auth/confirm/{token}").text
    done = browser.confirm(token)
    assert (done.status_code, done.headers["location"]) == (303, f"/e/{FORM}")
    who = claims(auth, browser)
    assert (who.sub, who.form, who.method) == ("ada@example.org", FORM, SignInMethod.EMAIL)
    assert who.exp - who.iat == 120


def test_only_the_digest_of_a_token_is_stored(auth: Auth, browser: Browser) -> None:
    token = auth.token()
    browser.confirm(token)
    session = browser.cookie("keystead_auth_session")
    assert session
    with auth.parts.database.read() as connection:
        [link] = connection.execute(tables.links.select()).all()
        [row] = connection.execute(tables.sessions.select()).all()
    assert link.digest == token_digest(token)
    assert row.digest == token_digest(session)
    assert token not in str(link) and session not in str(row)


def test_a_session_signs_in_at_once_with_another_token(auth: Auth, browser: Browser) -> None:
    browser.confirm(auth.token())
    first = claims(auth, browser)
    again = browser.get(FRONT_DOOR)
    assert (again.status_code, again.headers["location"]) == (303, f"/e/{FORM}")
    assert claims(auth, browser).jti != first.jti


def test_a_session_ends_after_its_hours(auth: Auth, browser: Browser) -> None:
    browser.confirm(auth.token())
    auth.clock.ahead += auth.parts.settings.session_lifetime
    page = browser.get(FRONT_DOOR)
    assert page.status_code == 200
    assert "nothing is lost" in page.text


def test_signing_out_ends_the_session(auth: Auth, browser: Browser) -> None:
    browser.confirm(auth.token())
    stolen = browser.cookie("keystead_auth_session")
    assert stolen
    page = browser.post(f"/auth/sign-out?form={FORM}")
    assert page.status_code == 200
    assert "signed out" in page.text and FRONT_DOOR in page.text
    assert browser.cookie("keystead_auth_session") is None
    thief = auth.browser()
    thief.http.cookies.set("keystead_auth_session", stolen)
    assert thief.get(FRONT_DOOR).status_code == 200


def test_another_site_cannot_sign_a_person_out(auth: Auth, browser: Browser) -> None:
    browser.confirm(auth.token())
    assert browser.post("/auth/sign-out", origin="https://evil.example").status_code == 403
    assert browser.post("/auth/sign-out", origin=None).status_code == 403
    assert browser.get(FRONT_DOOR).status_code == 303


def test_a_link_works_once(auth: Auth, browser: Browser) -> None:
    token = auth.token()
    assert browser.confirm(token).status_code == 303
    other = auth.browser()
    form_token = other.form_token(FRONT_DOOR)
    answer = other.post(f"/auth/confirm/{token}", form_token=form_token)
    assert answer.status_code == 410
    assert "already used" in answer.text and FRONT_DOOR in answer.text
    assert other.cookie("keystead_identity") is None
    assert other.get(f"/auth/confirm/{token}").status_code == 410


def test_a_link_expires(auth: Auth, browser: Browser) -> None:
    token = auth.token()
    form_token = browser.form_token(f"/auth/confirm/{token}")
    auth.clock.ahead += auth.parts.settings.link_lifetime
    answer = browser.post(f"/auth/confirm/{token}", form_token=form_token)
    assert answer.status_code == 410
    assert "expired" in answer.text and FRONT_DOOR in answer.text
    assert auth.count(tables.sessions) == 0


def test_an_unknown_link_is_refused(auth: Auth, browser: Browser) -> None:
    for token in ("x", "A" * 43, "..."):
        answer = browser.get(f"/auth/confirm/{token}")
        assert answer.status_code == 410
        assert "does not work" in answer.text


def test_mail_scanners_use_nothing_up(auth: Auth, browser: Browser) -> None:
    token = auth.token()
    for method in ("GET", "HEAD", "GET", "HEAD"):
        assert auth.browser().http.request(method, f"/auth/confirm/{token}").status_code == 200
    assert browser.confirm(token).status_code == 303


def test_a_second_press_of_the_same_browser_lands_signed_in(auth: Auth, browser: Browser) -> None:
    path = f"/auth/confirm/{auth.token()}"
    form_token = browser.form_token(path)
    assert browser.post(path, form_token=form_token).status_code == 303
    for cookie in ("keystead_auth_session", "keystead_identity"):
        browser.http.cookies.delete(cookie)  # the first answer never arrived
    assert browser.post(path, form_token=form_token).status_code == 303
    assert claims(auth, browser).sub == "ada@example.org"
    assert browser.get(FRONT_DOOR).status_code == 303
    browser.post("/auth/sign-out")
    assert browser.post(path, form_token=form_token).status_code == 410


def test_of_simultaneous_presses_exactly_one_wins(auth: Auth) -> None:
    path = f"/auth/confirm/{auth.token()}"
    browsers = [auth.browser(f"192.0.2.{number}") for number in range(2, 10)]
    form_tokens = [each.form_token(path) for each in browsers]
    with ThreadPoolExecutor(len(browsers)) as pool:
        statuses = list(
            pool.map(lambda each, token: each.post(path, form_token=token).status_code, browsers, form_tokens)
        )
    assert sorted(statuses) == [303] + [410] * 7
    assert auth.count(tables.sessions) == 1


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


def test_the_schema_goes_back_with_names_that_are_longer_than_they_were(auth: Auth) -> None:
    auth.take(published(version=2, organization="n" * 300))
    steps = migrations(auth.parts.database)
    steps.downgrade("0001")
    with auth.parts.database.engine.connect() as connection:
        [name] = connection.exec_driver_sql("SELECT organization FROM forms").scalars()
    assert name == "n" * 200
    steps.upgrade()
    assert steps.drift() == []


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


@pytest.mark.parametrize("typed", ["ada", "ada@", "<script>@example.org", "a@b.c\r\nBcc: d@e.f", "", "x" * 5000])
def test_a_wrong_address_is_told_beside_the_field_and_kept(auth: Auth, browser: Browser, typed: str) -> None:
    answer = browser.ask(typed)
    assert answer.status_code == 303
    assert "ada" not in answer.headers["location"]
    page = browser.get(answer.headers["location"]).text
    assert 'id="f-email-error"' in page
    assert "<script>@" not in page
    if typed.isalnum():
        assert f'value="{typed}"' in page
    assert auth.count(tables.sign_in_requests) == 0


def test_an_unknown_form_says_so(auth: Auth, browser: Browser) -> None:
    for path in (
        "/auth/sign-in/nothing",
        "/auth/sign-in/nothing/check-mail",
        f"/auth/sign-in/{'x' * 3000}",
    ):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert "no enrollment form" in answer.text
    token = browser.form_token(FRONT_DOOR)
    assert browser.post("/auth/sign-in/nothing", email="ada@example.org", form_token=token).status_code == 404


def test_no_byte_in_an_address_is_a_fault_of_ours(auth: Auth, browser: Browser) -> None:
    for path in ("/auth/sign-in/a%00b", "/auth/confirm/%00", "/auth/sign-in/%ff", "/auth/confirm/%ed%a0%80"):
        assert browser.get(path).status_code in (404, 410)


def test_a_form_for_many_organizations_is_taken_in(auth: Auth, browser: Browser) -> None:
    names = ", ".join(f"{letter}{'n' * 75}" for letter in "ABC")
    assert len(names) > 200
    auth.take(published(version=2, organization=names))
    assert names in browser.get(FRONT_DOOR).text


def test_a_withdrawn_form_is_closed_and_stays_closed(auth: Auth, browser: Browser) -> None:
    auth.take(published(version=3, withdrawn=True))
    auth.take(published(version=2))
    assert browser.get(FRONT_DOOR).status_code == 404


def test_a_newer_publication_replaces_the_older(auth: Auth, browser: Browser) -> None:
    auth.take(published(version=2, name="Renamed"))
    assert "Renamed" in browser.get(FRONT_DOOR).text


def test_a_form_without_a_usable_method_says_so(auth: Auth, browser: Browser) -> None:
    auth.take(published(version=2, methods=[]))
    answer = browser.get(FRONT_DOOR)
    assert answer.status_code == 403
    assert "no way to sign in" in answer.text


def test_check_mail_without_a_request_leads_to_the_front_door(auth: Auth, browser: Browser) -> None:
    browser.http.cookies.set("keystead_auth_asked", "!!!")
    answer = browser.get(f"{FRONT_DOOR}/check-mail")
    assert (answer.status_code, answer.headers["location"]) == (303, FRONT_DOOR)


def test_a_program_gets_a_problem_document(auth: Auth) -> None:
    answer = auth.browser().http.get("/auth/sign-in/nothing", headers={"accept": "application/json"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:keystead:problem:not-found"
    link = auth.browser().http.get("/auth/confirm/nothing", headers={"accept": "application/json"})
    assert link.json()["type"] == "urn:keystead:problem:link-invalid"


def test_two_workers_decide_each_request_once(auth: Auth) -> None:
    for number in range(12):
        auth.browser(f"198.51.100.{number}").ask(f"user{number}@example.org")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: auth.decide(), range(4)))
    auth.decide()
    assert len(auth.links()) == auth.count(tables.links) == 12


def test_health_and_metrics(auth: Auth, browser: Browser) -> None:
    browser.ask("ada@example.org")
    assert browser.get("/health/live").json() == {"status": "ok"}
    assert browser.get("/health/ready").json()["checks"] == {"database": "ok", "redis": "ok"}
    assert 'keystead_signin_requests_total{outcome="accepted"}' in browser.get("/metrics").text
