"""Web form accounts through the API."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import ADA, CODE, SETUP, EnrollApp, problem_code

from keystead_contracts.base import CertificateType
from keystead_enroll.adapters import tables
from keystead_enroll.adapters.administration_tables import audit_entries
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.refusals import DeclarationInvalid

RULE = {"key": "groups", "match_type": "MATCHES", "values": ["staff"]}


class Place:
    """A form of its own with an organization, a department and a profile."""

    def __init__(self, app: EnrollApp) -> None:
        self.api: Api = master(app)
        self.organization = self.api.create("/organizations", {"name": "Physics", "email_domains": ["physics.example"]})
        self.department = self.api.create("/departments", {"organization_id": self.organization, "name": "Optics"})
        self.form = self.api.create(
            "/forms",
            {
                "name": "Badges",
                "certificate_type": "client",
                "methods": ["email", "idp"],
                "organization_ids": [self.organization],
            },
        )
        self.profile = app.profile("Person")

    def account(self, **changes: Any) -> dict[str, Any]:
        """A good account."""
        body = {
            "form_id": self.form, "name": "Badge", "organization_id": self.organization, "profile_ids": [self.profile],
        }  # fmt: skip
        return body | changes

    def coded(self, code: str, **changes: Any) -> dict[str, Any]:
        """One that asks for a code."""
        return self.account(authorization="access_code", access_code=code, **changes)


@pytest.fixture
def place(app: EnrollApp) -> Place:
    return Place(app)


def refused(api: Api, body: dict[str, Any]) -> list[str]:
    answer = api("POST", "/accounts", json=body)
    assert answer.status_code == 422, answer.text
    return list(answer.json()["fields"])


def test_an_account_is_made_changed_and_deleted(place: Place) -> None:
    api = place.api
    made = api.create("/accounts", place.account(department_id=place.department, csr_method="provided_csr"))
    shown = api("GET", f"/accounts/{made}").json()
    assert (shown["department_id"], shown["csr_method"]) == (place.department, "provided_csr")
    assert [a["id"] for a in api.items("/accounts", q=f"form_id:{place.form}")] == [made]
    body = {"authorization": "idp_mapping", "idp_rules": [RULE], "automatic_approval": False, "department_id": None}
    changed = api("PATCH", f"/accounts/{made}", json=body).json()
    assert (changed["idp_rules"], changed["automatic_approval"], changed["name"]) == ([RULE], False, "Badge")
    assert api("DELETE", f"/accounts/{made}").status_code == 204
    assert api("GET", f"/accounts/{made}").status_code == 404


def test_an_account_opens_its_form_and_auth_is_told_for_whom(app: EnrollApp, place: Place) -> None:
    place.api.create("/accounts", place.account())
    fact = max(
        (fact for fact in app.facts("form_published") if fact["name"] == "Badges"), key=lambda f: int(f["version"])
    )
    assert (fact["email_domains"], fact["organization_ids"]) == (["physics.example"], [place.organization])


def test_whom_only_a_provider_sends_gets_no_link_by_e_mail(app: EnrollApp, place: Place) -> None:
    place.api.create("/accounts", place.account(authorization="idp_mapping", idp_rules=[RULE]))
    assert all(fact["email_domains"] == [] for fact in app.facts("form_published") if fact["name"] == "Badges")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": "ab"}, ["name"]),
        ({"name": "x" * 129}, ["name"]),
        ({"profile_ids": []}, ["profile_ids"]),
        ({"profile_ids": ["nothing"]}, ["profile_ids"]),
        ({"organization_id": "nobody"}, ["organization_id"]),
        ({"department_id": "nobody"}, ["department_id"]),
        ({"authorization": "access_code"}, ["access_code"]),
        ({"authorization": "access_code", "access_code": "with space"}, ["access_code"]),
        ({"authorization": "access_code", "access_code": "Ünicode"}, ["access_code"]),
        ({"authorization": "access_code", "access_code": "x" * 256}, ["access_code"]),
        ({"access_code": "ABC"}, ["access_code"]),
        ({"authorization": "idp_mapping"}, ["authorization"]),
        ({"authorization": "idp_mapping", "idp_rules": [RULE | {"values": [""]}]}, ["idp_rules.0.values.0"]),
        ({"authorization": "idp_mapping", "idp_rules": [RULE | {"key": "shoe"}]}, ["idp_rules.0.key"]),
        ({"idp_rules": [RULE]}, ["idp_rules"]),
        ({"access_code_digest": "00", "has_access_code": True}, ["access_code_digest", "has_access_code"]),
    ],
)
def test_what_an_account_cannot_be_is_said(place: Place, changes: dict[str, Any], fields: list[str]) -> None:
    assert refused(place.api, place.account(**changes)) == fields


def test_an_account_fits_its_form(app: EnrollApp, place: Place) -> None:
    api = place.api
    (hospital,) = api.items("/organizations", q='"Example Hospital"')
    radiology = api.items("/departments", q=f"organization_id:{hospital['id']}")[0]["id"]
    assert refused(api, place.account(organization_id=hospital["id"])) == ["organization_id"]
    assert refused(api, place.account(department_id=radiology)) == ["department_id"]
    assert refused(api, place.account(profile_ids=[app.profile("Machine")])) == ["profile_ids"]
    api("PATCH", f"/profiles/{app.profile('Person in TPM')}", json={"organization_ids": [hospital["id"]]})
    assert refused(api, place.account(profile_ids=[app.profile("Person in TPM")])) == ["profile_ids"]
    api("PATCH", f"/forms/{place.form}", json={"methods": ["email"]})
    assert refused(api, place.account(authorization="idp_mapping", idp_rules=[RULE])) == ["authorization"]
    api("PATCH", f"/profiles/{place.profile}", json={"active": False})
    assert refused(api, place.account()) == ["profile_ids"]


def test_an_account_keeps_a_profile_that_was_withdrawn_meanwhile(place: Place) -> None:
    made = place.api.create("/accounts", place.account())
    place.api("PATCH", f"/profiles/{place.profile}", json={"active": False})
    assert place.api("PATCH", f"/accounts/{made}", json={"name": "Renamed"}).status_code == 200


def test_an_account_stays_in_its_form(place: Place) -> None:
    made = place.api.create("/accounts", place.account())
    answer = place.api("PATCH", f"/accounts/{made}", json={"form_id": "other"})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["form_id"])


def test_a_name_stands_once_in_a_form(place: Place) -> None:
    place.api.create("/accounts", place.account())
    assert refused(place.api, place.account()) == ["name"]
    other = place.api.create("/accounts", place.account(name="Other"))
    answer = place.api("PATCH", f"/accounts/{other}", json={"name": "Badge"})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["name"])


# Access codes


def test_a_code_cannot_be_read_back(app: EnrollApp, place: Place) -> None:
    made = place.api.create("/accounts", place.coded("Secret42"))
    shown = place.api("GET", f"/accounts/{made}").json()
    assert shown["has_access_code"] is True
    with app.enroll.database.read() as session:
        rows = session.execute(select(tables.accounts).where(tables.accounts.c.id == made)).mappings().all()
        audit = session.execute(select(audit_entries)).mappings().all()
        digest = rows[0]["access_code_digest"]
    everything = json.dumps([shown, [dict(row) for row in (*rows, *audit)], app.facts("form_published")], default=str)
    assert "Secret42" not in everything
    assert digest not in json.dumps([shown, [dict(row) for row in audit]], default=str)


def test_a_code_that_is_used_anywhere_is_refused_without_saying_where(place: Place) -> None:
    made = place.api.create("/accounts", place.account())
    change = {"authorization": "access_code", "access_code": CODE}
    for answer in (
        place.api("POST", "/accounts", json=place.coded(CODE, name="Second")),
        place.api("PATCH", f"/accounts/{made}", json=change),
    ):
        assert (answer.status_code, problem_code(answer)) == (409, "conflict")
        told = "Another account has this access code already. Choose another access code."
        assert answer.json()["fields"] == {"access_code": told}
        assert not any(word in answer.text for word in ("Hospital", "Coded", "Radiology", CODE))


def test_an_officer_is_told_of_another_tenant_s_code_in_the_same_words(app: EnrollApp, place: Place) -> None:
    rao = officer(app, Grant(Role.RAO, place.organization))
    place.api.create("/accounts", place.coded("Ours1", name="Ours"))
    answers = []
    for code in (CODE, "Ours1"):
        body = rao("POST", "/accounts", json=place.coded(code)).json()
        answers.append((body["title"], body["detail"], body["fields"]))
    assert answers[0] == answers[1]


def test_a_code_stays_until_another_is_given_or_it_is_asked_no_more(place: Place) -> None:
    api = place.api
    made = api.create("/accounts", place.coded("First1"))
    assert api("PATCH", f"/accounts/{made}", json={"name": "Renamed"}).json()["has_access_code"]
    assert api("PATCH", f"/accounts/{made}", json={"access_code": "First1"}).status_code == 200
    assert api("PATCH", f"/accounts/{made}", json={"access_code": "Second2"}).status_code == 200
    api.create("/accounts", place.coded("First1", name="Heir"))
    assert not api("PATCH", f"/accounts/{made}", json={"authorization": "none"}).json()["has_access_code"]
    api.create("/accounts", place.coded("Second2", name="Next heir"))


def test_of_two_who_give_a_code_at_once_one_is_refused(app: EnrollApp, place: Place) -> None:
    answers: list[int] = []
    start = threading.Barrier(2)

    def create(name: str) -> None:
        api = Api(app, None)
        api.headers = place.api.headers
        start.wait()
        answers.append(api("POST", "/accounts", json=place.coded("Race1", name=name)).status_code)

    threads = [threading.Thread(target=create, args=(f"Racer {number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]


def test_what_the_database_alone_finds_twice_is_refused_in_the_same_words(app: EnrollApp, place: Place) -> None:
    """As when another transaction commits the code between the look and the change."""
    made = place.api.create("/accounts", place.account())
    digest = app.enroll.secrets.access_code_digest(CODE)
    with app.enroll.transactions.write() as tx:
        account = tx.account(made)
        assert account is not None
        assert not tx.set_first(account, {"access_code_digest": digest, "name": "Renamed"})
        assert (account.access_code_digest, account.name) == (None, "Badge")


# Who may


def test_an_officer_has_the_accounts_of_their_place_and_type(app: EnrollApp, place: Place) -> None:
    api = place.api
    staff = api.items("/accounts", q="Staff")[0]
    rao = officer(app, Grant(Role.RAO, place.organization))
    mine = rao.create("/accounts", place.account())
    assert [a["id"] for a in rao.items("/accounts")] == [mine]
    for method, body in (("GET", None), ("PATCH", {"name": "Mine"}), ("DELETE", None)):
        assert rao(method, f"/accounts/{staff['id']}", json=body).status_code == 404
    assert rao("POST", "/accounts", json=place.account(form_id="nothing")).status_code == 404
    assert refused(rao, place.account(name="Xenon", organization_id=staff["organization_id"])) == ["organization_id"]
    device_officer = officer(
        app, Grant(Role.RAO, place.organization, certificate_types=frozenset({CertificateType.SSL}))
    )
    assert device_officer("GET", f"/accounts/{mine}").status_code == 404
    assert device_officer("POST", "/accounts", json=place.account(name="Xenon")).status_code == 404


def test_an_officer_of_a_department_has_its_accounts_alone(app: EnrollApp, place: Place) -> None:
    drao = officer(app, Grant(Role.DRAO, place.organization, place.department))
    wide = place.api.create("/accounts", place.account(name="Wide"))
    mine = drao.create("/accounts", place.account(department_id=place.department))
    assert [a["id"] for a in drao.items("/accounts")] == [mine]
    assert drao("GET", f"/accounts/{wide}").status_code == 404
    assert drao("POST", "/accounts", json=place.account(name="Xenon")).status_code == 403
    assert drao("PATCH", f"/accounts/{mine}", json={"department_id": None}).status_code == 403


def test_a_profile_outside_of_the_officer_s_sight_does_not_exist(app: EnrollApp, place: Place) -> None:
    other = place.api.create("/organizations", {"name": "Chemistry"})
    place.api("PATCH", f"/profiles/{app.profile('Person in TPM')}", json={"organization_ids": [other]})
    rao = officer(app, Grant(Role.RAO, place.organization))
    hidden = rao("POST", "/accounts", json=place.account(profile_ids=[app.profile("Person in TPM")]))
    nothing = rao("POST", "/accounts", json=place.account(profile_ids=["nothing"]))
    assert hidden.json()["fields"] == nothing.json()["fields"]


def test_an_account_that_is_sent_twice_is_made_once(place: Place) -> None:
    headers = {"idempotency-key": "k"}
    made = place.api.create("/accounts", place.coded("Once1"), headers=headers)
    assert place.api.create("/accounts", place.coded("Once1"), headers=headers) == made


def test_a_withdrawn_account_opens_nothing(app: EnrollApp) -> None:
    api = master(app)
    browser = app.browser(email=ADA)
    staff = next(a for a in api.items("/accounts", q="Staff") if a["name"] == "Staff")
    api("PATCH", f"/accounts/{staff['id']}", json={"active": False})
    assert browser.get("/request").status_code == 403


# The same rules in a set-up file


def test_a_declared_account_must_fit_its_form(app: EnrollApp) -> None:
    app.apply({"organizations": [{"name": "Physics"}]})
    form = SETUP["forms"][0] | {"organizations": ["Physics"]}
    with pytest.raises(DeclarationInvalid, match="not delegated to Example Hospital"):
        app.apply({"forms": [form]})
    rule = {"key": "groups", "values": ["staff"]}
    account = SETUP["forms"][0]["accounts"][0] | {"authorization": "idp_mapping", "idp_rules": [rule]}
    with pytest.raises(DeclarationInvalid, match="does not let people sign in through an identity provider"):
        app.apply({"forms": [SETUP["forms"][0] | {"accounts": [account]}]})


def test_all_that_a_set_up_says_of_forms_is_applied(app: EnrollApp) -> None:
    rule = {"key": "groups", "match_type": "CONTAINS", "values": ["staff"]}
    optics = {"name": "Optics", "email_domains": ["optics.physics.example"], "home_organization": "optics.example"}
    physics = {"name": "Physics", "email_domains": ["physics.example", "optics.physics.example"]}
    account = {
        "name": "Badge", "organization": "Physics", "department": "Optics", "profiles": ["Badge"],
        "csr_method": "provided_csr", "authorization": "idp_mapping", "idp_rules": [rule], "active": False,
    }  # fmt: skip
    more = {
        "extended_key_usages": ["clientAuth"], "idp_groups": ["Staff"], "notice_days": [10],
        "organizations": ["Physics"],
    }  # fmt: skip
    form = {"name": "Badges", "type": "client", "methods": ["idp"]}
    app.apply(
        {
            "organizations": [physics | {"home_organization": "Physics.Example", "departments": [optics]}],
            "profiles": [SETUP["profiles"][0] | more | {"name": "Badge"}],
            "forms": [form | {"organizations": ["Physics"], "accounts": [account]}],
        }
    )
    api = master(app)
    (organization,) = api.items("/organizations", q="Physics")
    (department,) = api.items("/departments", q="Optics")
    assert (organization["home_organization"], department["home_organization"]) == ("physics.example", "optics.example")
    (profile,) = api.items("/profiles", q="Badge")
    assert (profile["idp_groups"], profile["notice_days"]) == (["Staff"], [10])
    (made,) = api.items("/accounts", q="Badge")
    assert (made["idp_rules"], made["csr_method"], made["active"]) == ([rule], "provided_csr", False)
    app.apply({"organizations": [physics], "profiles": [SETUP["profiles"][0] | {"name": "Badge"}]})
    assert api.items("/organizations", q="Physics") == [organization]
    assert api.items("/profiles", q="Badge") == [profile]
