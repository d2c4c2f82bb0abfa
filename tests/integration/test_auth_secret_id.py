"""Persons sign in by Secret ID, on real Redis, SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.integration.auth_support import FORM, ORIGIN, Auth, Browser, published, running_auth

from keystead_auth.adapters import tables
from keystead_contracts.base import CertificateType
from keystead_contracts.identity import IDENTITY_AUDIENCE, IDENTITY_ISSUER, IdentityClaims, SignInMethod
from keystead_contracts.people import PersonPublished
from keystead_kit.passwords import hash_password

FRONT_DOOR, PATH = f"/auth/sign-in/{FORM}", f"/auth/secret-id/{FORM}"
SECRET, OTHER = "Kx7-tree", "Qw9-lake"
HASHES = {secret: hash_password(secret) for secret in (SECRET, OTHER)}


def person(**changes: Any) -> PersonPublished:
    fact = PersonPublished(
        person_id="p1", version=1, organization_id="o1", email="ada@example.net", name="Ada Lovelace",
        secret_id_hash=HASHES[SECRET],
    )  # fmt: skip
    return fact.model_copy(update=changes)


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with running_auth(database_url, redis_url, tmp_path, limit_secret_per_client="6/15 minutes") as running:
        running.take(
            published(version=2, methods=[SignInMethod.EMAIL, SignInMethod.SECRET_ID], organization_ids=["o1", "o2"])
        )
        running.take(person())
        yield running


@pytest.fixture
def browser(auth: Auth) -> Browser:
    return auth.browser()


def give(browser: Browser, secret: str = SECRET, email: str = "ada@example.net") -> httpx.Response:
    return browser.post(PATH, secret_email=email, secret_id=secret, form_token=browser.form_token(FRONT_DOOR))


def claims(auth: Auth, browser: Browser) -> IdentityClaims:
    token = browser.cookie("keystead_identity")
    assert token
    return IdentityClaims.model_validate(
        auth.verifier.verify(token, issuer=IDENTITY_ISSUER, audience=IDENTITY_AUDIENCE)
    )


def test_a_person_signs_in_by_secret_id(auth: Auth, browser: Browser) -> None:
    page = browser.get(FRONT_DOOR).text
    assert "Send me a link" in page and "Your Secret ID" in page and "There is no password" not in page
    answer = give(browser, email=" Ada@Example.net ")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/e/{FORM}")
    who = claims(auth, browser)
    assert (who.sub, who.method, who.persons, who.name) == ("ada@example.net", "secret_id", ["p1"], "Ada Lovelace")
    assert browser.get(FRONT_DOOR).headers["location"] == f"/e/{FORM}"
    assert claims(auth, browser).persons == ["p1"]


def test_of_a_person_in_several_organizations_the_matching_are_told(auth: Auth) -> None:
    auth.take(person(person_id="p2", organization_id="o2", secret_id_hash=HASHES[OTHER]))
    auth.take(person(person_id="p3", organization_id="o3"))
    for secret, id in ((SECRET, "p1"), (OTHER, "p2")):
        browser = auth.browser()
        give(browser, secret)
        assert claims(auth, browser).persons == [id]


@pytest.mark.parametrize(
    "change",
    [{"removed": True}, {"secret_id_hash": HASHES[OTHER]}, {"secret_id_hash": None}, {"organization_id": "o9"}],
)
def test_a_person_who_is_changed_is_recognized_no_more(auth: Auth, browser: Browser, change: dict[str, Any]) -> None:
    give(browser)
    auth.take(person(version=2, **change))
    assert browser.get(FRONT_DOOR).status_code == 200
    assert "draft" in give(auth.browser()).headers["location"]


def test_an_older_publication_of_a_person_is_void(auth: Auth, browser: Browser) -> None:
    auth.take(person(version=3))
    auth.take(person(version=2, removed=True))
    assert give(browser).headers["location"] == f"/e/{FORM}"


def test_a_session_by_secret_id_opens_no_form_without_that_way(auth: Auth, browser: Browser) -> None:
    give(browser)
    auth.take(published(version=3, methods=[SignInMethod.EMAIL], organization_ids=["o1"]))
    assert browser.get(FRONT_DOOR).status_code == 200


def test_a_form_for_devices_takes_no_secret_id(auth: Auth, browser: Browser) -> None:
    auth.take(
        published(
            version=3, methods=[SignInMethod.EMAIL, SignInMethod.SECRET_ID], organization_ids=["o1"],
            certificate_type=CertificateType.DEVICE,
        )
    )  # fmt: skip
    assert "Secret ID" not in browser.get(FRONT_DOOR).text
    assert give(browser).status_code == 403


def test_what_is_wrong_is_told_the_same_way_for_known_and_unknown(auth: Auth) -> None:
    told = []
    for email in ("ada@example.net", "eve@example.net"):
        browser = auth.browser()
        page = browser.get(give(browser, "a wrong guess", email).headers["location"]).text
        assert 'id="f-secret_id-error"' in page and "a wrong guess" not in page
        token = browser.form_token(FRONT_DOOR)
        told.append(re.sub(r"draft(=|%3D)[\w-]+", "", page.replace(email, "").replace(token, "")))
    assert told[0] == told[1]


def test_a_malformed_address_is_told_beside_its_field(browser: Browser) -> None:
    page = browser.get(give(browser, email="ada").headers["location"]).text
    assert 'id="f-secret_email-error"' in page and 'id="f-email-error"' not in page


def test_guessing_from_one_network_is_limited(auth: Auth) -> None:
    browser = auth.browser("198.51.100.1")
    statuses = [give(browser, "wrong", f"a{number}@example.net").status_code for number in range(8)]
    assert statuses == [303] * 6 + [429] * 2


def test_right_secret_ids_use_nothing_up(auth: Auth) -> None:
    assert {give(auth.browser()).headers["location"] for _ in range(14)} == {f"/e/{FORM}"}


def test_a_stranger_locks_nobody_out_of_their_own_browser(auth: Auth, browser: Browser) -> None:
    give(browser)
    browser.post(f"/auth/sign-out?form={FORM}")
    for number in range(12):
        give(auth.browser(f"198.51.100.{number}"), "wrong")
    assert give(auth.browser("203.0.113.9")).status_code == 429
    assert give(browser).headers["location"] == f"/e/{FORM}"


def test_a_browser_known_for_one_person_is_a_strangers_for_another(auth: Auth, browser: Browser) -> None:
    auth.take(person(person_id="p2", email="eve@example.net", secret_id_hash=HASHES[OTHER]))
    give(browser, OTHER, "eve@example.net")
    browser.post(f"/auth/sign-out?form={FORM}")
    for number in range(12):
        give(auth.browser(f"198.51.100.{number}"), "wrong")
    assert give(browser).status_code == 429


def test_another_site_sends_no_secret_id(auth: Auth, browser: Browser) -> None:
    token = browser.form_token(FRONT_DOOR)
    for origin in ("https://evil.example", None, f"{ORIGIN}.evil.example"):
        answer = browser.post(PATH, origin=origin, secret_email="a@example.net", secret_id=SECRET, form_token=token)
        assert answer.status_code == 403


def test_a_person_gets_a_link_though_the_domain_is_not_delegated(auth: Auth, browser: Browser) -> None:
    token = auth.token(email="ada@example.net")
    assert browser.confirm(token).headers["location"] == f"/e/{FORM}"
    assert browser.get(FRONT_DOOR).status_code == 303
    auth.take(person(version=2, removed=True))
    assert browser.get(FRONT_DOOR).status_code == 200


def test_a_link_that_was_sent_to_a_person_is_void_when_they_are_removed(auth: Auth, browser: Browser) -> None:
    token = auth.token(email="ada@example.net")
    auth.take(person(version=2, removed=True))
    assert browser.post(f"/auth/confirm/{token}", form_token=browser.form_token(FRONT_DOOR)).status_code == 410


def test_a_person_of_another_organization_gets_no_link(auth: Auth) -> None:
    auth.take(person(version=2, organization_id="o9"))
    auth.browser().ask("ada@example.net")
    auth.decide()
    assert auth.links() == []


def test_no_secret_id_is_stored_with_a_session(auth: Auth, browser: Browser) -> None:
    give(browser)
    with auth.parts.database.read() as connection:
        stored = str(connection.execute(tables.sessions.select()).all())
    assert SECRET not in stored and HASHES[SECRET] not in stored


def test_a_form_that_many_try_secret_ids_at_stays_open_and_the_log_warns(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    with running_auth(sqlite_url, redis_url, tmp_path, limit_sign_in_per_form="3/15 minutes") as auth:
        auth.take(published(version=2, methods=[SignInMethod.SECRET_ID], organization_ids=["o1"]))
        auth.take(person())
        with capture_logs() as lines:
            for number in range(5):
                give(auth.browser(f"198.51.100.{number}"), "wrong", f"a{number}@example.net")
            assert give(auth.browser()).headers["location"] == f"/e/{FORM}"
    assert [line["form"] for line in lines if line["event"] == "more sign-ins begun than usual"] == [FORM]
