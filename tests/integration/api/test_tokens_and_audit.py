"""API tokens, who asks, and the audit log, through the API."""

from __future__ import annotations

import pytest
from tests.support.administrators import Api, administrator, api_token, master, officer
from tests.support.enroll_app import EnrollApp, problem_code

from keystead_enroll.domain.administration import Administrator, Grant, Role


def hospital(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.organizations()[0].id


def test_a_token_makes_none(app: EnrollApp) -> None:
    refused = master(app)("POST", "/tokens", json={"name": "another"})
    assert (refused.status_code, problem_code(refused)) == (403, "forbidden")


def test_a_token_is_listed_without_its_secret_and_revoked_at_once(app: EnrollApp) -> None:
    api, owner = master(app), administrator(app, name="Ada")
    secret = api_token(app, owner)
    (token,) = api.items("/tokens", q=f"administrator_id:{owner.id}")
    assert (token["administrator"], token["revoked_at"]) == ("Ada", None)
    assert not {"digest", "token"} & set(token)
    assert api("DELETE", f"/tokens/{token['id']}").status_code == 204
    assert Api(app, secret)("GET", "/me").status_code == 401
    assert api("GET", f"/tokens/{token['id']}").json()["revoked_at"] is not None


def test_tokens_of_others_do_not_exist_for_an_officer(app: EnrollApp) -> None:
    api = master(app)
    (token,) = api.items("/tokens")
    rao = officer(app, Grant(Role.RAO, hospital(app)))
    assert token["id"] not in [t["id"] for t in rao.items("/tokens")]
    assert rao("GET", f"/tokens/{token['id']}").status_code == 404
    assert rao("DELETE", f"/tokens/{token['id']}").status_code == 404


def test_me_tells_who_asks_and_what_they_may_do_now(app: EnrollApp) -> None:
    owner = administrator(app, name="Ada")
    narrow = Api(app, api_token(app, owner, [Grant(Role.RAO, hospital(app))]))
    me = narrow("GET", "/me").json()
    assert (me["kind"], me["name"], me["administrator_id"]) == ("token", "Ada (test)", owner.id)
    assert [(g["role"], g["organization_id"]) for g in me["grants"]] == [("rao", hospital(app))]
    assert me["expires_at"]


def test_a_token_does_no_more_than_its_owner_may_now(app: EnrollApp) -> None:
    owner = administrator(app)
    token = Api(app, api_token(app, owner))
    with app.enroll.transactions.write() as tx:
        stored = tx.get(Administrator, owner.id)
        assert stored is not None
        stored.grants = [Grant(Role.RAO, hospital(app)).to_plain()]
    assert token("GET", "/me").json()["grants"] == []
    assert token.items("/organizations") == []


def test_the_audit_log_says_who_did_what_to_what(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/organizations", {"name": "Physics"})
    (line,) = api.items("/audit", q=f"target_id:{made}")
    assert (line["action"], line["target"], line["actor_kind"]) == ("organization.create", "Physics", "token")
    assert line["details"]["name"] == "Physics"
    assert len(line["trace_id"]) == 32
    assert api("GET", f"/audit/{line['id']}").json() == line


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nobody_writes_the_audit_log(app: EnrollApp, method: str) -> None:
    api = master(app)
    api.create("/organizations", {"name": "Physics"})
    line = api.items("/audit")[0]
    for path in ("/audit", f"/audit/{line['id']}"):
        assert api(method, path, json={}).status_code == 405


def test_an_officer_reads_of_their_own_organization_alone(app: EnrollApp) -> None:
    api = master(app)
    physics, chemistry = (api.create("/organizations", {"name": name}) for name in ("Physics", "Chemistry"))
    rao = officer(app, Grant(Role.RAO, physics))
    assert [line["target_id"] for line in rao.items("/audit")] == [physics]
    (hidden,) = api.items("/audit", q=f"target_id:{chemistry}")
    assert rao("GET", f"/audit/{hidden['id']}").status_code == 404
    exported = rao("GET", "/audit/export").text
    assert "Physics" in exported
    assert "Chemistry" not in exported


def test_an_export_of_the_audit_log_holds_no_formula(app: EnrollApp) -> None:
    api = master(app)
    api.create("/organizations", {"name": "=1+1"})
    assert '"\'=1+1"' in api("GET", "/audit/export").text


def test_the_description_is_there_for_a_program_that_asks_for_its_head_alone(app: EnrollApp) -> None:
    answer = app.client().head("/api/openapi.json")
    assert (answer.status_code, answer.content) == (200, b"")
