"""Signing in through node's oidc-provider, as a person's browser would, and as an attacker would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select, update
from tests.integration.auth_support import FORM, ORIGIN, Auth, Browser, published, running_auth
from tests.integration.saml_support import FRONT_DOOR, checks, claims, read_providers, stranger
from tests.support.oidc_provider import SECRET, OpenIdProvider, openid_provider

from keystead_auth.adapters import tables
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import IdentityProviderKind, IdentityProviderPublished

CALLBACKS = [f"{ORIGIN}/auth/oidc/{id}/callback" for id in ("op1", "op2")]


@pytest.fixture(scope="module")
def op(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    with openid_provider(tmp_path_factory.mktemp("op") / "one", *CALLBACKS) as running:
        yield running


@pytest.fixture(scope="module")
def other_op(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    """Another provider, whose ID tokens have every claim in them."""
    with openid_provider(tmp_path_factory.mktemp("op") / "two", *CALLBACKS, conformIdTokenClaims=False) as running:
        yield running


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "northwind").write_text(f"{SECRET}\n")
    (tmp_path / "elsewhere").write_text("not for us")
    with running_auth(database_url, redis_url, tmp_path, oidc_secrets=tmp_path / "secrets") as running:
        running.take(published(version=2, methods=[SignInMethod.IDP], organization_ids=["northwind"]))
        yield running


@pytest.fixture
def browser(auth: Auth) -> Browser:
    return auth.browser()


def fact(op: OpenIdProvider, id: str = "op1", version: int = 1, **changes: object) -> IdentityProviderPublished:
    return IdentityProviderPublished(
        identity_provider_id=id, version=version, name="Northwind", kind=IdentityProviderKind.OIDC, issuer=op.issuer,
        client_id="keystead", client_secret_name="northwind",
    ).model_copy(update=changes)  # fmt: skip


def introduce(auth: Auth, op: OpenIdProvider, id: str = "op1", **changes: object) -> None:
    auth.take(fact(op, id).model_copy(update=changes))
    read_providers(auth)


def begin(browser: Browser, id: str = "op1") -> str:
    answer = browser.get(f"/auth/oidc/{id}/sign-in?form={FORM}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def local(address: str, **changes: str | None) -> str:
    """The path of an address of ours, with some of its query changed; None takes a parameter out."""
    parts = urlsplit(address)
    assert address.startswith(ORIGIN), address
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    return f"{parts.path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def test_a_person_signs_in_and_the_rest_is_asked_for(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    assert browser.get(FRONT_DOOR).headers["location"] == f"/auth/oidc/op1/sign-in?form={FORM}"
    back = op.sign_in(begin(browser), "ada")
    assert browser.get(local(back)).headers["location"] == f"/e/{FORM}"
    who = claims(auth, browser)
    assert (who.sub, who.name, who.method, who.identity_provider) == (
        "ada@example.org", "Ada Lovelace", SignInMethod.IDP, "op1",
    )  # fmt: skip
    assert who.attributes["groups"] == ["staff", "mathematics"]
    assert who.attributes["schachomeorganization"] == ["northwind.example"]
    assert browser.get(FRONT_DOOR).headers["location"] == f"/e/{FORM}"


def test_a_person_signs_in_by_the_id_token_alone(auth: Auth, other_op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, other_op)
    assert browser.get(local(other_op.sign_in(begin(browser), "grace"))).status_code == 303
    assert (claims(auth, browser).sub, claims(auth, browser).name) == ("grace@example.org", "Grace Hopper")


def test_a_client_without_a_secret_signs_in_by_pkce(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op, client_id="public", client_secret_name=None)
    address = begin(browser)
    assert "code_challenge_method=S256" in address
    assert browser.get(local(op.sign_in(address, "ada"))).status_code == 303


def test_a_key_that_is_new_since_the_provider_was_read_is_looked_up(
    auth: Auth, op: OpenIdProvider, browser: Browser
) -> None:
    introduce(auth, op)
    old = [ECKey.generate_key("P-256", {"kid": "old"}).as_dict(private=False)]
    table = tables.identity_providers
    with auth.parts.database.write() as session:
        [material] = session.execute(select(table.c.material)).scalars()
        session.execute(update(table).values(material=material | {"keys": old}))
    assert browser.get(local(op.sign_in(begin(browser), "ada"))).status_code == 303


def test_enroll_is_told_that_it_works(auth: Auth, op: OpenIdProvider) -> None:
    introduce(auth, op)
    [told] = checks(auth)
    assert (told["state"], told["entity_id"], told["detail"]) == ("ready", op.issuer, "")


@pytest.mark.parametrize("name", ["missing", "../elsewhere", "..", "", "/etc/passwd", ".hidden", "a/b"])
def test_a_secret_is_a_file_in_its_folder_or_nothing(auth: Auth, op: OpenIdProvider, name: str) -> None:
    introduce(auth, op, client_secret_name=name or " ")
    [told] = checks(auth)
    assert told["state"] == "failed" and "KEYSTEAD_AUTH_OIDC_SECRETS" in told["detail"]


def test_another_issuer_than_the_one_set_is_not_taken(auth: Auth, op: OpenIdProvider) -> None:
    introduce(auth, op, issuer=f"{op.issuer}/")
    assert checks(auth)[-1]["state"] == "failed" and "calls itself" in checks(auth)[-1]["detail"]


def test_an_address_that_the_provider_doubts_is_refused(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    page = browser.get(local(op.sign_in(begin(browser), "unverified")))
    assert page.status_code == 403 and "has not verified" in page.text


def test_without_an_address_a_page_says_what_to_ask_for(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    page = browser.get(local(op.sign_in(begin(browser), "nameless")))
    assert page.status_code == 403 and "<code>mail</code>" in page.text


def test_who_declines_there_is_told_and_can_start_again(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
    query = urlencode({"state": state, "error": "access_denied", "iss": op.issuer})
    page = browser.get(f"/auth/oidc/op1/callback?{query}")
    assert page.status_code == 403 and "did not sign you in" in page.text and f"{FRONT_DOOR}?stay=1" in page.text


# --- attacks ------------------------------------------------------------------------------------------------------


def refused(auth: Auth, browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 403, answer.text
    assert auth.count(tables.sessions) == 0
    assert browser.cookie("keystead_identity") is None


def test_another_state_is_refused(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    back = op.sign_in(begin(browser), "ada")
    refused(auth, browser, local(back, state="another"))
    refused(auth, browser, local(back, state=None))


def test_another_browser_is_refused(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    back = op.sign_in(begin(browser), "ada")
    refused(auth, stranger(auth), local(back))
    refused(auth, auth.browser(), local(back))
    assert browser.get(local(back)).status_code == 303


def test_an_answer_works_once(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    back = op.sign_in(begin(browser), "ada")
    assert browser.get(local(back)).status_code == 303
    assert browser.get(local(back)).status_code == 403
    assert auth.count(tables.sessions) == 1


def test_an_answer_comes_in_time(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    back = op.sign_in(begin(browser), "ada")
    auth.clock.ahead += timedelta(minutes=16)
    refused(auth, browser, local(back))


def test_another_s_code_in_one_s_own_answer_is_refused(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    mine = op.sign_in(begin(browser), "grace")
    victims = op.sign_in(begin(auth.browser()), "ada")
    stolen = parse_qs(urlsplit(victims).query)["code"][0]
    refused(auth, browser, local(mine, code=stolen))


def test_an_invented_code_is_refused(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    refused(auth, browser, local(op.sign_in(begin(browser), "ada"), code="invented"))


def test_an_answer_says_whose_it_is(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    refused(auth, browser, local(op.sign_in(begin(browser), "ada"), iss="https://evil.example"))
    refused(auth, browser, local(op.sign_in(begin(browser), "ada"), iss=None))


def test_two_providers_answers_are_not_mixed_up(
    auth: Auth, op: OpenIdProvider, other_op: OpenIdProvider, browser: Browser
) -> None:
    introduce(auth, op)
    introduce(auth, other_op, "op2")
    page = browser.get(FRONT_DOOR)
    assert page.text.count("Sign in with Northwind") == 2
    back = other_op.sign_in(begin(browser, "op2"), "ada")
    refused(auth, browser, local(back).replace("/op2/", "/op1/"))
    mine = parse_qs(urlsplit(begin(browser, "op1")).query)["state"][0]
    refused(auth, browser, local(back, state=mine))
    refused(auth, browser, local(back, state=mine).replace("/op2/", "/op1/"))
    assert browser.get(local(back)).status_code == 303
    assert claims(auth, browser).identity_provider == "op2"


def test_a_withdrawn_provider_signs_nobody_in(auth: Auth, op: OpenIdProvider, browser: Browser) -> None:
    introduce(auth, op)
    back = op.sign_in(begin(browser), "ada")
    auth.take(fact(op, version=2, withdrawn=True))
    assert browser.get(local(back)).status_code == 404
