"""Certificate profiles and licence terms through the API."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from sqlalchemy import select
from tests.support.administrators import Api, administrator, api_token, master, officer
from tests.support.enroll_app import SETUP, EnrollApp, issued, migrate, problem_code

from keystead_contracts.base import CertificateType
from keystead_enroll.adapters.administration_tables import audit_entries
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.certificates import key_usage
from keystead_enroll.domain.enrollment import LicenceTerms
from keystead_enroll.domain.key_usages import KeyUsage
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_kit.migrations import Migrations

PROFILE: dict[str, Any] = {
    "name": "Badge",
    "certificate_type": "client",
    "key_algorithms": ["ec-p256"],
    "term_days": [365],
    "subject": "CN={name}",
    "subject_alternative_names": ["email:{email}"],
}
CLIENT = frozenset({CertificateType.CLIENT})


def hospital(api: Api) -> str:
    return str(api.items("/organizations", q='"Example Hospital"')[0]["id"])


def refused(api: Api, **changes: Any) -> dict[str, str]:
    answer = api("POST", "/profiles", json=PROFILE | changes)
    assert answer.status_code == 422, answer.text
    fields: dict[str, str] = answer.json()["fields"]
    return fields


def test_a_master_makes_changes_and_deletes_a_profile(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/profiles", PROFILE | {"notice_days": [7, 30, 7], "idp_groups": ["Staff"]})
    shown = api("GET", f"/profiles/{made}").json()
    assert (shown["notice_days"], shown["idp_groups"], shown["connector"]) == ([30, 7], ["Staff"], "builtin")
    changed = api("PATCH", f"/profiles/{made}", json={"term_days": [90], "active": False}).json()
    assert (changed["term_days"], changed["active"], changed["subject"]) == ([90], False, "CN={name}")
    assert api("DELETE", f"/profiles/{made}").status_code == 204
    assert api("GET", f"/profiles/{made}").status_code == 404


def test_a_profile_whose_sample_does_not_lint_is_not_saved(app: EnrollApp) -> None:
    api = master(app)
    assert list(refused(api, subject_alternative_names=["uri:foo:bar"])) == ["subject_alternative_names"]
    assert api.items("/profiles", q="Badge") == []
    made = api.create("/profiles", PROFILE)
    answer = api("PATCH", f"/profiles/{made}", json={"policy_oids": ["2.999.1"]})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["policy_oids"])
    assert api("GET", f"/profiles/{made}").json()["policy_oids"] == []


def test_a_declared_profile_whose_sample_does_not_lint_is_not_applied(app: EnrollApp) -> None:
    with pytest.raises(DeclarationInvalid, match="profile “Person”: policy_oids: A sample certificate would violate"):
        app.apply({"profiles": [SETUP["profiles"][0] | {"policy_oids": ["2.999.1"]}]})


def test_what_is_wrong_is_said_field_by_field(app: EnrollApp) -> None:
    api = master(app)
    assert list(refused(api, subject="CN={shoe_size}")) == ["subject"]
    assert list(refused(api, extended_key_usages=["serverAuth"])) == ["extended_key_usages"]
    assert list(refused(api, key_usages=["digitalSignature", "keyEncipherment"])) == ["key_usages"]
    assert list(refused(api, key_usages=["keyCertSign"])) == ["key_usages.0"]
    assert list(refused(api, scope="machine")) == ["scope"]
    assert list(refused(api, connector="elsewhere")) == ["connector"]
    assert list(refused(api, organization_ids=["nobody"])) == ["organization_ids"]
    assert list(refused(api, id="mine", created_at=None)) == ["id", "created_at"]
    assert list(refused(api, name="Person")) == ["name"]


def test_a_profile_keeps_its_certificate_type(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/profiles", PROFILE)
    body = {"certificate_type": "ssl", "subject": "CN={fqdn}", "subject_alternative_names": []}
    answer = api("PATCH", f"/profiles/{made}", json=body)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["certificate_type"])


def test_a_profile_in_use_stays(app: EnrollApp) -> None:
    api = master(app)
    answer = api("DELETE", f"/profiles/{app.profile('Machine')}")
    assert (answer.status_code, problem_code(answer)) == (409, "conflict")


def test_officers_see_the_profiles_of_theirs_and_of_their_types(app: EnrollApp) -> None:
    api = master(app)
    own, other = api.create("/organizations", {"name": "Physics"}), hospital(api)
    mine = api.create("/profiles", PROFILE | {"name": "Mine", "organization_ids": [own, other]})
    theirs = api.create("/profiles", PROFILE | {"name": "Theirs", "organization_ids": [other]})
    rao = officer(app, Grant(Role.RAO, own, certificate_types=CLIENT))
    assert [p["name"] for p in rao.items("/profiles")] == ["Mine", "Person", "Person in TPM"]
    assert rao("GET", f"/profiles/{mine}").json()["organization_ids"] == [own]
    assert rao("GET", f"/profiles/{theirs}").status_code == 404
    for method, body in (("PATCH", {"name": "X"}), ("DELETE", None)):
        assert rao(method, f"/profiles/{theirs}", json=body).status_code == 404
        assert rao(method, f"/profiles/{mine}", json=body).status_code == 403
    assert rao("POST", "/profiles", json=PROFILE | {"organization_ids": [own]}).status_code == 403


def test_extended_key_usages_stand_in_the_certificate(app: EnrollApp) -> None:
    api = master(app)
    usages = {"extended_key_usages": ["clientAuth", "smartcardLogon"]}
    assert api("PATCH", f"/profiles/{app.profile('Person')}", json=usages).status_code == 200
    issued(app)
    certificate = x509.load_der_x509_certificate(app.certificates()[0].der)
    found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(found) == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SMARTCARD_LOGON]


def test_key_usages_stand_in_the_certificate(app: EnrollApp) -> None:
    api = master(app)
    usages = {"key_usages": ["contentCommitment", "digitalSignature"]}
    assert api("PATCH", f"/profiles/{app.profile('Person')}", json=usages).json()["key_usages"] == usages["key_usages"]
    issued(app)
    certificate = x509.load_der_x509_certificate(app.certificates()[0].der)
    found = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert found == key_usage([KeyUsage.DIGITAL_SIGNATURE, KeyUsage.CONTENT_COMMITMENT])


DECIPHERS: dict[str, Any] = {"key_usages": ["digitalSignature", "keyEncipherment"], "key_algorithms": ["rsa-2048"]}


def test_keys_of_the_agent_are_not_said_to_decipher(app: EnrollApp) -> None:
    api = master(app)
    answer = api("PATCH", f"/profiles/{app.profile('Person')}", json=DECIPHERS)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["key_usages"])
    assert api("GET", f"/profiles/{app.profile('Person')}").json()["key_usages"] == []
    made = api.create("/profiles", PROFILE | DECIPHERS)
    (staff,) = api.items("/accounts", q="Careful")
    answer = api("PATCH", f"/accounts/{staff['id']}", json={"profile_ids": [made]})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["profile_ids"])
    own = {"profile_ids": [made], "csr_method": "provided_csr"}
    assert api("PATCH", f"/accounts/{staff['id']}", json=own).status_code == 200


def test_a_set_up_file_has_no_key_of_the_agent_decipher(app: EnrollApp) -> None:
    with pytest.raises(DeclarationInvalid, match="profile “Person”: key_usages: The agent makes the keys of “"):
        app.apply({"profiles": [SETUP["profiles"][0] | DECIPHERS]})
    mail = {"name": "Mail", "type": "client", "subject": "CN={name}", "term_days": [365]} | DECIPHERS
    account = {"name": "Mail", "organization": "Example Hospital", "profiles": ["Mail"]}
    form = {"name": "Mail", "type": "client", "accounts": [account]}
    with pytest.raises(DeclarationInvalid, match="account “Mail” of form “Mail”: profiles: “Mail” is for keys that"):
        app.apply({"profiles": [mail], "forms": [form]})
    app.apply({"profiles": [mail], "forms": [form | {"accounts": [account | {"csr_method": "provided_csr"}]}]})


def test_a_withdrawn_profile_is_not_offered_and_not_taken(app: EnrollApp) -> None:
    browser = app.browser()
    assert "Person in TPM" in browser.get("/request").text
    api = master(app)
    api("PATCH", f"/profiles/{app.profile('Person in TPM')}", json={"active": False})
    assert "Person in TPM" not in browser.get("/request").text
    browser.mistakes(browser.request("Person in TPM"))


def test_an_organization_that_something_is_delegated_to_stays(app: EnrollApp) -> None:
    api = master(app)
    own = api.create("/organizations", {"name": "Physics"})
    made = api.create("/profiles", PROFILE | {"organization_ids": [own]})
    assert api("DELETE", f"/organizations/{own}").status_code == 409
    api("DELETE", f"/profiles/{made}")
    assert api("DELETE", f"/organizations/{own}").status_code == 204


def test_each_change_of_a_profile_is_in_the_audit_log(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/profiles", PROFILE)
    api("PATCH", f"/profiles/{made}", json={"term_days": [90]})
    api("DELETE", f"/profiles/{made}")
    with app.enroll.database.read() as session:
        query = select(audit_entries.c.action, audit_entries.c.details).where(audit_entries.c.target_id == made)
        create, change, delete = session.execute(query.order_by(audit_entries.c.id)).all()
    assert [create.action, change.action, delete.action] == ["profile.create", "profile.change", "profile.delete"]
    assert change.details == {"term_days": [90]}


def test_licence_terms_are_published_and_never_changed(app: EnrollApp) -> None:
    api = master(app)
    assert api("POST", "/licences", json={"version": "2027", "text": "Be kind."}).status_code == 201
    again = api("POST", "/licences", json={"version": "2026-11", "text": "Be bad."})
    assert (again.status_code, list(again.json()["fields"])) == (422, ["version"])
    newest, before = api("GET", "/licences").json()["items"]
    assert (newest["version"], newest["current"]) == ("2027", True)
    assert (before["version"], before["text"], before["current"]) == ("2026-11", "Be good.", False)
    assert "Be kind." in app.browser().get("/request?profile=" + app.profile("Person")).text


def test_licence_terms_sent_twice_are_published_once(app: EnrollApp) -> None:
    api, headers = master(app), {"idempotency-key": "k"}
    for _ in range(2):
        answer = api("POST", "/licences", json={"version": "2027", "text": "Be kind."}, headers=headers)
        assert (answer.status_code, answer.json()) == (201, {"version": "2027"})


def current(app: EnrollApp) -> list[str]:
    """The versions that persons are to accept."""
    with app.enroll.transactions.read() as tx:
        return [terms.version for terms in tx.licences() if terms.current]


def test_of_two_versions_that_are_published_at_once_one_is_current(app: EnrollApp) -> None:
    start, answers = threading.Barrier(2), []
    token = api_token(app, administrator(app))

    def publish(version: str) -> None:
        start.wait()
        answers.append(Api(app, token)("POST", "/licences", json={"version": version, "text": "Be kind."}).status_code)

    threads = [threading.Thread(target=publish, args=(version,)) for version in ("2027-a", "2027-b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) in ([201, 201], [201, 409])
    assert len(current(app)) == 1


def test_the_database_takes_no_second_current_version(app: EnrollApp) -> None:
    with app.enroll.transactions.write() as tx:
        assert not tx.add_first(LicenceTerms("2027", "Be kind."))


def test_of_two_current_versions_of_an_earlier_release_the_newer_stays(app: EnrollApp) -> None:
    migrate(app, Migrations.downgrade, "0006")
    now = app.clock.now()
    with app.enroll.transactions.write() as tx:
        for version in ("2027-a", "2027-b"):
            tx.add(LicenceTerms(version, "Be kind.", published_at=now))
    migrate(app, Migrations.upgrade, "head")
    assert current(app) == ["2027-b"]


def test_a_set_up_file_takes_an_earlier_version_back(app: EnrollApp) -> None:
    for version in ("2027", "2025", "2027"):
        app.apply({"licence": {"version": version, "text": "Be kind."}})
        assert current(app) == [version]


def test_licence_terms_are_a_master_s(app: EnrollApp) -> None:
    rao = officer(app, Grant(Role.RAO, hospital(master(app))))
    assert rao("GET", "/licences").status_code == 403
    assert rao("POST", "/licences", json={"version": "2027", "text": "Be kind."}).status_code == 403
