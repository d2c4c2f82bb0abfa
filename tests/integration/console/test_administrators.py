"""Administrators, identity providers, tokens and the audit log in the console."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.support.administrators import (
    IDP_METADATA,
    Api,
    Console,
    administrator,
    administrator_identity,
    console,
    master,
    page_key,
)
from tests.support.enroll_app import EnrollApp

from keystead_enroll.domain.administration import Administrator, Grant, Role

TYPES = ["client", "device", "ssl"]


def hospital(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.organizations()[0].id


def as_administrator(app: EnrollApp, who: Administrator) -> Console:
    visit = Console(app)
    assert visit.arrive(administrator_identity(app, who)).status_code == 303
    return visit


def roles(*places: str, types: list[str] = TYPES) -> dict[str, Any]:
    asked: dict[str, Any] = {"roles": str(len(places)), "methods": ["password"]}
    for number, place in enumerate(places):
        asked |= {f"grant-{number}": place, f"grant-{number}-types": types}
    return asked


ALAN = {"name": "Alan Turing", "email": "alan@example.org"}


def own_path(kind: str, page: str) -> str:
    found = re.search(rf"/{kind}/\w{{32}}(?=/)", page)
    assert found, page
    return found[0]


def test_an_administrator_is_made_with_roles_in_places(app: EnrollApp) -> None:
    visit, place = console(app), hospital(app)
    made = visit.follow(visit.send("/administrators/new", **ALAN, **roles(place, types=["ssl"])))
    assert "Organization administrator, Example Hospital" in made.text
    assert "only SSL certificates" in made.text
    (fact,) = app.facts("administrator_published")
    assert fact["invitation"] == 1


def test_an_administrator_who_has_not_come_yet_is_invited(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.follow(visit.send("/administrators/new", **ALAN, **roles(hospital(app)))).text
    assert ">Invited<" in page
    with app.enroll.transactions.read() as tx:
        alan = tx.administrator_by_email(ALAN["email"])
    assert alan
    as_administrator(app, alan)
    assert ">Invited<" not in visit.get(f"/administrators/{alan.id}").text


def test_one_more_role_is_asked_for_without_script(app: EnrollApp) -> None:
    visit, place = console(app), hospital(app)
    visit.get("/administrators/new")
    answer = visit.post("/administrators/new", **ALAN, **roles(place, types=["ssl"]), more_roles="2")
    page = visit.mistakes(answer)
    assert 'name="grant-1"' in page
    assert "Alan Turing" in page
    assert f'<option value="{place}" selected>' in page
    checked = re.findall(r'name="grant-(\d)-types" value="(\w+)" checked', page)
    assert checked == [("0", "ssl"), ("1", "client"), ("1", "device"), ("1", "ssl")]
    assert "field-error" not in page
    made = visit.follow(visit.post("/administrators/new", **ALAN, **roles(place, "mrao")))
    assert "Master administrator" in made.text


@pytest.mark.parametrize(("changes", "field"), [
    ({"email": "alan"}, "email"), ({"methods": []}, "methods"), ({"grant-0": ""}, "grant-0"),
    ({"grant-0-types": []}, "grant-0-types"), ({"grant-0": "nowhere"}, "grant-0"),
])  # fmt: skip
def test_what_is_wrong_stands_beside_its_question(app: EnrollApp, changes: dict[str, Any], field: str) -> None:
    visit = console(app)
    page = visit.mistakes(visit.send("/administrators/new", **(ALAN | roles(hospital(app)) | changes)))
    assert f'id="f-{field}-error"' in page


def test_an_officer_is_offered_only_what_is_theirs_to_give(app: EnrollApp) -> None:
    other = master(app).create("/organizations", {"name": "Physics"})
    visit = console(app, Grant(Role.RAO, hospital(app)))
    page = visit.get("/administrators/new").text
    assert 'value="mrao"' not in page
    assert other not in page
    assert 'id="f-grant-0-error"' in visit.mistakes(visit.send("/administrators/new", **ALAN, **roles("mrao")))


def test_an_administrator_is_deactivated_after_a_question_and_activated_again(app: EnrollApp) -> None:
    who, visit = administrator(app), console(app)
    theirs = as_administrator(app, who)
    assert theirs.get("/audit").status_code == 200
    assert "signed out at once" in visit.get(f"/administrators/{who.id}/deactivate").text
    assert "Not active" in visit.follow(visit.send(f"/administrators/{who.id}/deactivate")).text
    assert theirs.get("/audit").status_code == 303
    assert "Not active" not in visit.follow(visit.post(f"/administrators/{who.id}/activate")).text
    assert "The invitation is on its way." in visit.follow(visit.post(f"/administrators/{who.id}/invite")).text


def test_whoever_changes_themselves_keeps_their_roles(app: EnrollApp) -> None:
    who = administrator(app)
    visit = as_administrator(app, who)
    page = visit.get(f"/administrators/{who.id}/change").text
    assert 'name="grant-0"' not in page
    body = {"name": "New Name", "email": who.email, "methods": ["password"], "myself": "1"}
    assert "New Name" in visit.follow(visit.post(f"/administrators/{who.id}/change", **body)).text
    assert visit.post(f"/administrators/{who.id}/deactivate").status_code == 403
    smuggled = body | roles(hospital(app)) | {"myself": ""}
    assert visit.post(f"/administrators/{who.id}/change", **smuggled).status_code == 403


def test_administrators_of_other_places_are_not_there(app: EnrollApp) -> None:
    who = administrator(app)
    visit = console(app, Grant(Role.RAO, hospital(app)))
    for page in ("", "/change", "/deactivate"):
        assert visit.get(f"/administrators/{who.id}{page}").status_code == 404
    visit.get("/administrators/new")
    for page in ("/change", "/deactivate", "/activate", "/invite"):
        assert visit.post(f"/administrators/{who.id}{page}", **ALAN, **roles(hospital(app))).status_code == 404


SAML = {"name": "University", "kind": "saml", "metadata_url": "https://idp.example/", "may": ["for_persons"]}


def test_an_identity_provider_is_set_up_changed_and_deleted(app: EnrollApp) -> None:
    visit = console(app)
    made = visit.follow(
        visit.send("/identity-providers/new", **SAML, active="yes", attributes="mail = urn:mail\n", metadata_xml="")
    )
    assert "/auth/saml/metadata" in made.text
    assert "mail = urn:mail" in made.text
    own = own_path("identity-providers", made.text)
    changed = visit.follow(visit.send(f"{own}/change", **SAML | {"may": ["for_administrators"]}))
    assert "Not active" in changed.text
    assert "Deleted." in visit.follow(visit.send(f"{own}/delete")).text
    (last,) = [f for f in app.facts("identity_provider_published") if f["version"] == 3]
    assert last["withdrawn"] is True


@pytest.mark.parametrize(("changes", "field"), [
    ({"metadata_url": "http://x.example/"}, "metadata_url"), ({"attributes": "mail"}, "attributes"),
    ({"metadata_url": "", "metadata_xml": "<!DOCTYPE a><a/>"}, "metadata_xml"),
    ({"metadata_url": "", "metadata_xml": "Northwind sign-in"}, "metadata_xml"),
    ({"kind": ""}, "kind"),
])  # fmt: skip
def test_what_is_wrong_with_a_provider_stands_beside_its_question(
    app: EnrollApp, changes: dict[str, str], field: str
) -> None:
    visit = console(app)
    page = visit.mistakes(visit.send("/identity-providers/new", **(SAML | changes)))
    assert f'id="f-{field}-error"' in page


def test_large_metadata_is_taken_as_a_file_and_shown_again_with_a_mistake(app: EnrollApp) -> None:
    visit = console(app)
    visit.get("/identity-providers/new")
    sent = {
        "data": SAML | {"metadata_url": "", "form_token": visit.form_token},
        "headers": {"accept": "text/html", "origin": app.origin},
    }
    large = IDP_METADATA.replace("><", f"><!-- {'x' * 200_000} --><", 1).encode()
    files = {"metadata_file": ("idp.xml", large, "application/xml")}
    visit.follow(visit.client.post("/console/identity-providers/new", files=files, **sent))
    again = visit.client.post("/console/identity-providers/new", files=files, **sent)
    assert 'id="f-name-error"' in visit.mistakes(again)


def test_a_provider_is_asked_for_its_protocol_first_and_then_for_what_that_needs(app: EnrollApp) -> None:
    visit = console(app)
    first = visit.get("/identity-providers/new").text
    assert 'method="get"' in first
    assert "metadata" not in first.partition("<main")[2]
    saml = visit.get("/identity-providers/new?kind=saml").text
    assert f"{app.origin}/auth/saml/metadata" in saml
    assert 'name="client_id"' not in saml
    oidc = visit.get("/identity-providers/new?kind=oidc").text
    assert 'name="metadata_xml"' not in oidc


def test_the_redirect_address_that_is_told_before_is_that_of_the_provider_that_is_made(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.get("/identity-providers/new?kind=oidc").text
    told = re.search(r"/auth/oidc/(\w{32})/callback", page)
    assert told
    oidc = {
        "name": "Keycloak", "kind": "oidc", "issuer": "https://login.example", "client_id": "keystead",
        "client_secret_name": "keycloak", "may": ["for_persons"], "active": "yes", **page_key(page),
    }  # fmt: skip
    wrong = visit.mistakes(visit.post("/identity-providers/new", **oidc | {"issuer": "login"}))
    assert told[0] in wrong
    visit.follow(visit.post("/identity-providers/new", **oidc | page_key(wrong)))
    assert [provider["id"] for provider in master(app).items("/identity-providers")] == [told[1]]


def test_only_masters_see_identity_providers(app: EnrollApp) -> None:
    visit = console(app, Grant(Role.RAO, hospital(app)))
    visit.get("/persons/new")
    assert visit.post("/identity-providers/new", **SAML).status_code == 403


@pytest.mark.parametrize(("path", "what"), [
    ("/identity-providers", "set up identity providers"), ("/identity-providers/new", "set up identity providers"),
    ("/licence-terms", "see all licence terms"), ("/licence-terms/new", "publish licence terms"),
    ("/organizations/new", "create organizations"),
])  # fmt: skip
def test_a_page_for_masters_alone_says_so_to_others(app: EnrollApp, path: str, what: str) -> None:
    page = console(app, Grant(Role.RAO, hospital(app))).get(path)
    assert page.status_code == 403
    assert f"Only a master administrator may {what}." in page.text
    assert console(app).get(path).status_code == 200


def made_token(page: str) -> str:
    (secret,) = set(re.findall(r"ksa_[\w-]{43}", page))
    return secret


def test_a_token_is_shown_this_once_and_does_what_was_chosen(app: EnrollApp) -> None:
    visit, place = console(app), hospital(app)
    page = visit.send("/tokens/new", name="Night job", days="3", **roles(place, types=["ssl"]))
    assert page.headers["cache-control"] == "no-store"
    secret = made_token(page.text)
    (grant,) = Api(app, secret)("GET", "/me").json()["grants"]
    assert (grant["role"], grant["organization_id"], grant["certificate_types"]) == ("rao", place, ["ssl"])
    listed = visit.get("/tokens").text
    assert "Night job" in listed
    assert secret not in listed


def test_a_reload_of_the_page_with_a_new_token_makes_no_second_one(app: EnrollApp) -> None:
    visit = console(app)
    form = {"name": "Night job", "days": "3", **roles("")} | page_key(visit.get("/tokens/new").text)
    made_token(visit.post("/tokens/new", **form).text)
    again = visit.post("/tokens/new", **form)
    assert again.status_code == 200
    assert "was sent before" in again.text and "ksa_" not in again.text.replace("ksa_…", "")
    assert visit.get("/tokens").text.count("Night job") == 1
    made_token(visit.post("/tokens/new", **form | page_key(visit.get("/tokens/new").text)).text)


def test_a_token_without_a_choice_may_all_that_its_owner_may(app: EnrollApp) -> None:
    secret = made_token(console(app).send("/tokens/new", name="Job", days="3", **roles("")).text)
    assert [grant["role"] for grant in Api(app, secret)("GET", "/me").json()["grants"]] == ["mrao"]


def test_a_department_s_officer_has_tokens_of_their_own_and_revokes_them(app: EnrollApp) -> None:
    with app.enroll.transactions.read() as tx:
        part = tx.departments()[0]
    visit = console(app, Grant(Role.DRAO, part.organization_id, part.id))
    secret = made_token(visit.send("/tokens/new", name="Job", days="3", **roles("")).text)
    own = re.search(r"/tokens/\w{32}", visit.get("/tokens").text)
    assert own
    assert "opens nothing" in visit.follow(visit.send(f"{own[0]}/revoke")).text
    assert Api(app, secret)("GET", "/me").status_code == 401


def test_no_token_may_more_than_its_owner(app: EnrollApp) -> None:
    visit = console(app, Grant(Role.RAO, hospital(app)))
    page = visit.mistakes(visit.send("/tokens/new", name="Job", days="3", **roles("mrao")))
    assert 'id="f-grant-0-error"' in page


def test_tokens_of_others_are_not_there(app: EnrollApp) -> None:
    (token,) = master(app).items("/tokens")
    visit = console(app, Grant(Role.RAO, hospital(app)))
    assert token["id"] not in visit.get("/tokens/all").text
    assert visit.get(f"/tokens/{token['id']}").status_code == 404
    visit.get("/tokens/new")
    assert visit.post(f"/tokens/{token['id']}/revoke").status_code == 404


def test_the_audit_log_is_searched_shown_and_exported(app: EnrollApp) -> None:
    place = hospital(app)
    made = master(app).create("/organizations", {"name": "=Physics"})
    visit = console(app)
    listed = visit.get(f"/audit?q=target_id:{made}").text
    assert "organization.create" in listed
    assert "console.sign-in" not in listed
    own = re.search(r"/audit/\d+", listed)
    assert own
    assert made in visit.get(own[0]).text
    assert '"\'=Physics"' in visit.get("/audit/export.csv").text
    stranger = console(app, Grant(Role.RAO, place))
    assert stranger.get(own[0]).status_code == 404
    assert "Physics" not in stranger.get("/audit/export.csv").text


def test_histories_show_words_for_roles_and_ways_to_sign_in(app: EnrollApp) -> None:
    grants = [Grant(Role.RAO, hospital(app)).to_plain()]
    body = {"email": "marie.curie@lab.example.net", "name": "Marie Curie", "methods": ["password"], "grants": grants}
    made = master(app).create("/administrators", body)
    page = console(app).get(f"/administrators/{made}").text
    assert "<dd>Organization administrator, Example Hospital</dd>" in page
    assert "<dd>Password and one-time code</dd>" in page
    assert "rao" not in re.findall(r"<dd>([^<]*)</dd>", page) and "&#34;role&#34;" not in page


def test_nobody_reads_without_signing_in(app: EnrollApp) -> None:
    for path in ("/audit", "/audit/export.csv", "/persons/export.csv", "/tokens", "/administrators", "/persons/import"):
        answer = Console(app).get(path)
        assert (answer.status_code, "Hospital" in answer.text) == (303, False)
