"""Enrollment forms through the API."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import ORIGIN, SETUP, EnrollApp, problem_code

from keystead_contracts.base import CertificateType
from keystead_enroll.domain.administration import Grant, Role

FORM: dict[str, Any] = {"name": "Badges", "certificate_type": "client", "methods": ["email"]}
CLIENT = frozenset({CertificateType.CLIENT})


def form(api: Api, name: str) -> dict[str, Any]:
    return next(found for found in api.items("/forms") if found["name"] == name)


def hospital(api: Api) -> str:
    return str(api.items("/organizations", q='"Example Hospital"')[0]["id"])


def told(app: EnrollApp, uri: str) -> list[dict[str, Any]]:
    """What auth was told of an address, oldest first."""
    facts = [fact for fact in app.facts("form_published") if fact["form"] == uri]
    return sorted(facts, key=lambda fact: int(fact["version"]))


def refused(api: Api, **changes: Any) -> list[str]:
    answer = api("POST", "/forms", json=FORM | changes)
    assert answer.status_code == 422, answer.text
    return list(answer.json()["fields"])


def test_a_form_gets_an_address_that_nobody_guesses(app: EnrollApp) -> None:
    api = master(app)
    shown = api("GET", f"/forms/{api.create('/forms', FORM)}").json()
    other = api("GET", f"/forms/{api.create('/forms', FORM | {'name': 'Other'})}").json()
    assert shown["url"] == f"{ORIGIN}/e/{shown['uri_extension']}"
    assert len(shown["uri_extension"]) == 32  # 192 bits in base64url
    assert shown["uri_extension"] != other["uri_extension"]
    assert told(app, shown["uri_extension"])[-1]["name"] == "Badges"


def test_a_form_is_changed_and_told(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/forms", FORM)
    body = {"help_text": "Ask us.", "help_link": "https://help.example", "methods": ["idp", "secret_id"]}
    shown = api("PATCH", f"/forms/{made}", json=body).json()
    assert (shown["help_text"], shown["methods"], shown["name"]) == ("Ask us.", ["idp", "secret_id"], "Badges")
    fact = told(app, shown["uri_extension"])[-1]
    assert (fact["help_link"], fact["methods"]) == ("https://help.example", ["idp", "secret_id"])


def test_a_new_address_ends_the_old_one(app: EnrollApp) -> None:
    api = master(app)
    staff = form(api, "Staff")
    assert app.browser().get("/request").status_code == 200
    made = api("POST", f"/forms/{staff['id']}/uri-extension").json()
    assert made == {"uri_extension": made["uri_extension"], "url": f"{ORIGIN}/e/{made['uri_extension']}"}
    assert made["uri_extension"] != staff["uri_extension"]
    assert app.client().get(f"/e/{staff['uri_extension']}").status_code == 404
    assert told(app, staff["uri_extension"])[-1]["withdrawn"]
    assert not told(app, made["uri_extension"])[-1]["withdrawn"]


def test_a_form_is_withdrawn_and_offered_again(app: EnrollApp) -> None:
    api = master(app)
    staff = form(api, "Staff")
    browser = app.browser()
    for active, status in ((False, 404), (True, 200)):
        assert api("PATCH", f"/forms/{staff['id']}", json={"active": active}).status_code == 200
        assert told(app, staff["uri_extension"])[-1]["withdrawn"] is not active
        assert browser.get("/request").status_code == status


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"methods": []}, ["methods"]),
        ({"certificate_type": "device", "methods": ["email", "secret_id"]}, ["methods"]),
        ({"certificate_type": "ssl", "methods": ["secret_id"]}, ["methods"]),
        ({"help_text": "x" * 2049}, ["help_text"]),
        ({"help_link": "javascript:alert(1)"}, ["help_link"]),
        ({"help_link": "ftp://help.example"}, ["help_link"]),
        ({"name": "Staff"}, ["name"]),
        ({"organization_ids": ["nobody"]}, ["organization_ids"]),
        ({"uri_extension": "easy"}, ["uri_extension"]),
        ({"version": 99, "published": {}}, ["version", "published"]),
    ],
)
def test_what_a_form_cannot_be_is_said(app: EnrollApp, changes: dict[str, Any], fields: list[str]) -> None:
    assert refused(master(app), **changes) == fields


def test_what_a_form_s_accounts_need_cannot_be_taken_away(app: EnrollApp) -> None:
    api = master(app)
    other = api.create("/organizations", {"name": "Physics"})
    staff = form(api, "Staff")
    for body, field in (
        ({"organization_ids": [other]}, "organization_ids"),
        ({"certificate_type": "device"}, "certificate_type"),
    ):
        answer = api("PATCH", f"/forms/{staff['id']}", json=body)
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [field])
    rule = {"key": "groups", "values": ["staff"]}
    account = SETUP["forms"][0]["accounts"][0] | {"authorization": "idp_mapping", "idp_rules": [rule]}
    app.apply({"forms": [SETUP["forms"][0] | {"methods": ["email", "idp"], "accounts": [account]}]})
    answer = api("PATCH", f"/forms/{staff['id']}", json={"methods": ["email"]})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["methods"])


def test_a_form_without_accounts_is_deleted_and_its_address_ended(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/forms", FORM)
    uri = api("GET", f"/forms/{made}").json()["uri_extension"]
    assert api("DELETE", f"/forms/{made}").status_code == 204
    assert api("GET", f"/forms/{made}").status_code == 404
    ended = told(app, uri)[-1]
    assert ended["withdrawn"]
    app.apply({"forms": [{"name": "Next", "type": "client", "uri_extension": uri}]})
    assert told(app, uri)[-1]["name"] == "Next"


def test_a_form_with_accounts_stays(app: EnrollApp) -> None:
    api = master(app)
    staff = form(api, "Staff")
    answer = api("DELETE", f"/forms/{staff['id']}")
    assert (answer.status_code, problem_code(answer)) == (409, "conflict")
    assert not told(app, staff["uri_extension"])[-1]["withdrawn"]


def test_an_officer_manages_the_forms_of_their_organizations_alone(app: EnrollApp) -> None:
    api = master(app)
    own, other = api.create("/organizations", {"name": "Physics"}), hospital(api)
    rao = officer(app, Grant(Role.RAO, own, certificate_types=CLIENT))
    mine = rao.create("/forms", FORM | {"organization_ids": [own]})
    assert rao("PATCH", f"/forms/{mine}", json={"help_text": "Ask us."}).status_code == 200
    assert rao("POST", f"/forms/{mine}/uri-extension").status_code == 200
    for delegation in ([], [other], [own, other]):
        assert rao("POST", "/forms", json=FORM | {"name": "X", "organization_ids": delegation}).status_code == 403
        assert rao("PATCH", f"/forms/{mine}", json={"organization_ids": delegation}).status_code == 403
    device = FORM | {"name": "X", "organization_ids": [own], "certificate_type": "device"}
    assert rao("POST", "/forms", json=device).status_code == 403
    assert rao("DELETE", f"/forms/{mine}").status_code == 204


def test_an_officer_sees_forms_of_theirs_and_does_nothing_to_those_of_all(app: EnrollApp) -> None:
    api = master(app)
    own, other = api.create("/organizations", {"name": "Physics"}), hospital(api)
    both = api.create("/forms", FORM | {"name": "Both", "organization_ids": [own, other]})
    theirs = api.create("/forms", FORM | {"name": "Theirs", "organization_ids": [other]})
    rao = officer(app, Grant(Role.RAO, own, certificate_types=CLIENT))
    names = {found["name"] for found in rao.items("/forms")}
    assert "Both" in names
    assert not names & {"Theirs", "Machines", "Servers"}
    assert rao("GET", f"/forms/{both}").json()["organization_ids"] == [own]
    staff = form(api, "Staff")["id"]
    for id, status in ((theirs, 404), (form(api, "Machines")["id"], 404), (both, 403), (staff, 403)):
        assert rao("PATCH", f"/forms/{id}", json={"help_text": "Mine"}).status_code == status
        assert rao("POST", f"/forms/{id}/uri-extension").status_code == status
        assert rao("DELETE", f"/forms/{id}").status_code == status
    assert form(api, "Staff")["help_text"] == ""


def test_an_officer_of_a_department_manages_no_form(app: EnrollApp) -> None:
    api = master(app)
    own = api.create("/organizations", {"name": "Physics"})
    optics = api.create("/departments", {"organization_id": own, "name": "Optics"})
    drao = officer(app, Grant(Role.DRAO, own, optics))
    made = api.create("/forms", FORM | {"organization_ids": [own]})
    assert drao("GET", f"/forms/{made}").status_code == 200
    assert drao("PATCH", f"/forms/{made}", json={"name": "Mine"}).status_code == 403
    assert drao("POST", "/forms", json=FORM | {"name": "X", "organization_ids": [own]}).status_code == 403
