"""Officers who look for other organizations' access codes by giving them to accounts of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from tests.integration.api.test_accounts import Place
from tests.integration.api.test_certificates import audited
from tests.support.administrators import Api, administrator, api_token, console, master
from tests.support.enroll_app import CODE, EnrollApp, enroll_app, problem_code

from keystead_enroll.domain.administration import Administrator, Grant, Role

MOST = 3


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url, access_code_limit_administrator=f"{MOST}/hour") as app:
        yield app


@pytest.fixture
def place(app: EnrollApp) -> Place:
    return Place(app)


@pytest.fixture
def rao(app: EnrollApp, place: Place) -> Administrator:
    return administrator(app, Grant(Role.RAO, place.organization))


def guesses(api: Api, place: Place, times: int = MOST) -> list[httpx.Response]:
    """The answers to the same code, which is in use elsewhere, for new accounts."""
    return [api("POST", "/accounts", json=place.coded(CODE, name=f"Guess {n}")) for n in range(times)]


def told(answer: httpx.Response) -> tuple[object, ...]:
    """What a refusal says, without what differs by time and request."""
    body = answer.json()
    return answer.status_code, problem_code(answer), body["title"], body["detail"], sorted(body["fields"])


def test_after_a_handful_of_codes_in_use_nobody_learns_of_more(
    app: EnrollApp, place: Place, rao: Administrator
) -> None:
    api = Api(app, api_token(app, rao))
    assert [answer.status_code for answer in guesses(api, place)] == [409] * MOST
    used, free = (api("POST", "/accounts", json=place.coded(code, name="More")) for code in (CODE, "Free1"))
    assert told(used) == told(free)
    assert (used.status_code, problem_code(used)) == (429, "rate-limited")
    assert int(used.headers["retry-after"]) > 0
    assert [a["name"] for a in api.items("/accounts")] == []


def test_changing_an_account_is_no_way_around(app: EnrollApp, place: Place, rao: Administrator) -> None:
    api = Api(app, api_token(app, rao))
    made = api.create("/accounts", place.coded("Mine1"))
    guesses(api, place, MOST - 1)
    assert api("PATCH", f"/accounts/{made}", json={"access_code": CODE}).status_code == 409
    for code in (CODE, "Free1"):
        assert api("PATCH", f"/accounts/{made}", json={"access_code": code}).status_code == 429
    assert api("PATCH", f"/accounts/{made}", json={"name": "Renamed"}).status_code == 200


def test_another_token_or_the_console_is_no_way_around(app: EnrollApp, place: Place, rao: Administrator) -> None:
    guesses(Api(app, api_token(app, rao)), place)
    assert guesses(Api(app, api_token(app, rao)), place, 1)[0].status_code == 429


def test_many_at_once_are_no_way_around(app: EnrollApp, place: Place, rao: Administrator) -> None:
    answers: list[int] = []
    tries = 3 * MOST
    start = threading.Barrier(tries)
    token = api_token(app, rao)

    def guess(number: int) -> None:
        api = Api(app, token)
        start.wait()
        answers.append(api("POST", "/accounts", json=place.coded(CODE, name=f"Guess {number}")).status_code)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(tries)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [409] * MOST + [429] * (tries - MOST)


def test_nobody_else_waits_for_it_and_free_codes_do_not_count(app: EnrollApp, place: Place, rao: Administrator) -> None:
    guesses(Api(app, api_token(app, rao)), place)
    for number in range(MOST + 1):
        place.api.create("/accounts", place.coded(f"Free{number}", name=f"Account {number}"))


def test_each_code_in_use_is_in_the_audit_log_and_the_code_is_not(
    app: EnrollApp, place: Place, rao: Administrator
) -> None:
    guesses(Api(app, api_token(app, rao)), place, 2)
    lines = audited(app, place.form)
    mine = [line for line in lines if line.action == "account.code-in-use"]
    assert [line.organization_id for line in mine] == [place.organization] * 2
    assert not any(CODE in str(line) or "Hospital" in str(line) for line in mine)
    shown = master(app).items("/audit", q="action:account.code-in-use")
    assert len(shown) == 2


def test_the_console_says_it_beside_the_code(app: EnrollApp, place: Place) -> None:
    browser = console(app)
    fields = {
        "form_id": place.form, "name": "Guess", "place": place.organization, "profile_ids": place.profile,
        "authorization": "access_code", "access_code": CODE, "csr_method": "keystead_agent",
        "automatic_approval": "yes", "active": "yes",
    }  # fmt: skip
    for _ in range(MOST):
        assert "Another account has this access code already." in browser.mistakes(
            browser.send(f"/accounts/new?form={place.form}", **fields)
        )
    page = browser.mistakes(browser.send(f"/accounts/new?form={place.form}", **fields))
    assert "You chose access codes that were in use already too often." in page


def test_a_form_with_another_mistake_tells_nothing_of_codes(app: EnrollApp, place: Place) -> None:
    browser = console(app)
    fields = {
        "form_id": place.form, "name": "", "place": place.organization, "profile_ids": place.profile,
        "authorization": "access_code", "csr_method": "keystead_agent", "approval": "automatic", "active": "yes",
    }  # fmt: skip
    made = place.api.create("/accounts", place.coded("Mine1"))
    for path in (f"/accounts/new?form={place.form}", f"/accounts/{made}/change"):
        told = browser.mistakes(browser.send(path, **fields, access_code=CODE))
        assert 'id="f-name-error"' in told
        assert 'id="f-access_code-error"' not in told
        assert "Another account has this access code" not in told
