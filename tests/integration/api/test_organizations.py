"""Organizations and departments through the API."""

from __future__ import annotations

from tests.support.administrators import master, officer
from tests.support.enroll_app import EnrollApp, problem_code

from keystead_enroll.domain.administration import Grant, Role

PHYSICS = {"name": "Physics", "email_domains": ["physics.example"], "dns_domains": ["physics.example"]}


def test_a_master_makes_changes_and_deletes_an_organization(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/organizations", PHYSICS)
    assert api("GET", f"/organizations/{made}").json()["email_domains"] == ["physics.example"]
    changed = api("PATCH", f"/organizations/{made}", json={"home_organization": "Physics.Example"})
    assert changed.status_code == 200
    assert changed.json()["home_organization"] == "physics.example"
    assert changed.json()["name"] == "Physics"
    assert api("DELETE", f"/organizations/{made}").status_code == 204
    assert api("GET", f"/organizations/{made}").status_code == 404


def test_a_name_belongs_to_one_organization(app: EnrollApp) -> None:
    api = master(app)
    api.create("/organizations", PHYSICS)
    again = api("POST", "/organizations", json=PHYSICS)
    assert (again.status_code, list(again.json()["fields"])) == (422, ["name"])


def test_what_is_wrong_is_said_field_by_field(app: EnrollApp) -> None:
    answer = master(app)("POST", "/organizations", json={"name": "", "email_domains": ["@"], "rank": 1})
    assert answer.status_code == 422
    assert set(answer.json()["fields"]) == {"name", "email_domains.0", "rank"}


def test_an_organization_with_accounts_stays(app: EnrollApp) -> None:
    api = master(app)
    (hospital,) = api.items("/organizations")
    refused = api("DELETE", f"/organizations/{hospital['id']}")
    assert (refused.status_code, problem_code(refused)) == (409, "conflict")


def test_an_officer_sees_their_own_organization_alone(app: EnrollApp) -> None:
    api = master(app)
    own = api.create("/organizations", PHYSICS)
    (hospital,) = [o for o in api.items("/organizations") if o["id"] != own]
    rao = officer(app, Grant(Role.RAO, own))
    assert [o["id"] for o in rao.items("/organizations")] == [own]
    assert rao("GET", f"/organizations/{hospital['id']}").status_code == 404
    assert rao("PATCH", f"/organizations/{hospital['id']}", json={"name": "Mine"}).status_code == 404
    assert rao("PATCH", f"/organizations/{own}", json={"email_domains": ["gmail.example"]}).status_code == 403
    assert rao("POST", "/organizations", json={"name": "New"}).status_code == 403


def test_an_officer_s_departments_stay_within_the_organization_s_domains(app: EnrollApp) -> None:
    own = master(app).create("/organizations", PHYSICS)
    rao = officer(app, Grant(Role.RAO, own))
    optics = rao.create(
        "/departments", {"organization_id": own, "name": "Optics", "dns_domains": ["optics.physics.example"]}
    )
    refused = rao("PATCH", f"/departments/{optics}", json={"dns_domains": ["example.org"]})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["dns_domains"])
    refused = rao("PATCH", f"/departments/{optics}", json={"email_domains": ["optics.physics.example"]})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["email_domains"])
    refused = rao("PATCH", f"/departments/{optics}", json={"home_organization": "example.org"})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["home_organization"])


def test_pages_do_not_shift_when_something_is_added(app: EnrollApp) -> None:
    api = master(app)
    for name in ("B", "D", "F"):
        api.create("/organizations", {"name": name})
    first = api("GET", "/organizations", params={"limit": 2}).json()
    api.create("/organizations", {"name": "A"})
    rest = api("GET", "/organizations", params={"limit": 10, "after": first["next"]}).json()
    names = [o["name"] for o in first["items"] + rest["items"]]
    assert names == ["B", "D", "Example Hospital", "F"]


def test_a_creation_sent_twice_happens_once(app: EnrollApp) -> None:
    api = master(app)
    headers = {"idempotency-key": "k-1"}
    first = api.create("/organizations", PHYSICS, headers=headers)
    assert api.create("/organizations", PHYSICS, headers=headers) == first
    other = api("POST", "/organizations", json={"name": "Other"}, headers=headers)
    assert (other.status_code, problem_code(other)) == (409, "conflict")


def test_a_search_with_an_unknown_field_names_those_that_there_are(app: EnrollApp) -> None:
    answer = master(app)("GET", "/organizations", params={"q": "colour:red"})
    assert answer.status_code == 422
    assert "domain" in answer.json()["advice"]


def test_without_a_valid_token_nothing_is_told(app: EnrollApp) -> None:
    api = master(app)
    for headers in ({"authorization": "Bearer ksa_nothing"}, {"authorization": "Basic eDp5"}, {"authorization": ""}):
        answer = api("GET", "/organizations", headers=headers)
        assert (answer.status_code, problem_code(answer)) == (401, "unauthenticated")
