"""Forms of the console that come from elsewhere; what its cookies and answers let others do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.support.administrators import Console, administrator, administrator_identity, console, master
from tests.support.enroll_app import ORIGIN, PAGE, EnrollApp, enroll_app, problem_code
from tests.support.every_route import console_routes
from tests.support.servers import RedisServer
from tests.support.tenants import UNKNOWN, contents

from keystead_kit.edge import CSP

HTTPS = "https://enroll.test"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, _redis: RedisServer) -> Iterator[EnrollApp]:
    """One enroll for all that is refused."""
    with enroll_app(f"sqlite:///{tmp_path_factory.mktemp('console')}/test.db", _redis.url) as app:
        yield app


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory, _redis: RedisServer) -> Iterator[EnrollApp]:
    """The same as it is run for others."""
    url = f"sqlite:///{tmp_path_factory.mktemp('production')}/test.db"
    with enroll_app(url, _redis.url, public_origin=HTTPS, mode="production") as app:
        yield app


@pytest.mark.parametrize(
    "case", ["no origin", "null origin", "wrong origin", "similar origin", "no token", "wrong token", "other's token"]
)
def test_every_form_is_taken_from_our_own_pages_only(app: EnrollApp, case: str) -> None:
    opened, other = console(app), console(app)
    opened.get("/organizations")
    other.get("/organizations")
    origin = {
        "no origin": {}, "null origin": {"origin": "null"}, "wrong origin": {"origin": "http://evil.test:7800"},
        "similar origin": {"origin": f"{ORIGIN}.evil.test"},
    }.get(case, {"origin": ORIGIN})  # fmt: skip
    token = {"no token": "", "wrong token": "0" * 64, "other's token": other.form_token}.get(case, opened.form_token)
    before, code = contents(app), "wrong-origin" if "origin" in case else "form-token-invalid"
    tried = [path for method, path in console_routes(app.web) if method == "POST"]
    assert len(tried) >= 20
    for path in tried:
        address = path.replace("{id}", UNKNOWN)
        response = opened.client.post(address, data={"form_token": token, "name": "x"}, headers=origin)
        assert (path, response.status_code, problem_code(response)) == (path, 403, code)
    assert contents(app) == before


def test_no_form_is_taken_by_get(app: EnrollApp) -> None:
    opened = console(app)
    taken = {path for method, path in console_routes(app.web) if method == "POST"}
    shown = {path for method, path in console_routes(app.web) if method == "GET"}
    before = contents(app)
    for path in sorted(taken):
        response = opened.get(path.removeprefix("/console").replace("{id}", UNKNOWN))
        assert response.status_code in ((200, 303, 404) if path in shown else (404, 405)), path
    assert contents(app) == before


def test_a_planted_session_is_not_adopted(app: EnrollApp) -> None:
    planted, victim = "p" * 43, Console(app)
    victim.client.cookies.set("keystead_enroll_console", planted)
    victim.arrive(administrator_identity(app, administrator(app)))
    assert victim.get("/organizations").status_code == 200
    thief = Console(app)
    thief.client.cookies.set("keystead_enroll_console", planted)
    assert thief.get("/organizations").status_code == 303


def test_each_sign_in_has_a_session_of_its_own(app: EnrollApp) -> None:
    who, opened = administrator(app), Console(app)
    opened.arrive(administrator_identity(app, who))
    first = opened.client.cookies["keystead_enroll_console"]
    opened.arrive(administrator_identity(app, who))
    assert opened.client.cookies["keystead_enroll_console"] != first


def test_a_console_session_opens_no_form_and_a_persons_session_no_console(app: EnrollApp) -> None:
    opened, browser = console(app), app.browser("Staff")
    session = next(value for name, value in browser.client.cookies.items() if name.endswith("session"))
    thief = Console(app)
    thief.client.cookies.set("keystead_enroll_console", session)
    assert thief.get("/organizations").status_code == 303
    stranger = app.client()
    stranger.cookies.set("keystead_enroll_session", opened.client.cookies["keystead_enroll_console"])
    assert stranger.get(f"/e/{app.uris['Staff']}/request").status_code == 401


def test_the_api_takes_no_cookie(app: EnrollApp) -> None:
    """Else every page elsewhere could send it orders in an administrator's name."""
    opened = console(app)
    assert opened.client.get("/api/v1/organizations").status_code == 401
    sent = opened.client.post("/api/v1/organizations", json={"name": "x"}, headers={"origin": ORIGIN})
    assert sent.status_code == 401


def test_cookies_are_hidden_and_bound(production: EnrollApp) -> None:
    arrived = production.client()
    identity = administrator_identity(production, administrator(production))
    response = arrived.get("/console/arrive", headers={**PAGE, "cookie": f"__Host-keystead_administrator={identity}"})
    sent = [
        *response.headers.get_list("set-cookie"),
        *arrived.get("/console", headers=PAGE).headers.get_list("set-cookie"),
    ]
    sent += production.client().get("/console/organizations", headers=PAGE).headers.get_list("set-cookie")
    names = {cookie.partition("=")[0] for cookie in sent}
    assert {"__Host-keystead_enroll_console", "__Host-keystead_enroll_console_next"} <= names
    for cookie in sent:
        assert cookie.startswith("__Host-"), cookie
        assert all(part in cookie for part in ("; HttpOnly", "; Secure", "; SameSite=lax", "; Path=/")), cookie
        assert "domain" not in cookie.lower()


def test_every_page_forbids_inline_script_framing_and_keeping(app: EnrollApp) -> None:
    opened = console(app)
    for method, path in console_routes(app.web):
        if method != "GET" or "{" in path:
            continue
        response = opened.get(path.removeprefix("/console"))
        headers = response.headers
        assert headers["content-security-policy"] == CSP
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert "no-store" in headers.get("cache-control", ""), path


def test_the_api_s_answers_are_kept_by_nobody(app: EnrollApp) -> None:
    for path in ("/organizations", "/me", "/persons/export", "/nothing"):
        assert "no-store" in master(app)("GET", path).headers.get("cache-control", ""), path


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/console/..//evil.example", "/\t/evil.example",
     "/console/%2f%2fevil.example\r\nset-cookie:x=1"],
)  # fmt: skip
def test_nothing_leads_to_another_site(app: EnrollApp, path: str) -> None:
    for address in ("/language/de?back=", "/console/organizations?next=", "/console/arrive?next=", "/console?done="):
        response = console(app).client.get(address + quote(path, safe=""), headers=PAGE)
        location = response.headers.get("location", "/")
        assert re.match(r"/(?![/\\])[!-~]*$", location), (address, location)
        assert "x=1" not in response.headers.get("set-cookie", "")


def test_the_console_answers_no_other_method(app: EnrollApp) -> None:
    opened = console(app)
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        response = opened.client.request(method, "/console/organizations", headers={"origin": ORIGIN})
        assert response.status_code == 405
        assert "cookie" not in response.text.lower()


def test_a_refused_method_names_those_that_there_are(app: EnrollApp) -> None:
    api = master(app)
    for path, methods in (
        ("/organizations", "GET, POST"),
        (f"/persons/{UNKNOWN}", "DELETE, GET, PATCH"),
        ("/persons/import", "POST"),
    ):
        assert api("PUT", path).headers["allow"] == methods
