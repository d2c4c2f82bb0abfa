"""Attacks on the portal: forged identities, other people's things, forms from elsewhere, guessing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.enroll_app import ADA, BOB, CODE, PAGE, EnrollApp, enroll_app, files, issued, problem_code
from tests.support.every_route import routes
from tests.support.forged import forged_tokens
from tests.support.servers import RedisServer

from keystead_kit.secrets import TokenSigner


@pytest.fixture
def app(sqlite_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(sqlite_url, redis_url) as app:
        yield app


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, _redis: RedisServer) -> Iterator[EnrollApp]:
    """One enroll for all forged identities: they leave nothing behind."""
    with enroll_app(f"sqlite:///{tmp_path_factory.mktemp('kept')}/test.db", _redis.url) as app:
        yield app


def signed_in(app: EnrollApp, identity: str, form: str = "Staff") -> bool:
    """Whether this identity token opens a visit. The cookie must be gone either way."""
    client = app.client()
    uri = app.uris[form]
    response = client.get(f"/e/{uri}", headers={**PAGE, "cookie": f"keystead_identity={identity}"})
    dropped = [c for c in response.headers.get_list("set-cookie") if c.startswith("keystead_identity=")]
    assert dropped
    assert all("Max-Age=0" in cookie for cookie in dropped)
    opened = any(name.endswith("session") for name in client.cookies)
    assert (response.status_code, response.headers.get("location")) == ((303, f"/e/{uri}") if opened else (401, None))
    return opened


def test_a_genuine_identity_opens_a_visit_once(app: EnrollApp) -> None:
    identity = app.identity()
    assert signed_in(app, identity)
    assert not signed_in(app, identity)


def test_an_identity_for_another_form_opens_nothing(kept: EnrollApp) -> None:
    assert not signed_in(kept, kept.identity("Coded"))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"iss": "keystead-enroll"},
        {"aud": "keystead-agent-api"},
        pytest.param({"iat": int(time.time()) + 3600}, id="iat in an hour"),
        {"sub": "no address"},
        {"method": "idp"},
        {"method": "magic"},
        {"jti": ""},
        {"jti": "j" * 65},
    ],
    ids=str,
)
def test_an_identity_with_other_claims_opens_nothing(kept: EnrollApp, changes: dict[str, object]) -> None:
    assert not signed_in(kept, kept.identity(**changes))  # type: ignore[arg-type]


def test_an_identity_signed_by_anyone_else_opens_nothing(kept: EnrollApp) -> None:
    claims = kept.identity_claims()
    assert not signed_in(kept, TokenSigner(ec.generate_private_key(ec.SECP256R1())).sign(claims))
    assert not signed_in(kept, kept.enroll.secrets._signer.sign(claims)), "enroll's own key is not auth's"


@pytest.mark.parametrize("how", ["none", "HS256 with the public key", "stripped", "junk"])
def test_a_forged_identity_opens_nothing(kept: EnrollApp, how: str) -> None:
    forged = forged_tokens(kept.identity(), files().identity_public.read_bytes())
    assert not signed_in(kept, forged[how])


def test_an_identity_at_an_unknown_form_is_dropped(app: EnrollApp) -> None:
    response = app.client().get("/e/unknown", headers={**PAGE, "cookie": f"keystead_identity={app.identity()}"})
    assert response.status_code == 404
    assert "Max-Age=0" in response.headers["set-cookie"]


def test_an_unknown_form_is_not_found(kept: EnrollApp) -> None:
    for path in ("/e/unknown", "/e/unknown/request", "/e/unknown/orders/x", "/e/unknown/certificates/x/chain.pem"):
        assert kept.client().get(path, headers=PAGE).status_code == 404


def test_the_sites_own_address_says_nothing_about_forms(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, public_origin="https://enroll.test", mode="production") as app:
        response = app.client().get("/", headers=PAGE)
    assert response.status_code == 200
    assert not any(word in response.text for word in ("Staff", "Coded", "Example Hospital", *app.uris.values()))


def test_nothing_is_shown_without_a_visit(app: EnrollApp) -> None:
    browser, order_id, _, _ = issued(app)
    [row] = app.certificates()
    stranger = app.client()
    for path in ("/request", "/account", "/code", "/certificates", f"/orders/{order_id}", f"/certificates/{row.id}"):
        assert stranger.get(f"/e/{browser.uri}{path}").status_code == 401


def test_a_visit_ends(app: EnrollApp) -> None:
    browser = app.browser()
    assert browser.get("/request").status_code == 200
    app.clock.shift = timedelta(hours=8, seconds=1)
    assert browser.get("/request").status_code == 401


def test_signing_out_ends_the_visit_at_the_server(app: EnrollApp) -> None:
    browser = app.browser()
    browser.get("/request")
    kept = dict(browser.client.cookies)
    assert browser.post("/sign-out").headers["location"].startswith("/auth/")
    thief = app.client()
    thief.cookies.update(kept)
    assert thief.get(f"/e/{browser.uri}/request").status_code == 401


def test_a_visit_to_one_form_opens_no_other(app: EnrollApp) -> None:
    browser = app.browser("Staff")
    assert browser.client.get(f"/e/{app.uris['Coded']}/request").status_code == 401


def test_other_peoples_orders_and_certificates_are_as_if_they_were_not_there(app: EnrollApp) -> None:
    _, order_id, _, _ = issued(app)
    [row] = app.certificates()
    bob = app.browser(email=BOB)
    bob.get("/request")
    nothing = "0" * 32
    for path in ("/orders/{}", "/orders/{}/events"):
        theirs, none = (bob.client.get(f"/e/{bob.uri}{path.format(i)}") for i in (order_id, nothing))
        assert (theirs.status_code, theirs.json()["detail"]) == (404, none.json()["detail"])
    for path in ("/certificates/{}", "/certificates/{}/certificate.pem", "/certificates/{}/chain.pem"):
        theirs, none = (bob.client.get(f"/e/{bob.uri}{path.format(i)}") for i in (row.id, nothing))
        assert (theirs.status_code, theirs.json()["detail"]) == (404, none.json()["detail"])
    for path in ("/orders/{}/cancel", "/orders/{}/link"):
        assert {bob.post(path.format(i)).status_code for i in (order_id, nothing)} == {404}
    assert order_id not in bob.get("/certificates").text


def test_ones_own_order_is_not_shown_at_another_form(app: EnrollApp) -> None:
    _, order_id, _, _ = issued(app)
    [row] = app.certificates()
    browser = app.browser("Machines")
    assert browser.get(f"/orders/{order_id}").status_code == 404
    assert browser.get(f"/certificates/{row.id}").status_code == 404


def test_an_address_of_another_domain_may_use_no_account(app: EnrollApp) -> None:
    browser = app.browser(email="eve@evil.example")
    assert browser.get().status_code == 403
    assert browser.get("/request").status_code == 403
    assert app.browser(email="eve@sub.example.org").get().status_code == 403


def posts(app: EnrollApp) -> list[str]:
    """Every address of the portal that takes a form. Those of the console are in test_console_forms.py."""
    found = [
        path for method, path in routes(app.web) if method == "POST" and not path.startswith(("/api/", "/console"))
    ]
    assert len(found) >= 6
    assert all(path.startswith("/e/{uri}/") for path in found)
    return found


@pytest.mark.parametrize(
    "case", ["no origin", "null origin", "wrong origin", "no token", "wrong token", "other's token"]
)
def test_every_form_is_taken_from_our_own_pages_only(app: EnrollApp, case: str) -> None:
    browser = app.browser("Coded")
    browser.get("/code")
    order = "0" * 32
    other = app.browser("Coded", BOB)
    other.get("/code")
    origin = {"no origin": {}, "null origin": {"origin": "null"}, "wrong origin": {"origin": "http://evil.test:7800"}}
    headers = origin.get(case, {"origin": app.origin})
    token = {"no token": "", "wrong token": "0" * 64, "other's token": other.form_token}.get(case, browser.form_token)
    code = "wrong-origin" if "origin" in case else "form-token-invalid"
    for path in posts(app):
        address = path.replace("{uri}", browser.uri).replace("{order_id}", order)
        response = browser.client.post(address, data={"form_token": token, "access_code": CODE}, headers=headers)
        assert (path, response.status_code, problem_code(response)) == (path, 403, code)


def test_the_token_of_our_own_page_is_taken(app: EnrollApp) -> None:
    browser = app.browser("Coded")
    browser.get("/code")
    assert browser.post("/code", access_code=CODE).status_code == 303
    assert browser.get("/request").status_code == 200


def test_nothing_can_be_requested_before_the_code(app: EnrollApp) -> None:
    browser = app.browser("Coded")
    browser.get("/code")
    assert browser.get("/request").status_code == 303
    assert browser.request().status_code == 401


def tries(app: EnrollApp, email: str, code: str = "WRONG") -> str:
    """What becomes of a code: wrong, limited or right."""
    browser = app.browser("Coded", email)
    browser.get("/code")
    response = browser.post("/code", access_code=code)
    if response.status_code == 429:
        return "limited"
    assert response.status_code == 303
    return "wrong" if "/code?draft=" in response.headers["location"] else "right"


def test_a_person_guesses_codes_five_times(app: EnrollApp) -> None:
    assert [tries(app, ADA) for _ in range(5)] == ["wrong"] * 5
    browser = app.browser("Coded")
    browser.get("/code")
    response = browser.post("/code", access_code=CODE)
    assert response.status_code == 429, "even the right code has to wait now"
    assert int(response.headers["retry-after"]) > 0
    assert tries(app, BOB, CODE) == "right"


def test_whoever_has_to_wait_is_told_how_long_and_stays_signed_in(app: EnrollApp) -> None:
    for _ in range(5):
        tries(app, ADA)
    browser = app.browser("Coded")
    browser.get("/code")
    page = browser.post("/code", access_code=CODE).text
    assert re.search(r"Wait \d+ minutes and try again", page)
    assert "<h1>Wait a little</h1>" in page and "Try again</a>" not in page
    assert "Example Hospital" in page and ADA in page


def test_a_problems_page_names_the_organization_and_lets_sign_out(app: EnrollApp) -> None:
    browser = app.browser("Coded")
    browser.get("/code")
    page = browser.get("/nothing/here").text
    assert "<h1>There is nothing here</h1>" in page
    assert "Example Hospital" in page and ADA in page
    assert browser.post("/sign-out").headers["location"].startswith("/auth/sign-out")
    assert ADA not in browser.get("/nothing/here").text


def test_a_page_for_the_signed_in_says_sign_in_first(app: EnrollApp) -> None:
    page = app.client().get(f"/e/{app.uris['Coded']}/orders/{'0' * 32}", headers=PAGE)
    assert page.status_code == 401
    assert "<h1>Sign in first</h1>" in page.text and "Sign in again</a>" in page.text
    assert "Example Hospital" in page.text


def code_page(app: EnrollApp, code: str) -> str:
    """The page after a wrong code."""
    browser = app.browser("Coded")
    browser.get("/code")
    return browser.mistakes(browser.post("/code", access_code=code))


def test_an_empty_code_is_no_try(app: EnrollApp) -> None:
    pages = [code_page(app, " ") for _ in range(6)]
    assert all("Enter your access code." in page and "is left" not in page for page in pages)
    assert tries(app, ADA, CODE) == "right"


def test_the_last_two_tries_are_announced(app: EnrollApp) -> None:
    pages = [code_page(app, "WRONG") for _ in range(5)]
    said = [re.search(r"(Two|One|No) (tries are|try is) left", page) for page in pages]
    assert [found[1] if found else "" for found in said] == ["", "", "Two", "One", "No"]


def test_the_right_code_gives_the_tries_back(app: EnrollApp) -> None:
    for _ in range(3):
        assert [tries(app, ADA) for _ in range(4)] == ["wrong"] * 4
        assert tries(app, ADA, CODE) == "right"


def test_an_address_guesses_codes_for_a_limited_number_of_persons(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, access_code_limit_address="3/hour") as app:
        assert [tries(app, f"p{n}@example.org") for n in range(4)] == ["wrong", "wrong", "wrong", "limited"]


def test_right_codes_use_nothing_up_for_the_others(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, access_code_limit_address="2/hour", access_code_limit_form="2/hour") as app:
        assert [tries(app, f"p{n}@example.org", CODE) for n in range(4)] == ["right"] * 4


def test_a_form_takes_a_limited_number_of_guesses(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, access_code_limit_form="3/hour") as app:
        assert [tries(app, f"p{n}@example.org") for n in range(4)] == ["wrong", "wrong", "wrong", "limited"]


def test_guessing_is_limited_without_redis(sqlite_url: str) -> None:
    with enroll_app(sqlite_url, "redis://127.0.0.1:1/0") as app:
        assert [tries(app, ADA) for _ in range(6)] == ["wrong"] * 5 + ["limited"]


def test_the_typed_code_stays_in_the_page_and_is_escaped(app: EnrollApp) -> None:
    browser = app.browser("Coded")
    browser.get("/code")
    page = browser.mistakes(browser.post("/code", access_code='"><script>x'))
    assert "script&gt;x" in page and "<script>x" not in page


def test_links_have_our_own_origin_whatever_the_host_header_says(app: EnrollApp) -> None:
    browser = app.browser()
    order_id = browser.order()
    page = browser.client.get(f"/e/{browser.uri}/orders/{order_id}", headers={**PAGE, "host": "evil.test"})
    links = re.findall(r"keystead://[^\"'<\s]+", page.text)
    assert links
    assert "evil.test" not in page.text
    for path in (f"/e/{browser.uri}", f"/e/{browser.uri}/", "/static"):
        response = app.client().get(path, headers={**PAGE, "host": "evil.test", "x-forwarded-host": "evil.test"})
        assert "evil.test" not in response.headers.get("location", "") + response.text


def test_only_three_files_can_be_downloaded(app: EnrollApp) -> None:
    browser, _, _, _ = issued(app)
    [row] = app.certificates()
    for name in (
        "../../../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "%2e%2e/root", "root%0d%0aset-cookie:%20x=1", "root%22",
        "certificate%00", "key", "CERTIFICATE",
    ):  # fmt: skip
        response = browser.client.get(f"/e/{browser.uri}/certificates/{row.id}/{name}.pem")
        assert (name, response.status_code) == (name, 404)
        assert "content-disposition" not in response.headers
        assert "x=1" not in response.headers.get("set-cookie", "")


@pytest.mark.parametrize("path", ["/static/../http.py", "/static/%2e%2e/http.py", "/static/..%2f..%2fhttp.py"])
def test_static_files_end_at_their_folder(kept: EnrollApp, path: str) -> None:
    assert kept.client().get(path).status_code == 404


def test_a_form_sets_only_what_it_asks_for(app: EnrollApp) -> None:
    order = app.order(
        app.browser().order(
            "Person",
            person_email=BOB,
            email=BOB,
            state="issued",
            organization_id="x",
            assurance="vendor",
            recipient="device:1",
            subject="CN=Root",
            names='{"subject": []}',
        )
    )
    assert (order.person_email, order.state, order.assurance) == (ADA, "offered", None)
    assert order.recipient.startswith("claim:")
    assert ADA in str(order.names)
    assert BOB not in str(order.names)


def test_a_licence_that_does_not_exist_is_not_recorded(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url) as app:
        with app.enroll.transactions.write() as tx:
            licence = tx.licence()
            assert licence is not None
            tx.remove(licence)
        assert app.order(app.browser().order(licence_version="made-up")).licence_version is None


def test_what_a_person_typed_is_escaped(app: EnrollApp) -> None:
    browser = app.browser("Servers")
    page = browser.mistakes(browser.request("Server", dns_names="<script>alert(1)</script>"))
    assert "&lt;script&gt;alert" in page and "<script>alert" not in page


def test_session_cookies_are_hidden_and_bound(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, public_origin="https://enroll.test", mode="production") as app:
        response = app.client().get(
            f"/e/{app.uris['Staff']}", headers={**PAGE, "cookie": f"__Host-keystead_identity={app.identity()}"}
        )
        session = next(c for c in response.headers.get_list("set-cookie") if "session" in c)
        assert session.startswith("__Host-keystead_enroll_session=")
        assert all(part in session for part in ("; HttpOnly", "; Secure", "; SameSite=lax", "; Path=/"))
        assert "Domain" not in session


@pytest.mark.parametrize("form", ["Staff", "%00", "a%00b", "%ff", "x" * 5000])
def test_odd_addresses_are_answered_calmly(kept: EnrollApp, form: str) -> None:
    uri = kept.uris.get(form, form)
    for path in (f"/e/{uri}", f"/e/{uri}/orders/%00", f"/e/{uri}/certificates/a%00/chain.pem"):
        assert kept.client().get(path, headers=PAGE).status_code < 500
