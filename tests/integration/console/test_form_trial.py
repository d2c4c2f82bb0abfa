"""The test run of an enrollment form: what somebody would meet there, with nothing written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.administrators import Api, administrator, api_token, console, master, officer
from tests.support.enroll_app import EnrollApp, enroll_app, problem_code
from tests.support.tenants import contents

from keystead_enroll.domain.administration import Grant, Role

ADA = {"method": "email", "email": "ada@example.org", "name": "Ada Lovelace"}


def named(app: EnrollApp, kind: str, name: str) -> dict[str, Any]:
    return next(found for found in master(app).items(f"/{kind}") if found["name"] == name)


def tried(api: Api, form: str, **changes: object) -> Any:
    answer = api("POST", f"/forms/{form}/trial", json=ADA | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_person_of_the_organization_meets_their_account_and_certificate(app: EnrollApp) -> None:
    trial = tried(master(app), named(app, "forms", "Staff")["id"])
    assert trial["refused"] is None
    (account,) = [account for account in trial["accounts"] if not account["closed"]]
    profile = next(found for found in account["profiles"] if found["name"] == "Person")
    assert "CN=Ada Lovelace" in profile["subject"]
    assert "email:ada@example.org" in profile["alternative_names"]
    assert (profile["mistakes"], profile["linted"]) == ({}, True)


def test_a_stranger_is_told_what_the_form_would_tell_them(app: EnrollApp) -> None:
    trial = tried(master(app), named(app, "forms", "Staff")["id"], email="eve@evil.example")
    assert trial["refused"] == "eve@evil.example may not use this form."
    assert all(account["closed"] and account["profiles"] == [] for account in trial["accounts"])


def test_what_an_identity_provider_says_decides_as_it_would(app: EnrollApp) -> None:
    api = master(app)
    hospital = named(app, "organizations", "Example Hospital")["id"]
    api("PATCH", f"/organizations/{hospital}", json={"home_organization": "hospital.example"})
    form = api.create("/forms", {"name": "Mapped", "certificate_type": "client", "methods": ["idp"]})
    rule = {"key": "groups", "match_type": "MATCHES", "values": ["staff"]}
    account = {
        "form_id": form, "name": "Faculty", "organization_id": hospital, "profile_ids": [app.profile("Person")],
        "authorization": "idp_mapping", "idp_rules": [rule],
    }  # fmt: skip
    api.create("/accounts", account)
    refused = api("POST", f"/forms/{form}/trial", json=ADA | {"method": "idp"})
    assert list(refused.json()["fields"]) == ["identity_provider_id"]
    provider = api.create(
        "/identity-providers", {"name": "SSO", "kind": "saml", "metadata_url": "https://idp.example.org/metadata"}
    )
    comes: dict[str, Any] = {"method": "idp", "identity_provider_id": provider}
    here = {"schachomeorganization": ["hospital.example"]}
    assert "does not say which organization" in tried(api, form, **comes)["refused"]
    assert "no groups" in tried(api, form, **comes, attributes=here)["refused"]
    assert tried(api, form, **comes, attributes=here | {"groups": ["staff"]})["refused"] is None
    assert tried(api, form, **comes, attributes=here)["identity_providers"] == ["SSO"]


def test_a_name_that_is_not_delegated_is_refused_as_in_a_request(app: EnrollApp) -> None:
    form = named(app, "forms", "Servers")["id"]
    (account,) = [a for a in tried(master(app), form, dns_names="www.evil.example")["accounts"] if not a["closed"]]
    assert "dns_names" in account["profiles"][0]["mistakes"]
    assert account["profiles"][0]["subject"] is None


@pytest.mark.parametrize(("changes", "field"), [
    ({"method": "idp"}, "method"), ({"email": "ada"}, "email"), ({"attributes": {"shoe": ["9"]}}, "attributes"),
    ({"page": 1}, "page"),
])  # fmt: skip
def test_a_mistake_is_told_by_its_field(app: EnrollApp, changes: dict[str, Any], field: str) -> None:
    form = named(app, "forms", "Staff")["id"]
    refused = master(app)("POST", f"/forms/{form}/trial", json=ADA | changes)
    assert (refused.status_code, list(refused.json()["fields"])) == (422, [field])


def test_a_trial_writes_nothing_and_sends_nothing(app: EnrollApp) -> None:
    api, visit, form = master(app), console(app), named(app, "forms", "Staff")["id"]
    before = contents(app)
    tried(api, form)
    visit.send(f"/forms/{form}/test-run", **ADA)
    after = contents(app)
    assert {name: rows for name, rows in after.items() if rows != before[name] and "session" not in name} == {}


def test_others_accounts_and_persons_are_left_out_and_told_as_a_number(app: EnrollApp) -> None:
    api = master(app)
    physics = api.create("/organizations", {"name": "Physics", "email_domains": ["physics.example"]})
    hospital = named(app, "organizations", "Example Hospital")["id"]
    api.create("/persons", {"organization_id": hospital, "email": "ada@physics.example", "name": "Countess"})
    form = named(app, "forms", "Staff")["id"]
    account = {"form_id": form, "organization_id": physics, "profile_ids": [app.profile("Person")]}
    api.create("/accounts", account | {"name": "Physicists"})
    told = tried(officer(app, Grant(Role.RAO, physics)), form, email="ada@physics.example", name=None)
    assert [account["name"] for account in told["accounts"]] == ["Physicists"]
    assert told["unseen_accounts"] == 1
    assert "Countess" not in str(told)


def test_a_form_outside_of_the_scope_cannot_be_tried(app: EnrollApp) -> None:
    api = master(app)
    physics, chemistry = (api.create("/organizations", {"name": name}) for name in ("Physics", "Chemistry"))
    form = api.create("/forms", {"name": "Theirs", "certificate_type": "client", "organization_ids": [chemistry]})
    grant = Grant(Role.RAO, physics)
    assert officer(app, grant)("POST", f"/forms/{form}/trial", json=ADA).status_code == 404
    visit = console(app, grant)
    visit.get("/forms/new")
    assert visit.get(f"/forms/{form}/test-run").status_code == 404
    assert visit.post(f"/forms/{form}/test-run", **ADA).status_code == 404


def test_the_page_shows_what_would_be_met_and_goes_back_to_what_was_entered(app: EnrollApp) -> None:
    visit, form = console(app), named(app, "forms", "Staff")["id"]
    page = visit.send(f"/forms/{form}/test-run", **ADA).text
    assert "CN=Ada Lovelace" in page
    assert "Passes the linter" in page
    assert "Open to them" in page
    again = visit.post(f"/forms/{form}/test-run", **ADA, again="1").text
    assert 'value="ada@example.org"' in again


def test_mistakes_of_a_trial_stand_beside_their_questions(app: EnrollApp) -> None:
    visit, form = console(app), named(app, "forms", "Staff")["id"]
    page = visit.mistakes(visit.send(f"/forms/{form}/test-run", method="", email="ada", attributes="staff"))
    for field in ("method", "email"):
        assert f'id="f-{field}-error"' in page


def test_a_trial_needs_a_form_token(app: EnrollApp) -> None:
    form = named(app, "forms", "Staff")["id"]
    assert console(app).post(f"/forms/{form}/test-run", **ADA, form_token="forged").status_code == 403


def test_an_administrator_makes_test_runs_within_a_limit_whichever_token_they_come_with(
    sqlite_url: str, redis_url: str
) -> None:
    with enroll_app(sqlite_url, redis_url, trial_limit_administrator="2/hour") as app:
        form = named(app, "forms", "Staff")["id"]
        grace = administrator(app)
        for _ in range(2):
            tried(Api(app, api_token(app, grace)), form)
        refused = Api(app, api_token(app, grace))("POST", f"/forms/{form}/trial", json=ADA)
        assert (refused.status_code, problem_code(refused)) == (429, "rate-limited")
        assert int(refused.headers["retry-after"]) > 0
        tried(master(app), form)


def test_who_made_too_many_test_runs_is_told_so_and_keeps_what_they_entered(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, trial_limit_administrator="1/hour") as app:
        visit, form = console(app), named(app, "forms", "Staff")["id"]
        visit.send(f"/forms/{form}/test-run", **ADA)
        page = visit.mistakes(visit.post(f"/forms/{form}/test-run", **ADA))
        assert "too many test runs" in page
        assert 'value="ada@example.org"' in page
