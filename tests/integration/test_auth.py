"""auth on real Redis, SQLite and PostgreSQL, through its pages."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.auth_support import FORM, ORIGIN, Auth, Browser, published, running_auth

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


def test_the_schema_goes_back_with_names_that_are_longer_than_they_were(auth: Auth) -> None:
    auth.take(published(version=2, organization="n" * 300))
    steps = migrations(auth.parts.database)
    steps.downgrade("0001")
    with auth.parts.database.engine.connect() as connection:
        [name] = connection.exec_driver_sql("SELECT organization FROM forms").scalars()
    assert name == "n" * 200
    steps.upgrade()
    assert steps.drift() == []


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
