"""Administrators through the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.administrators import Api, administrator, api_token, master, officer
from tests.support.enroll_app import EnrollApp, problem_code

from keystead_contracts.base import CertificateType
from keystead_contracts.people import AdministratorMethod
from keystead_enroll.domain.administration import Administrator, ConsoleSession, Grant, Role, local_actor
from keystead_enroll.domain.administration_refusals import StillInUse
from keystead_enroll.domain.people_inputs import AdministratorInput
from keystead_enroll.usecases.admin.administrators import change_administrator
from keystead_kit.secrets import token_digest

MASTER_GRANT = {"role": "mrao"}


def hospital(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.organizations()[0].id


def radiology(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.departments()[0].id


def rao(place: str) -> dict[str, Any]:
    return {"role": "rao", "organization_id": place}


def alan(*grants: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"email": "Alan@Example.org", "name": "Alan Turing", "grants": list(grants or (MASTER_GRANT,))} | changes


def with_session(app: EnrollApp, who: str) -> None:
    now = app.clock.now()
    session = ConsoleSession(token_digest("s"), who, AdministratorMethod.PASSWORD, True, now, now + timedelta(1), now)
    with app.enroll.transactions.write() as tx:
        tx.add(session)


def test_a_new_administrator_is_invited_to_choose_a_password(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/administrators", alan())
    shown = api("GET", f"/administrators/{made}").json()
    assert (shown["email"], shown["methods"], shown["active"]) == ("alan@example.org", ["password"], True)
    (fact,) = app.facts("administrator_published")
    assert (fact["administrator_id"], fact["invitation"], fact["version"]) == (made, 1, 1)
    assert fact["invited_by"]


def test_one_who_signs_in_elsewhere_is_not_invited_until_they_get_a_password(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/administrators", alan(methods=["idp"]))
    assert app.facts("administrator_published")[0]["invitation"] == 0
    assert api("POST", f"/administrators/{made}/invitations").status_code == 409
    assert api("PATCH", f"/administrators/{made}", json={"methods": ["idp", "password"]}).status_code == 200
    assert sorted(f["invitation"] for f in app.facts("administrator_published")) == [0, 1]
    assert api("POST", f"/administrators/{made}/invitations").status_code == 204
    assert max(f["invitation"] for f in app.facts("administrator_published")) == 2


def test_an_address_belongs_to_one_administrator(app: EnrollApp) -> None:
    api = master(app)
    api.create("/administrators", alan())
    other = api.create("/administrators", alan(email="other@example.org"))
    for refused in (
        api("POST", "/administrators", json=alan(email="ALAN@example.org")),
        api("PATCH", f"/administrators/{other}", json={"email": "alan@example.org"}),
    ):
        assert (refused.status_code, list(refused.json()["fields"])) == (422, ["email"])


@pytest.mark.parametrize("changes", [
    {"grants": []}, {"methods": []}, {"methods": ["magic"]}, {"email": "alan"}, {"version": 9}, {"invitation": 9},
])  # fmt: skip
def test_what_is_wrong_is_said_beside_its_field(app: EnrollApp, changes: dict[str, Any]) -> None:
    refused = master(app)("POST", "/administrators", json=alan(**changes))
    assert refused.status_code == 422
    assert [name.split(".")[0] for name in refused.json()["fields"]] == list(changes)


@pytest.mark.parametrize("grant", [
    {"role": "rao", "organization_id": "nowhere"},
    {"role": "rao"},
    {"role": "mrao", "organization_id": "x"},
    {"role": "drao", "organization_id": "nowhere", "department_id": "nowhere"},
])  # fmt: skip
def test_a_role_has_a_place_that_is_there(app: EnrollApp, grant: dict[str, Any]) -> None:
    assert master(app)("POST", "/administrators", json=alan(grant)).status_code == 422


def test_a_department_stands_in_its_own_organization(app: EnrollApp) -> None:
    api = master(app)
    other = api.create("/organizations", {"name": "Physics"})
    mixed = {"role": "drao", "organization_id": other, "department_id": radiology(app)}
    assert api("POST", "/administrators", json=alan(mixed)).status_code == 422


def test_deactivation_ends_visits_and_tokens_at_once(app: EnrollApp) -> None:
    api, who = master(app), administrator(app)
    with_session(app, who.id)
    theirs = Api(app, api_token(app, who))
    assert theirs("GET", "/me").status_code == 200
    assert api("PATCH", f"/administrators/{who.id}", json={"active": False}).status_code == 200
    assert theirs("GET", "/me").status_code == 401
    with app.enroll.transactions.read() as tx:
        assert tx.console_session(token_digest("s")) is None
    assert app.facts("administrator_published")[0]["active"] is False


def test_other_changes_leave_visits_open(app: EnrollApp) -> None:
    api, who = master(app), administrator(app)
    with_session(app, who.id)
    assert api("PATCH", f"/administrators/{who.id}", json={"name": "Grace B. Hopper"}).status_code == 200
    with app.enroll.transactions.read() as tx:
        assert tx.console_session(token_digest("s")) is not None


def me(api: Api) -> str:
    return str(api("GET", "/me").json()["administrator_id"])


def test_nobody_changes_their_own_roles_or_deactivates_themselves_not_even_by_token(app: EnrollApp) -> None:
    administrator(app)  # another master, so that this is not about the last one
    api = master(app)
    for body in ({"active": False}, {"grants": [rao(hospital(app))]}):
        assert api("PATCH", f"/administrators/{me(api)}", json=body).status_code == 403
    assert api("PATCH", f"/administrators/{me(api)}", json={"name": "New Name"}).status_code == 200
    own = officer(app, Grant(Role.RAO, hospital(app)))
    narrower = [rao(hospital(app)) | {"certificate_types": ["ssl"]}]
    assert own("PATCH", f"/administrators/{me(own)}", json={"grants": narrower}).status_code == 403


@pytest.mark.parametrize("changes", [{"active": False}, {"grants": "rao"}])
def test_the_last_active_master_stays(app: EnrollApp, changes: dict[str, Any]) -> None:
    last, idle = administrator(app), administrator(app)
    if "grants" in changes:
        changes = {"grants": [rao(hospital(app))]}
    change(app, idle, active=False)  # who is not active counts for nothing
    with pytest.raises(StillInUse):
        change(app, last, **changes)
    change(app, idle, active=True)
    change(app, last, **changes)


def change(app: EnrollApp, who: Administrator, **changes: Any) -> None:
    """As a command on the server itself does."""
    plain = {"email": who.email, "name": who.name, "grants": [MASTER_GRANT]} | changes
    wanted = AdministratorInput.model_validate(plain)
    change_administrator(app.enroll.transactions, app.clock, local_actor("root"), who.id, wanted)


def test_an_organization_s_administrator_manages_those_within_their_own_roles(app: EnrollApp) -> None:
    place = hospital(app)
    own = officer(app, Grant(Role.RAO, place))
    drao = {"role": "drao", "organization_id": place, "department_id": radiology(app)}
    made = own.create("/administrators", alan(drao))
    assert own("PATCH", f"/administrators/{made}", json={"grants": [rao(place)]}).status_code == 200
    assert own("PATCH", f"/administrators/{made}", json={"active": False}).status_code == 200
    assert own("POST", f"/administrators/{made}/invitations").status_code == 409


def test_nobody_gives_more_than_they_have(app: EnrollApp) -> None:
    place = hospital(app)
    other = master(app).create("/organizations", {"name": "Physics"})
    own = officer(app, Grant(Role.RAO, place, certificate_types=frozenset({CertificateType.SSL})))
    ssl = rao(place) | {"certificate_types": ["ssl"]}
    made = own.create("/administrators", alan(ssl))
    for grants in ([MASTER_GRANT], [rao(place)], [rao(other)], [ssl, rao(other)]):
        refused = own("POST", "/administrators", json=alan(email="eve@example.org", grants=grants))
        assert (refused.status_code, list(refused.json()["fields"])) == (422, ["grants"])
        assert own("PATCH", f"/administrators/{made}", json={"grants": grants}).status_code == 422


def test_a_token_gives_no_more_than_it_may_itself(app: EnrollApp) -> None:
    narrow = Api(app, api_token(app, administrator(app), [Grant(Role.RAO, hospital(app))]))
    assert narrow("POST", "/administrators", json=alan()).status_code == 422


def test_masters_and_administrators_of_other_places_do_not_exist_for_an_officer(app: EnrollApp) -> None:
    api = master(app)
    other = api.create("/organizations", {"name": "Physics"})
    strangers = [
        api.create("/administrators", alan()),
        api.create("/administrators", alan(rao(other), email="p@e.org")),
    ]
    own = officer(app, Grant(Role.RAO, hospital(app)))
    assert [a["id"] for a in own.items("/administrators")] == [me(own)]
    for stranger in strangers:
        assert own("GET", f"/administrators/{stranger}").status_code == 404
        assert own("PATCH", f"/administrators/{stranger}", json={"active": False}).status_code == 404
        assert own("POST", f"/administrators/{stranger}/invitations").status_code == 404


def test_one_who_also_has_a_role_elsewhere_is_seen_without_it_and_not_changed(app: EnrollApp) -> None:
    api = master(app)
    other = api.create("/organizations", {"name": "Physics"})
    both = api.create("/administrators", alan(rao(hospital(app)), rao(other)))
    own = officer(app, Grant(Role.RAO, hospital(app)))
    shown = own("GET", f"/administrators/{both}")
    assert [grant["organization_id"] for grant in shown.json()["grants"]] == [hospital(app)]
    assert other not in shown.text
    refused = own("PATCH", f"/administrators/{both}", json={"active": False})
    assert (refused.status_code, problem_code(refused)) == (403, "forbidden")
    assert own("POST", f"/administrators/{both}/invitations").status_code == 403


def test_a_department_s_officer_manages_no_administrators(app: EnrollApp) -> None:
    place, part = hospital(app), radiology(app)
    drao = officer(app, Grant(Role.DRAO, place, part))
    assert drao.items("/administrators") == []
    own = {"role": "drao", "organization_id": place, "department_id": part}
    assert drao("POST", "/administrators", json=alan(own)).status_code == 403
