"""Persons through the API."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import EnrollApp, problem_code

from keystead_contracts.base import CertificateType
from keystead_enroll.domain.administration import Grant, Role
from keystead_kit.passwords import verify_password

SECRET = "correct-horse"


def hospital(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.organizations()[0].id


def radiology(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.departments()[0].id


def ada(app: EnrollApp, **changes: Any) -> dict[str, Any]:
    return {"organization_id": hospital(app), "email": "Ada@Example.org", "name": "Ada Lovelace"} | changes


def test_a_person_is_made_changed_and_deleted_and_auth_hears_of_it(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/persons", ada(app, secret_id=SECRET))
    shown = api("GET", f"/persons/{made}").json()
    assert (shown["email"], shown["has_secret_id"]) == ("ada@example.org", True)
    assert api("PATCH", f"/persons/{made}", json={"upn": "ada@corp.example.org"}).json()["has_secret_id"] is True
    assert api("PATCH", f"/persons/{made}", json={"secret_id": None}).json()["has_secret_id"] is False
    assert api("DELETE", f"/persons/{made}").status_code == 204
    assert api("GET", f"/persons/{made}").status_code == 404
    told = sorted(app.facts("person_published"), key=lambda fact: fact["version"])
    assert [(f["version"], f["removed"]) for f in told] == [(1, False), (2, False), (3, False), (4, True)]
    assert {f["person_id"] for f in told} == {made}
    assert [f["secret_id_hash"] is not None for f in told] == [True, True, False, False]


def test_a_change_that_changes_nothing_is_not_told(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/persons", ada(app))
    assert api("PATCH", f"/persons/{made}", json={"name": "Ada Lovelace"}).status_code == 200
    assert len(app.facts("person_published")) == 1


def test_a_secret_id_is_stored_as_argon2id_and_never_shown(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/persons", ada(app, secret_id=SECRET))
    (fact,) = app.facts("person_published")
    assert verify_password(fact["secret_id_hash"], SECRET)
    for text in (api("GET", f"/persons/{made}").text, api("GET", "/audit").text, api("GET", "/persons/export").text):
        assert SECRET not in text
        assert "argon2" not in text


@pytest.mark.parametrize("secret", ["1234567", "x" * 129, "1234567\0"])
def test_a_secret_id_has_8_to_128_characters(app: EnrollApp, secret: str) -> None:
    refused = master(app)("POST", "/persons", json=ada(app, secret_id=secret))
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["secret_id"])
    assert secret not in refused.text


def test_a_generated_secret_id_is_told_once(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/persons", ada(app))
    answer = api("POST", f"/persons/{made}/secret-id")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    newest = max(app.facts("person_published"), key=lambda fact: fact["version"])
    assert verify_password(newest["secret_id_hash"], answer.json()["secret_id"])
    assert answer.json()["secret_id"] not in api("GET", "/audit").text


def test_an_address_belongs_to_one_person_of_an_organization(app: EnrollApp) -> None:
    api = master(app)
    api.create("/persons", ada(app))
    bob = api.create("/persons", ada(app, email="bob@example.org"))
    for refused in (
        api("POST", "/persons", json=ada(app, email="ADA@example.org")),
        api("PATCH", f"/persons/{bob}", json={"email": "ada@example.org"}),
    ):
        assert (refused.status_code, list(refused.json()["fields"])) == (422, ["email"])
    other = api.create("/organizations", {"name": "Physics"})
    api.create("/persons", ada(app, organization_id=other))


@pytest.mark.parametrize("changes", [
    {"email": "ada"}, {"email": "a b@example.org"}, {"email": "ada@-.example"}, {"name": " "}, {"name": "A\x1b"},
    {"upn": "ada"}, {"secret_id_hash": "x"}, {"version": 7}, {"id": "x"}, {"organization_id": "nowhere"},
    {"department_id": "nowhere"},
])  # fmt: skip
def test_what_is_wrong_is_said_beside_its_field(app: EnrollApp, changes: dict[str, Any]) -> None:
    refused = master(app)("POST", "/persons", json=ada(app, **changes))
    assert (refused.status_code, list(refused.json()["fields"])) == (422, list(changes))


def test_a_person_stays_in_their_organization(app: EnrollApp) -> None:
    api = master(app)
    made, other = api.create("/persons", ada(app)), api.create("/organizations", {"name": "Physics"})
    refused = api("PATCH", f"/persons/{made}", json={"organization_id": other})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["organization_id"])


def test_a_department_of_another_organization_is_refused(app: EnrollApp) -> None:
    api = master(app)
    other = api.create("/organizations", {"name": "Physics"})
    refused = api("POST", "/persons", json=ada(app, organization_id=other, department_id=radiology(app)))
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["department_id"])


def test_persons_out_of_scope_do_not_exist(app: EnrollApp) -> None:
    api = master(app)
    made, other = api.create("/persons", ada(app)), api.create("/organizations", {"name": "Physics"})
    form_id = next(f.id for f in _forms(app) if f.name == "Staff")
    stranger = officer(app, Grant(Role.RAO, other))
    assert stranger.items("/persons") == []
    for method, path, body in (
        ("GET", "", None), ("PATCH", "", {"name": "X"}), ("DELETE", "", None), ("POST", "/secret-id", None),
        ("POST", "/invitations", {"form_id": form_id}),
    ):  # fmt: skip
        assert stranger(method, f"/persons/{made}{path}", json=body).status_code == 404
    refused = stranger("POST", "/persons", json=ada(app))
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["organization_id"])


def test_an_officer_of_other_certificates_sees_persons_and_changes_none(app: EnrollApp) -> None:
    made = master(app).create("/persons", ada(app))
    ssl = officer(app, Grant(Role.RAO, hospital(app), certificate_types=frozenset({CertificateType.SSL})))
    assert ssl("GET", f"/persons/{made}").status_code == 200
    assert ssl("PATCH", f"/persons/{made}", json={"name": "X"}).status_code == 403
    assert ssl("DELETE", f"/persons/{made}").status_code == 403
    assert ssl("POST", f"/persons/{made}/secret-id").status_code == 403
    assert ssl("POST", "/persons", json=ada(app, email="b@example.org")).status_code == 422


def test_a_department_s_officer_manages_its_persons_alone(app: EnrollApp) -> None:
    api = master(app)
    outside = api.create("/persons", ada(app))
    drao = officer(app, Grant(Role.DRAO, hospital(app), radiology(app)))
    assert drao("GET", f"/persons/{outside}").status_code == 404
    refused = drao("POST", "/persons", json=ada(app, email="bob@example.org"))
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["department_id"])
    inside = drao.create("/persons", ada(app, email="bob@example.org", department_id=radiology(app)))
    assert [p["id"] for p in drao.items("/persons")] == [inside]
    assert drao("PATCH", f"/persons/{inside}", json={"department_id": None}).status_code == 422


@pytest.mark.parametrize("changes", [{"email": "ceo@elsewhere.example"}, {"upn": "root@elsewhere.example"}])
def test_an_officer_gives_no_address_that_is_not_the_organization_s(app: EnrollApp, changes: dict[str, str]) -> None:
    rao = officer(app, Grant(Role.RAO, hospital(app)))
    refused = rao("POST", "/persons", json=ada(app, **changes))
    assert (refused.status_code, list(refused.json()["fields"])) == (422, list(changes))
    made = rao.create("/persons", ada(app))
    assert rao("PATCH", f"/persons/{made}", json=changes).status_code == 422
    master(app).create("/persons", ada(app, **({"email": "eve@example.org"} | changes)))


def _forms(app: EnrollApp) -> Any:
    with app.enroll.transactions.read() as tx:
        return list(tx.forms())


def invite(app: EnrollApp, api: Api, person: str, name: str, **kwargs: Any) -> Any:
    form_id = next(f.id for f in _forms(app) if f.name == name)
    return api("POST", f"/persons/{person}/invitations", json={"form_id": form_id}, **kwargs)


def test_an_invitation_tells_the_form_s_address(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/persons", ada(app, department_id=radiology(app)))
    assert invite(app, api, made, "Coded").status_code == 204
    (letter,) = app.facts("person_invited")
    assert letter["form_url"] == f"{app.origin}/e/{app.uris['Coded']}"
    assert (letter["email"], letter["organization"]) == ("ada@example.org", "Example Hospital")
    assert (letter["needs_access_code"], letter["needs_secret_id"]) == (True, False)
    assert api("GET", f"/persons/{made}").json()["invited_at"] is not None


def test_an_invitation_sent_twice_with_one_key_is_one_letter(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/persons", ada(app, department_id=radiology(app)))
    for _ in range(2):
        assert invite(app, api, made, "Staff", headers={"idempotency-key": "k"}).status_code == 204
    assert len(app.facts("person_invited")) == 1


def test_nobody_is_invited_to_a_form_without_an_account_for_them(app: EnrollApp) -> None:
    api = master(app)
    outside = api.create("/persons", ada(app))  # the form's account is Radiology's
    refused = invite(app, api, outside, "Staff")
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["form_id"])
    other = api.create("/organizations", {"name": "Physics"})
    stranger = api.create("/persons", ada(app, organization_id=other))
    assert invite(app, api, stranger, "Machines").status_code == 422
    assert app.facts("person_invited") == []


def test_nobody_is_invited_to_a_form_out_of_the_inviter_s_scope(app: EnrollApp) -> None:
    made = master(app).create("/persons", ada(app, department_id=radiology(app)))
    client = officer(app, Grant(Role.RAO, hospital(app), certificate_types=frozenset({CertificateType.CLIENT})))
    assert invite(app, client, made, "Servers").json()["fields"] == {"form_id": "There is no such form."}
    assert invite(app, client, made, "Staff").status_code == 204


def test_whoever_has_no_secret_id_is_not_invited_to_a_form_that_asks_for_one(app: EnrollApp) -> None:
    app.uris |= app.apply(
        {"forms": [{"name": "Secret", "type": "client", "methods": ["secret_id"],
                    "accounts": [{"name": "Any", "organization": "Example Hospital", "profiles": ["Person"]}]}]}
    )  # fmt: skip
    api = master(app)
    made = api.create("/persons", ada(app))
    assert invite(app, api, made, "Secret").status_code == 422
    assert api("POST", f"/persons/{made}/secret-id").status_code == 201
    assert invite(app, api, made, "Secret").status_code == 204
    assert app.facts("person_invited")[0]["needs_secret_id"] is True


def test_an_organization_with_persons_stays(app: EnrollApp) -> None:
    api = master(app)
    other = api.create("/organizations", {"name": "Physics"})
    api.create("/persons", ada(app, organization_id=other))
    refused = api("DELETE", f"/organizations/{other}")
    assert (refused.status_code, problem_code(refused)) == (409, "conflict")
