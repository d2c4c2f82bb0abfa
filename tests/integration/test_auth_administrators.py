"""Administrators sign in to the console, on real Redis, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.integration.auth_support import Auth, running_auth
from tests.support.console_sign_in import (
    AUTHENTICATOR,
    CODE,
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
    claims,
    codes_on,
    give_code,
    give_password,
    invitation_path,
    settled,
)

from keystead_auth.adapters import tables
from keystead_auth.cli import main
from keystead_auth.usecases.sign_in_administrator_by_idp import sign_in_administrator_by_idp
from keystead_auth.worker import duties
from keystead_contracts.people import AdministratorMethod

NEW = "five calm horses swim"


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with running_auth(database_url, redis_url, tmp_path) as running:
        yield running


@pytest.fixture
def grace(auth: Auth) -> Grace:
    return settled(auth)


def forget(auth: Auth, email: str = EMAIL) -> None:
    browser = auth.browser("192.0.2.77")
    assert browser.post(FORGOT, email=email, form_token=browser.form_token(FORGOT)).status_code == 200
    duties(auth.worker)["resets"]()


def test_an_invited_administrator_chooses_a_password_and_sets_up_an_authenticator(auth: Auth, grace: Grace) -> None:
    assert len(grace.recovery) == 10
    answer = grace.browser.get(SIGN_IN)
    assert (answer.status_code, answer.headers["location"]) == (303, CONSOLE_PAGE)
    who = claims(auth, grace.browser)
    assert (who.sub, who.email, who.method, who.second_factor) == ("a" * 32, EMAIL, "password", True)
    assert who.exp - who.iat == 120


def test_password_and_code_lead_to_the_console(auth: Auth, grace: Grace) -> None:
    browser = grace.sign_in()
    assert claims(auth, browser).second_factor
    assert browser.cookie(HALF) is None


def test_a_recovery_code_does_instead_of_the_app(auth: Auth, grace: Grace) -> None:
    browser = auth.browser()
    give_password(browser)
    assert give_code(browser, grace.recovery[3].upper()).headers["location"] == CONSOLE_PAGE
    assert "You have 9 unused" in browser.get(RECOVERY).text


def test_nothing_that_signs_in_is_stored_as_it_is(auth: Auth, grace: Grace) -> None:
    with auth.parts.database.read() as connection:
        stored = "".join(
            str(connection.execute(table.select()).all())
            for table in (tables.administrators, tables.recovery_codes, tables.administrator_sessions)
        )
    session = grace.browser.cookie(SESSION)
    assert session
    for secret in (SECRET, grace.totp.secret, grace.recovery[0], session):
        assert secret not in stored


def test_a_session_ends_when_it_is_idle_and_after_its_hours(auth: Auth, grace: Grace) -> None:
    for _ in range(14):
        assert grace.browser.get(SIGN_IN).status_code == 303
        auth.clock.ahead += timedelta(minutes=55)
    assert "not signed in any more" in grace.browser.get(SIGN_IN).text
    idle = grace.sign_in()
    auth.clock.ahead += timedelta(minutes=61)
    assert idle.get(SIGN_IN).status_code == 200


def test_signing_out_ends_the_session(auth: Auth, grace: Grace) -> None:
    stolen = grace.browser.cookie(SESSION)
    assert stolen
    assert "signed out" in grace.browser.post("/auth/administrators/sign-out").text
    thief = auth.browser()
    thief.http.cookies.set(SESSION, stolen)
    assert thief.get(SIGN_IN).status_code == 200


@pytest.mark.parametrize(
    "change", [{"active": False}, {"methods": [AdministratorMethod.IDP]}, {"email": "g@example.org"}]
)
def test_who_is_changed_is_signed_out(auth: Auth, grace: Grace, change: dict[str, object]) -> None:
    auth.take(administrator(version=2, **change))
    assert grace.browser.get(SIGN_IN).status_code == 200
    answer = give_password(auth.browser())
    assert "draft" in answer.headers["location"]


def test_an_older_publication_is_void_and_what_they_sign_in_with_stays(auth: Auth, grace: Grace) -> None:
    auth.take(administrator(version=3, name="Grace M. Hopper"))
    auth.take(administrator(version=2, active=False))
    assert grace.browser.get(SIGN_IN).status_code == 303
    assert grace.sign_in()


def test_a_forgotten_password_is_chosen_anew_and_the_authenticator_stays(auth: Auth, grace: Grace) -> None:
    forget(auth)
    browser = auth.browser()
    path = invitation_path(auth)
    assert choose(browser, path, NEW).headers["location"] == CODE
    assert give_code(browser, grace.code()).headers["location"] == CONSOLE_PAGE
    assert grace.browser.get(SIGN_IN).status_code == 200, "other sessions have ended"
    assert "draft" in give_password(auth.browser()).headers["location"], "the old password is void"


def test_opening_a_link_uses_nothing_up_and_it_expires(auth: Auth) -> None:
    auth.take(administrator())
    path = invitation_path(auth)
    assert {auth.browser().get(path).status_code for _ in range(3)} == {200}
    auth.clock.ahead += timedelta(hours=73)
    answer = auth.browser().get(path)
    assert answer.status_code == 410 and "expired" in answer.text and FORGOT in answer.text


def test_an_invitation_is_sent_when_it_rises_and_only_then(auth: Auth) -> None:
    auth.take(administrator(invitation=0))
    assert auth.links() == []
    auth.take(administrator(version=2))
    auth.take(administrator(version=3))
    [fact] = auth.links()
    assert (fact["type"], fact["invited_by"], fact["purpose"]) == (
        "administrator_invited",
        "Ada Lovelace",
        "invitation",
    )


def test_who_signs_in_by_identity_provider_gets_no_invitation_and_no_reset(auth: Auth) -> None:
    auth.take(administrator(methods=[AdministratorMethod.IDP]))
    forget(auth)
    assert auth.links() == []


def test_an_identity_provider_signs_an_administrator_in(auth: Auth) -> None:
    auth.take(administrator(methods=[AdministratorMethod.IDP]))
    who = sign_in_administrator_by_idp(auth.parts.desk, email="Grace@example.org", provider_id="p")
    browser = auth.browser()
    assert who.session_token
    browser.http.cookies.set(SESSION, who.session_token)
    assert browser.get(SIGN_IN).headers["location"] == CONSOLE_PAGE
    assert (claims(auth, browser).method, claims(auth, browser).second_factor) == ("idp", False)


@pytest.mark.parametrize(
    "password", ["short", "passwordpassword", "aaaaaaaaaaaaaaaa", EMAIL, "Grace Hopper", "x" * 257]
)
def test_a_password_that_is_guessed_easily_is_refused_and_the_link_stays(auth: Auth, password: str) -> None:
    auth.take(administrator(name="Grace Hopper"))
    path, browser = invitation_path(auth), auth.browser()
    answer = choose(browser, path, password)
    assert 'id="f-new_password-error"' in browser.get(answer.headers["location"]).text
    assert choose(browser, path).headers["location"] == AUTHENTICATOR


def test_a_password_typed_differently_twice_is_refused(auth: Auth) -> None:
    auth.take(administrator())
    path, browser = invitation_path(auth), auth.browser()
    answer = choose(browser, path, SECRET, "something else entirely")
    assert 'id="f-again-error"' in browser.get(answer.headers["location"]).text


def test_changing_the_password_ends_every_other_session(auth: Auth, grace: Grace) -> None:
    other, before = grace.sign_in(), grace.browser.cookie(SESSION)
    token = grace.browser.form_token(PASSWORD)
    answer = grace.browser.post(PASSWORD, current=SECRET, new_password=NEW, again=NEW, form_token=token)
    assert answer.headers["location"] == CONSOLE_PAGE
    assert other.get(SIGN_IN).status_code == 200
    assert grace.browser.cookie(SESSION) not in (None, before)
    assert grace.browser.get(SIGN_IN).status_code == 303
    assert give_password(auth.browser(), NEW).headers["location"] == CODE
    ended = [fact for fact in auth.facts() if fact["type"] == "administrator_sign_ins_ended"]
    assert len(ended) == 2  # when the first password was chosen, and now


def test_the_password_is_changed_by_who_knows_it(grace: Grace) -> None:
    token = grace.browser.form_token(PASSWORD)
    answer = grace.browser.post(PASSWORD, current="not my password", new_password=NEW, again=NEW, form_token=token)
    assert 'id="f-current-error"' in grace.browser.get(answer.headers["location"]).text


def test_new_recovery_codes_take_the_place_of_the_old(auth: Auth, grace: Grace) -> None:
    answer = grace.browser.post(RECOVERY, code=grace.code(), form_token=grace.browser.form_token(RECOVERY))
    fresh = codes_on(answer.text)
    assert len(fresh) == 10 and not set(fresh) & set(grace.recovery)
    browser = auth.browser()
    give_password(browser)
    assert "draft" in give_code(browser, grace.recovery[0]).headers["location"]
    assert give_code(browser, fresh[0]).headers["location"] == CONSOLE_PAGE


def test_pages_for_signed_in_administrators_lead_others_to_the_door(auth: Auth) -> None:
    for path in (PASSWORD, RECOVERY, CODE, AUTHENTICATOR):
        assert auth.browser().get(path).headers["location"] == SIGN_IN


def test_where_the_second_factor_is_optional_a_password_is_enough(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path, administrator_second_factor="optional") as auth:
        auth.take(administrator())
        assert choose(auth.browser(), invitation_path(auth)).headers["location"] == CONSOLE_PAGE
        browser = auth.browser()
        assert give_password(browser).headers["location"] == CONSOLE_PAGE
        assert not claims(auth, browser).second_factor


def test_the_operator_sets_a_password_and_makes_a_link(
    auth: Auth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = auth.parts.settings
    for name, value in (("MODE", "development"), ("PUBLIC_ORIGIN", settings.public_origin),
                        ("DATABASE_URL", settings.database_url.get_secret_value())):  # fmt: skip
        monkeypatch.setenv(f"KEYSTEAD_AUTH_{name}", value)
    auth.take(administrator(invitation=0))
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    done = CliRunner().invoke(main, ["administrator", "set-password", EMAIL, "--password-file", str(file)])
    assert done.exit_code == 0, done.output
    assert give_password(auth.browser()).headers["location"] == AUTHENTICATOR
    made = CliRunner().invoke(main, ["administrator", "invite", EMAIL])
    link = made.stdout.splitlines()[0].removeprefix(settings.public_origin)
    assert choose(auth.browser(), link, NEW).headers["location"] == AUTHENTICATOR
    unknown = CliRunner().invoke(main, ["administrator", "invite", "nobody@example.org"])
    assert unknown.exit_code == 1 and "error:" in unknown.output


def test_the_operator_has_a_lost_authenticator_forgotten(
    auth: Auth, grace: Grace, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = auth.parts.settings
    for name, value in (("MODE", "development"), ("PUBLIC_ORIGIN", settings.public_origin),
                        ("DATABASE_URL", settings.database_url.get_secret_value())):  # fmt: skip
        monkeypatch.setenv(f"KEYSTEAD_AUTH_{name}", value)
    made = CliRunner().invoke(main, ["administrator", "invite", EMAIL, "--new-authenticator"])
    link = made.stdout.splitlines()[0].removeprefix(settings.public_origin)
    assert grace.browser.get(SIGN_IN).status_code == 200
    assert choose(auth.browser(), link, NEW).headers["location"] == AUTHENTICATOR
