"""People whom an identity provider sends, or who gave a Secret ID, at a form."""

from __future__ import annotations

import html
from typing import Any

import pytest
from tests.support.enroll_app import SETUP, Browser, EnrollApp, enroll_app

from keystead_enroll.domain.persons import Person

HOSPITAL = SETUP["organizations"][0]
PHYSICS = {"name": "Physics", "email_domains": ["physics.example"], "home_organization": "physics.example"}
RULE = {"key": "groups", "values": ["Staff"]}


@pytest.fixture
def app(sqlite_url: str, redis_url: str) -> Any:
    with enroll_app(sqlite_url, redis_url) as app:
        form = {
            "name": "Badges", "type": "client", "methods": ["email", "idp", "secret_id"],
            "help_link": "https://help.example",
        }  # fmt: skip
        account = {"organization": "Example Hospital", "profiles": ["Person", "Person in TPM"]}
        app.uris |= app.apply(
            {
                "organizations": [HOSPITAL | {"home_organization": "hospital.example"}, PHYSICS],
                "profiles": [SETUP["profiles"][1] | {"idp_groups": ["Staff"]}],
                "forms": [
                    form
                    | {
                        "accounts": [
                            account | {"name": "Hospital"},
                            {"name": "Physics", "organization": "Physics", "profiles": ["Person"]}
                            | {"authorization": "idp_mapping", "idp_rules": [RULE]},
                        ]
                    }
                ],
            }
        )
        yield app


def sent(app: EnrollApp, home: list[str], groups: list[str], email: str = "ada@example.org", **more: Any) -> Browser:
    """A browser whose person came from an identity provider that said this."""
    browser = Browser(app, app.client(), app.uris["Badges"])
    attributes = {"schachomeorganization": home, "groups": groups}
    browser.sign_in(app.identity("Badges", email, method="idp", attributes=attributes, identity_provider="i", **more))
    return browser


def test_what_is_sent_decides_on_accounts_and_profiles(app: EnrollApp) -> None:
    page = sent(app, ["Hospital.Example"], ["staff"]).get("/request").text
    assert "Person in TPM" in page
    page = sent(app, ["hospital.example"], ["guests"]).get("/request").text
    assert "Person in TPM" not in page
    assert sent(app, ["physics.example"], ["staff"], "ada@physics.example").get("/request").status_code == 200


def test_who_comes_with_more_groups_than_can_be_told_is_not_judged_by_the_rest(app: EnrollApp) -> None:
    page = sent(app, ["hospital.example"], ["guests"], attributes_cut=["groups"]).get()
    assert page.status_code == 403
    assert "Your sign-in service says too much about you" in page.text
    assert "Person in TPM" in sent(app, ["hospital.example"], ["staff"], attributes_cut=["groups"]).get("/request").text


def test_a_profile_for_a_group_is_not_had_by_asking_for_it(app: EnrollApp) -> None:
    browser = sent(app, ["hospital.example"], ["guests"])
    browser.get("/request")
    browser.mistakes(browser.request("Person in TPM"))


def test_an_unknown_organization_has_a_page_of_its_own(app: EnrollApp) -> None:
    page = sent(app, ["nowhere.example"], ["staff"]).get()
    assert page.status_code == 403
    assert "This form is not for your organization" in page.text
    assert "nowhere.example" in page.text
    assert "https://help.example" in page.text


def test_another_tenant_s_organization_is_refused_as_one_that_nobody_has(app: EnrollApp) -> None:
    app.apply({"organizations": [{"name": "Chemistry", "home_organization": "chemistry.example"}]})
    theirs, nobody_s = (sent(app, [home], ["staff"]).get().text for home in ("chemistry.example", "nowhere.example"))
    assert "Chemistry" not in theirs
    told = "as your organization, and this form is not for it"
    assert told in theirs
    assert told in nobody_s


def test_groups_without_a_profile_have_a_page_of_their_own(app: EnrollApp) -> None:
    page = sent(app, ["physics.example"], ["guests"], "ada@physics.example").get()
    assert page.status_code == 403
    assert "No certificate is meant for your groups" in page.text
    assert "“guests”" in page.text
    assert "https://help.example" in page.text
    assert "staff" not in page.text.lower()


def test_what_a_provider_sent_is_no_markup(app: EnrollApp) -> None:
    page = sent(app, ["<script>alert(1)</script>"], []).get().text
    assert "<script>alert" not in page
    assert "<script>alert(1)</script>" in html.unescape(page)


def test_a_provider_speaks_for_its_own_organizations_alone(app: EnrollApp) -> None:
    with app.enroll.transactions.read() as tx:
        physics = next(o.id for o in tx.organizations() if o.name == "Physics")
    for speaks_for, status in (([physics], 403), ([], 200)):
        browser = sent(app, ["hospital.example"], [], identity_provider_organizations=speaks_for)
        assert browser.get("/request").status_code == status


def test_a_client_certificate_is_for_an_address_that_is_delegated(app: EnrollApp) -> None:
    page = sent(app, ["hospital.example"], ["staff"], "ada@elsewhere.example").get()
    assert page.status_code == 403
    assert "This form is not for your address" in page.text


def test_a_secret_id_opens_the_accounts_of_its_person(app: EnrollApp) -> None:
    with app.enroll.transactions.write() as tx:
        hospital = next(o.id for o in tx.organizations() if o.name == "Example Hospital")
        tx.add(Person("ada", hospital, None, "ada@elsewhere.example", "Ada"))
        tx.add(Person("eve", hospital, None, "eve@elsewhere.example", "Eve"))
    for persons, status in ((["ada"], 200), (["eve"], 403), ([], 403)):
        browser = Browser(app, app.client(), app.uris["Badges"])
        browser.sign_in(app.identity("Badges", "ada@elsewhere.example", method="secret_id", persons=persons))
        assert browser.get("/request").status_code == status


def test_who_came_by_a_way_that_is_closed_signs_in_again(app: EnrollApp) -> None:
    with app.enroll.transactions.write() as tx:
        hospital = next(o.id for o in tx.organizations() if o.name == "Example Hospital")
        tx.add(Person("ada", hospital, None, "ada@example.org", "Ada"))
    browser = Browser(app, app.client(), app.uris["Badges"])
    browser.sign_in(app.identity("Badges", method="secret_id", persons=["ada"]))
    assert browser.get("/request").status_code == 200
    app.apply({"forms": [{"name": "Badges", "type": "client", "methods": ["email", "idp"]}]})
    assert browser.get().headers["location"] == f"/auth/sign-in/{app.uris['Badges']}"
