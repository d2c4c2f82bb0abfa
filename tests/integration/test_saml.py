"""Signing in through SimpleSAMLphp, as a person's browser would."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response
from tests.integration.auth_support import FORM, Auth, Browser, client_of, published
from tests.integration.saml_support import (
    ACS,
    FRONT_DOOR,
    SP,
    begin,
    bring,
    certificate,
    certificate_in,
    checks,
    claims,
    introduce,
    next_key,
    provider_fact,
    read_providers,
    saml_auth,
    sign_in,
    stranger,
)
from tests.support.simplesamlphp import IdentityProvider, hidden_fields, simplesamlphp

from keystead_auth.adapters import tables
from keystead_auth.bootstrap import migrations
from keystead_auth.domain.providers import Arrival, Purpose
from keystead_auth.domain.saml.names import POST
from keystead_auth.web import saml
from keystead_auth.web.answers import Answers
from keystead_auth.web.comers import Comers
from keystead_contracts.identity import SignInMethod
from keystead_kit.pages import Pages


@pytest.fixture(scope="module")
def _idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    with simplesamlphp(tmp_path_factory.mktemp("idp") / "one") as running:
        yield running


@pytest.fixture
def idp(_idp: IdentityProvider) -> IdentityProvider:
    """The identity provider as it is set up first."""
    _idp.peers.clear()
    _idp.hosted()
    return _idp


@pytest.fixture
def auth(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Auth]:
    with saml_auth(database_url, redis_url, tmp_path) as running:
        yield running


@pytest.fixture
def browser(auth: Auth) -> Browser:
    return auth.browser()


def test_models_and_migrations_agree(auth: Auth) -> None:
    assert migrations(auth.parts.database).drift() == []


def test_a_person_signs_in_through_their_identity_provider(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp)
    door = browser.get(FRONT_DOOR)
    assert (door.status_code, door.headers["location"]) == (303, f"/auth/saml/idp1/sign-in?form={FORM}")
    done = sign_in(auth, idp, browser)
    assert (done.status_code, done.headers["location"]) == (303, f"/e/{FORM}")
    who = claims(auth, browser)
    assert (who.sub, who.name, who.method, who.identity_provider) == (
        "ada@example.org", "Ada Lovelace", SignInMethod.IDP, "idp1",
    )  # fmt: skip
    assert who.attributes["groups"] == ["staff", "mathematics"]
    assert who.attributes["schachomeorganization"] == ["northwind.example"]
    assert who.attributes["mail"] == ["ada@example.org"]


def test_the_session_signs_in_again_with_the_same_attributes(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    sign_in(auth, idp, browser)
    first = claims(auth, browser)
    assert browser.get(FRONT_DOOR).headers["location"] == f"/e/{FORM}"
    again = claims(auth, browser)
    assert again.jti != first.jti
    assert again.model_copy(update={"jti": first.jti, "iat": first.iat, "exp": first.exp}) == first


def test_the_session_ends_with_the_form_s_or_the_provider_s_consent(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    sign_in(auth, idp, browser)
    auth.take(published(version=3, methods=[SignInMethod.EMAIL], organization_ids=["northwind"]))
    assert browser.get(FRONT_DOOR).status_code == 200
    auth.take(published(version=4, methods=[SignInMethod.IDP, SignInMethod.EMAIL], organization_ids=["northwind"]))
    sign_in(auth, idp, browser)
    auth.take(provider_fact(version=2, metadata_url=idp.metadata_url, withdrawn=True))
    assert browser.get(FRONT_DOOR).status_code == 200


def test_encrypted_assertions_are_opened(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp, sp={"assertion.encryption": True})
    address = begin(browser)
    fields = idp.sign_in(address, "ada")
    assert b"EncryptedAssertion" in base64.b64decode(fields["SAMLResponse"])
    assert browser.get(bring(auth, fields).headers["location"]).headers["location"] == f"/e/{FORM}"


def test_an_encrypted_assertion_in_an_unsigned_response_is_judged_by_its_own_signature(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp, sp={"assertion.encryption": True, "saml20.sign.response": False})
    assert sign_in(auth, idp, browser).headers["location"] == f"/e/{FORM}"


def test_a_signed_response_around_an_unsigned_assertion_suffices(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp, sp={"saml20.sign.assertion": False})
    assert sign_in(auth, idp, browser).headers["location"] == f"/e/{FORM}"


def test_what_nobody_signed_is_refused(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp, sp={"saml20.sign.assertion": False, "saml20.sign.response": False})
    assert bring(auth, idp.sign_in(begin(browser), "ada")).status_code == 403


def test_the_provider_can_insist_on_signed_requests(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp, sp={"validate.authnrequest": True})
    assert "Signature=" in begin(browser)
    assert sign_in(auth, idp, browser).headers["location"] == f"/e/{FORM}"


def test_a_provider_that_takes_requests_by_post_only_gets_a_form(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    idp.hosted(SingleSignOnServiceBinding=[POST])
    introduce(auth, idp, sp={"validate.authnrequest": True})
    page = browser.get(f"/auth/saml/idp1/sign-in?form={FORM}")
    assert page.status_code == 200 and f'action="{idp.origin}/' in page.text
    assert f"form-action {idp.origin};" in page.headers["content-security-policy"]
    assert page.text.count("<script") == 1  # the one of every page
    fields = hidden_fields(page.text, "SAMLRequest")
    answer = bring(auth, idp.sign_in_by_post(page.text, fields, "ada"))
    assert browser.get(answer.headers["location"]).headers["location"] == f"/e/{FORM}"


def test_an_administrator_who_comes_back_is_handed_on_and_has_no_session_here(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp, provider_fact(metadata_url=idp.metadata_url, for_administrators=True))
    handed: list[Arrival] = []

    def enter(request: Request, arrival: Arrival) -> Response:
        handed.append(arrival)
        return Response("the console")

    assert auth.parts.saml
    console, answers = FastAPI(), Answers(auth.parts, Pages())
    console.include_router(saml.router(auth.parts, auth.parts.saml, Comers(auth.parts, answers, enter), answers))
    address = browser.get("/auth/saml/idp1/sign-in?purpose=administrator").headers["location"]
    on = bring(auth, idp.sign_in(address, "ada")).headers["location"]
    door = client_of(console)
    door.cookies.update(browser.http.cookies)
    assert door.get(on).text == "the console"
    assert [(each.person.email, each.purpose) for each in handed] == [("ada@example.org", Purpose.ADMINISTRATOR)]
    assert auth.count(tables.sessions) == 0


def test_administrators_use_only_providers_that_are_for_them(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    assert browser.get("/auth/saml/idp1/sign-in?purpose=administrator").status_code == 404


def test_the_next_key_decrypts_before_it_signs(
    database_url: str, redis_url: str, tmp_path: Path, idp: IdentityProvider
) -> None:
    following = next_key(tmp_path)
    with saml_auth(database_url, redis_url, tmp_path, **following) as auth:
        assert certificate_in(following) in auth.browser().get("/auth/saml/metadata").text
        introduce(auth, idp)
        idp.know(SP, ACS, certificate_in(following), **{"assertion.encryption": True})
        assert sign_in(auth, idp, auth.browser()).headers["location"] == f"/e/{FORM}"


def test_entra_s_claim_names_are_understood(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp)
    sign_in(auth, idp, browser, "entra")
    who = claims(auth, browser)
    assert (who.sub, who.name) == ("grace@example.org", "Rear Admiral Grace Hopper")
    assert who.attributes["eppn"] == ["grace@contoso.example"]
    assert who.attributes["groups"] == ["7f3c6f0e-53a5-4b6b-8d5c-9d1a2f4f6a10"]


def test_a_provider_s_own_attribute_names_are_mapped(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp, provider_fact(metadata_url=idp.metadata_url, attributes={"displayname": "uid"}))
    sign_in(auth, idp, browser)
    assert claims(auth, browser).name == "ada"


def test_without_a_mail_address_a_page_says_what_to_ask_for(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    page = bring(auth, idp.sign_in(begin(browser), "nameless"))
    assert page.status_code == 403
    assert "<code>mail</code>" in page.text and f"{FRONT_DOOR}?stay=1" in page.text


def test_the_answer_signs_in_the_browser_that_asked_and_no_other(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    on = bring(auth, idp.sign_in(begin(browser), "ada")).headers["location"]
    thief = stranger(auth)
    page = thief.get(on)
    assert page.status_code == 403 and "another browser" in page.text
    assert thief.cookie("keystead_identity") is None
    assert auth.browser().get(on).status_code == 403
    assert browser.get(on).headers["location"] == f"/e/{FORM}"


def test_an_answer_works_once(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp)
    fields = idp.sign_in(begin(browser), "ada")
    on = bring(auth, fields).headers["location"]
    assert bring(auth, fields).status_code == 403
    assert browser.get(on).status_code == 303
    assert browser.get(on).status_code == 403
    assert auth.count(tables.sessions) == 1


def test_an_answer_works_once_though_it_comes_many_times_at_once(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    fields = idp.sign_in(begin(browser), "ada")
    with ThreadPoolExecutor(4) as pool:
        answers = [each.status_code for each in pool.map(lambda _: bring(auth, fields), range(4))]
    assert sorted(answers) == [303, 403, 403, 403]
    assert auth.count(tables.idp_arrivals) == 1


def test_an_answer_to_one_request_does_not_answer_another(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp)
    mine = idp.sign_in(begin(browser), "ada")
    other = idp.sign_in(begin(browser), "ada")
    assert bring(auth, mine | {"RelayState": other["RelayState"]}).status_code == 403


def test_what_nobody_asked_for_is_refused_unless_the_provider_may(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    page = bring(auth, idp.unasked(SP, "ada", FORM))
    assert page.status_code == 403 and "did not begin here" in page.text


def test_a_sign_in_begun_at_the_provider_asks_who_one_is(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp, provider_fact(metadata_url=idp.metadata_url, idp_initiated=True))
    on = bring(auth, idp.unasked(SP, "ada", FORM)).headers["location"]
    page = browser.get(on)
    assert page.status_code == 200 and "ada@example.org" in page.text and "Northwind says" in page.text
    assert browser.cookie("keystead_identity") is None
    assert browser.post(on, form_token="wrong").status_code == 403
    assert browser.post(on, form_token=browser.form_token(on)).headers["location"] == f"/e/{FORM}"
    assert claims(auth, browser).sub == "ada@example.org"


@pytest.mark.parametrize(
    "relay", ["", "https://evil.example/", "//evil.example", "../../elsewhere", "no-such-form", "\0", "x" * 5000]
)
def test_a_sign_in_begun_at_the_provider_leads_to_a_form_or_nowhere(
    auth: Auth, idp: IdentityProvider, relay: str
) -> None:
    introduce(auth, idp, provider_fact(metadata_url=idp.metadata_url, idp_initiated=True))
    page = bring(auth, idp.unasked(SP, "ada", relay) | {"RelayState": relay})
    assert page.status_code == 403
    assert "saying which enrollment form" in page.text and "evil" not in page.text


def test_each_provider_of_the_form_has_a_button(
    auth: Auth, idp: IdentityProvider, browser: Browser, tmp_path: Path
) -> None:
    with simplesamlphp(tmp_path / "two") as second:
        introduce(auth, idp)
        introduce(auth, second, provider_fact("idp2", name="Southwind", metadata_xml=second.metadata()))
        auth.take(provider_fact("idp3", name="Elsewhere", metadata_url=idp.metadata_url, organization_ids=["other"]))
        auth.take(provider_fact("idp4", name="Console", metadata_url=idp.metadata_url, for_persons=False))
        read_providers(auth)
        page = browser.get(FRONT_DOOR)
        assert page.status_code == 200
        assert page.text.index("Sign in with Northwind") < page.text.index("Sign in with Southwind")
        assert "Elsewhere" not in page.text and "Console" not in page.text
        for foreign in ("idp3", "idp4", "none"):
            assert browser.get(f"/auth/saml/{foreign}/sign-in?form={FORM}").status_code == 404
        sign_in(auth, second, browser, id="idp2")
        assert claims(auth, browser).identity_provider == "idp2"
        mine = idp.sign_in(begin(browser, "idp1"), "ada")
        theirs = second.sign_in(begin(browser, "idp2"), "ada")
        assert bring(auth, theirs | {"RelayState": mine["RelayState"]}).status_code == 403


def test_a_form_can_offer_both_e_mail_and_an_identity_provider(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    auth.take(published(version=3, methods=[SignInMethod.EMAIL, SignInMethod.IDP]))
    page = browser.get(FRONT_DOOR)
    assert page.status_code == 200
    assert "Send me a link" in page.text and "Sign in with Northwind" in page.text


def test_enroll_is_told_what_became_of_the_metadata_and_only_news(auth: Auth, idp: IdentityProvider) -> None:
    introduce(auth, idp)
    [told] = checks(auth)
    assert (told["state"], told["entity_id"], told["detail"]) == ("ready", idp.entity_id, "")
    auth.clock.ahead += timedelta(days=2)
    read_providers(auth)
    assert len(checks(auth)) == 1


def test_metadata_is_read_again_and_the_last_good_is_kept(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp)
    idp.hosted(privatekey="missing.pem", certificate="missing.pem")
    auth.clock.ahead += timedelta(days=2)
    read_providers(auth)
    told = checks(auth)[-1]
    assert told["state"] == "ready" and "used on" in told["detail"]
    idp.hosted()
    auth.clock.ahead += timedelta(days=2)
    read_providers(auth)
    assert (checks(auth)[-1]["state"], checks(auth)[-1]["detail"]) == ("ready", "")


def test_metadata_of_another_address_is_not_trusted_for_the_first_one_s_sake(
    auth: Auth, idp: IdentityProvider, browser: Browser
) -> None:
    introduce(auth, idp)
    auth.take(provider_fact(version=2, metadata_url=f"{idp.origin}/nothing-here"))
    read_providers(auth)
    told = checks(auth)[-1]
    assert (told["state"], told["version"]) == ("failed", 2)
    assert browser.get(f"/auth/saml/idp1/sign-in?form={FORM}").status_code == 503
    assert browser.get(FRONT_DOOR).status_code == 503


def test_a_form_without_any_provider_says_so_and_asks_for_no_patience(auth: Auth, browser: Browser) -> None:
    answer = browser.get(FRONT_DOOR)
    assert answer.status_code == 403
    assert "No way to sign in is set up for this enrollment form yet." in answer.text
    assert "Try again later" not in answer.text


def test_an_older_fact_changes_nothing(auth: Auth, idp: IdentityProvider, browser: Browser) -> None:
    introduce(auth, idp, provider_fact(version=3, metadata_url=idp.metadata_url))
    auth.take(provider_fact(version=2, withdrawn=True))
    assert begin(browser).startswith(idp.origin)


def test_our_metadata_has_what_a_provider_needs(auth: Auth, browser: Browser) -> None:
    answer = browser.get("/auth/saml/metadata")
    assert answer.headers["content-type"].startswith("application/samlmetadata+xml")
    assert SP in answer.text and ACS in answer.text
    assert answer.text.count(certificate(auth)) == 2
    assert 'use="signing"' in answer.text and 'use="encryption"' in answer.text


def test_without_a_key_saml_is_not_offered_and_enroll_learns_why(
    database_url: str, redis_url: str, tmp_path: Path, idp: IdentityProvider
) -> None:
    with saml_auth(database_url, redis_url, tmp_path, saml_key_file=None, saml_certificate_file=None) as auth:
        auth.take(provider_fact(metadata_url=idp.metadata_url))
        read_providers(auth)
        [told] = checks(auth)
        assert told["state"] == "failed" and "KEYSTEAD_AUTH_SAML_KEY_FILE" in told["detail"]
        assert auth.browser().get(FRONT_DOOR).status_code == 503
        assert auth.browser().get("/auth/saml/metadata").status_code == 404


def test_refused_answers_are_limited_by_client(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with saml_auth(database_url, redis_url, tmp_path, limit_idp_per_client="2/15 minutes") as auth:
        assert bring(auth, {"SAMLResponse": "x"}).status_code == 403
        assert bring(auth, {"SAMLResponse": "x"}).status_code == 403
        assert bring(auth, {"SAMLResponse": "x"}).status_code == 429


def test_a_large_answer_is_taken_and_a_huge_one_is_not(auth: Auth) -> None:
    assert bring(auth, {"SAMLResponse": "A" * 200_000}).status_code == 403
    assert bring(auth, {"SAMLResponse": "A" * 600_000}).status_code == 413
