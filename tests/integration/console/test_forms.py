"""Enrollment forms, accounts, certificate profiles and licence terms in the console."""

from __future__ import annotations

import re

from tests.support.administrators import console, master
from tests.support.enroll_app import CODE, ORIGIN, EnrollApp

from keystead_enroll.domain.administration import Grant, Role


def hospital(app: EnrollApp) -> str:
    return str(master(app).items("/organizations", q='"Example Hospital"')[0]["id"])


def form(app: EnrollApp, name: str) -> dict[str, str]:
    return next(found for found in master(app).items("/forms") if found["name"] == name)


def created(kind: str, page: str) -> str:
    """The id of what the page is about."""
    found = re.search(rf"/console/{kind}/(\w{{32}})[/\"]", page)
    assert found
    return found[1]


BADGES = {"name": "Badges", "certificate_type": "client", "delegation": "all", "methods": ["email", "idp"]}


def test_a_form_is_made_configured_and_given_an_account(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.follow(visit.send("/forms/new", **BADGES)).text
    made = created("forms", page)
    assert f"{ORIGIN}/e/{form(app, 'Badges')['uri_extension']}" in page
    changed = visit.follow(
        visit.send(f"/forms/{made}/change", **BADGES, help_text="Ask the desk.", help_link="https://desk.example")
    )
    assert "Saved." in changed.text
    assert "Ask the desk." in visit.get(f"/forms/{made}/configuration").text
    assert "Ask the desk." in visit.get(f"/forms/{made}/preview").text
    account = {
        "form_id": made, "name": "Everybody", "place": hospital(app), "profile_ids": app.profile("Person"),
        "csr_method": "keystead_agent", "approval": "automatic", "active": "yes",
    }  # fmt: skip
    code = account | {"authorization": "access_code", "access_code": CODE}
    wrong = visit.mistakes(visit.send(f"/accounts/new?form={made}", **code))
    assert "Another account has this access code already. Choose another access code." in wrong
    assert 'value="Everybody"' in wrong
    assert re.search(rf'value="{app.profile("Person")}" checked', wrong)
    shown = visit.follow(visit.send(f"/accounts/new?form={made}", **(code | {"access_code": "Fresh1"})))
    assert "Everybody" in shown.text
    assert "Fresh1" not in visit.get(f"/accounts/{created('accounts', shown.text)}").text


def test_a_new_address_is_asked_for_once_and_shown(app: EnrollApp) -> None:
    visit, staff = console(app), form(app, "Staff")
    assert "leads nowhere from then on" in visit.get(f"/forms/{staff['id']}/uri-extension").text
    page = visit.follow(visit.post(f"/forms/{staff['id']}/uri-extension")).text
    assert staff["uri_extension"] not in page
    assert form(app, "Staff")["url"] in page


def test_a_form_is_withdrawn_and_offered_again(app: EnrollApp) -> None:
    visit, staff = console(app), form(app, "Staff")
    assert "Withdrawn." in visit.follow(visit.send(f"/forms/{staff['id']}/withdraw")).text
    assert app.client().get(f"/e/{staff['uri_extension']}").status_code == 404
    assert "Offered again." in visit.follow(visit.post(f"/forms/{staff['id']}/offer")).text
    assert app.client().get(f"/e/{staff['uri_extension']}").status_code == 303


def test_a_form_for_nobody_in_particular_is_for_nobody(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.mistakes(visit.send("/forms/new", **(BADGES | {"delegation": "listed"})))
    assert "Check at least one organization." in page


def test_a_profile_is_made_changed_and_refused_if_its_sample_does_not_lint(app: EnrollApp) -> None:
    visit = console(app)
    fields = {
        "name": "Badge", "certificate_type": "client", "active": "yes", "subject": "CN={name}",
        "subject_alternative_names": "email:{email}", "key_algorithms": ["ec-p256", "rsa-2048"],
        "term_days": "365, 90", "notice_days": "30", "renewal_window_days": "30", "minimum_assurance": "claimed",
        "delegation": "all", "description": "For doors.",
    }  # fmt: skip
    wrong = visit.mistakes(visit.send("/profiles/new", **(fields | {"policy_oids": "2.999.1"})))
    assert 'id="f-policy_oids-error"' in wrong
    assert "A sample certificate would violate RFC 5280" in wrong
    assert 'value="rsa-2048" checked' in wrong
    page = visit.follow(visit.send("/profiles/new", **fields)).text
    made = created("profiles", page)
    saved = visit.follow(visit.send(f"/profiles/{made}/change", **(fields | {"term_days": "7", "active": ""})))
    assert "Saved." in saved.text
    assert "Withdrawn" in saved.text
    assert "Deleted." in visit.follow(visit.send(f"/profiles/{made}/delete")).text


def test_rules_are_typed_one_by_one_and_kept(app: EnrollApp) -> None:
    visit, api = console(app), master(app)
    made = api.create("/forms", {"name": "Mapped", "certificate_type": "client", "methods": ["idp"]})
    fields = {
        "form_id": made, "name": "Faculty", "place": hospital(app), "profile_ids": app.profile("Person"),
        "csr_method": "keystead_agent", "approval": "automatic", "active": "yes", "authorization": "idp_mapping",
    }  # fmt: skip
    wrong = visit.mistakes(visit.send(f"/accounts/new?form={made}", **fields))
    assert 'id="f-rule_key_0-error"' in wrong
    rule = {"rule_key_0": "groups", "rule_match_0": "CONTAINS", "rule_values_0": "staff\nfaculty"}
    page = visit.follow(visit.send(f"/accounts/new?form={made}", **fields, **rule)).text
    account = api.items("/accounts", q=f"form_id:{made}")[0]
    assert account["idp_rules"] == [{"key": "groups", "match_type": "CONTAINS", "values": ["staff", "faculty"]}]
    assert "Faculty" in page
    assert "groups contains one of: staff, faculty" in visit.get(f"/accounts/{account['id']}").text
    again = visit.get(f"/accounts/{account['id']}/change").text
    assert "staff\nfaculty</textarea>" in again


def test_an_officer_is_offered_their_own_organization_and_no_change_of_what_is_not_theirs(app: EnrollApp) -> None:
    api = master(app)
    own = api.create("/organizations", {"name": "Physics"})
    visit = console(app, Grant(Role.RAO, own))
    staff = form(app, "Staff")
    page = visit.get(f"/forms/{staff['id']}").text
    assert f"/console/forms/{staff['id']}/change" not in page
    assert "Generate a new address" not in page
    for path in ("change", "delete", "uri-extension", "withdraw"):
        assert visit.get(f"/forms/{staff['id']}/{path}").status_code == 403
    offered = visit.get("/forms/new").text
    assert "Physics" in offered
    assert "Example Hospital" not in offered
    places = visit.get(f"/accounts/new?form={staff['id']}").text
    assert "Example Hospital" not in places
    assert visit.get("/licence-terms").status_code == 403
    assert visit.get("/profiles/new").status_code == 403
    assert visit.get(f"/profiles/{app.profile('Person')}/change").status_code == 403


def test_what_is_outside_of_the_scope_does_not_exist(app: EnrollApp) -> None:
    api = master(app)
    own, other = api.create("/organizations", {"name": "Physics"}), hospital(app)
    theirs = api.create("/forms", {"name": "Theirs", "certificate_type": "client", "organization_ids": [other]})
    account = api.items("/accounts", q="Staff")[0]["id"]
    visit = console(app, Grant(Role.RAO, own))
    for tab in ("", "/configuration", "/accounts", "/preview", "/change", "/delete", "/uri-extension", "/withdraw"):
        assert visit.get(f"/forms/{theirs}{tab}").status_code == 404
    for path in (f"/forms/{theirs}/offer", f"/forms/{theirs}/withdraw", f"/forms/{theirs}/uri-extension"):
        visit.get("/forms/new")
        assert visit.post(path).status_code == 404
    for tab in ("", "/change", "/delete"):
        assert visit.get(f"/accounts/{account}{tab}").status_code == 404
    assert visit.get(f"/accounts/new?form={theirs}").status_code == 404


def test_a_form_token_is_needed_for_every_deed(app: EnrollApp) -> None:
    visit, staff = console(app), form(app, "Staff")
    for path in (f"/forms/{staff['id']}/uri-extension", f"/forms/{staff['id']}/withdraw", "/licence-terms/publish"):
        assert visit.post(path, form_token="forged").status_code == 403
    assert form(app, "Staff") == staff


def test_licence_terms_are_published(app: EnrollApp) -> None:
    visit = console(app)
    wrong = visit.mistakes(visit.send("/licence-terms/new", version="2026-11", text="Be bad."))
    assert 'id="f-version-error"' in wrong
    asked = visit.send("/licence-terms/new", version="2027", text="Be kind.")
    assert "Be kind." in asked.text
    assert "enrollment forms are offered now" in asked.text
    assert "Be kind." not in visit.get("/licence-terms").text
    page = visit.follow(visit.post("/licence-terms/publish", version="2027", text="Be kind.")).text
    assert "Be kind." in page
    assert "Be good." in page


def test_licence_terms_are_gone_over_again_after_their_preview(app: EnrollApp) -> None:
    visit = console(app)
    visit.send("/licence-terms/new", version="2027", text="Be kind.")
    again = visit.post("/licence-terms/publish", version="2027", text="Be kind.", again="1")
    assert "Be kind.</textarea>" in again.text
    assert "Superseded" not in visit.get("/licence-terms").text


def test_a_preview_that_came_too_late_says_so_beside_the_version(app: EnrollApp) -> None:
    visit = console(app)
    visit.send("/licence-terms/new", version="2027", text="Be kind.")
    visit.follow(visit.post("/licence-terms/publish", version="2027", text="Be kind."))
    late = visit.post("/licence-terms/publish", version="2027", text="Be quick.")
    assert late.status_code == 422
    assert 'id="f-version-error"' in late.text


def test_a_rule_that_is_left_empty_keeps_a_browser_from_nothing(app: EnrollApp) -> None:
    api = master(app)
    made = api.create("/forms", {"name": "Mapped", "certificate_type": "client", "methods": ["idp"]})
    page = console(app).get(f"/accounts/new?form={made}").text
    assert page.count('<option value="MATCHES" selected>') == 3


NOBODY = "Nobody can sign in until an identity provider"


def test_a_form_through_which_nobody_can_sign_in_says_so_until_a_provider_fits(app: EnrollApp) -> None:
    visit, api = console(app), master(app)
    own, other = hospital(app), api.create("/organizations", {"name": "Physics"})
    wanted = {"name": "Mapped", "certificate_type": "client", "organization_ids": [own]}
    made = api.create("/forms", wanted | {"methods": ["idp"]})
    both = api.create("/forms", wanted | {"name": "Both", "methods": ["idp", "email"]})
    page = visit.get(f"/forms/{made}").text
    assert NOBODY in page and 'href="/console/identity-providers"' in page
    assert NOBODY not in visit.get(f"/forms/{both}").text
    officer = console(app, Grant(Role.RAO, own)).get(f"/forms/{made}").text
    assert "A master administrator sets it up" in officer
    provider = {"name": "SSO", "kind": "saml", "metadata_url": "https://idp.example.org/metadata"}
    api.create("/identity-providers", provider | {"organization_ids": [other]})
    api.create("/identity-providers", provider | {"name": "Off", "organization_ids": [own], "active": False})
    api.create("/identity-providers", provider | {"name": "Us", "for_persons": False, "for_administrators": True})
    assert NOBODY in visit.get(f"/forms/{made}").text
    api.create("/identity-providers", provider | {"name": "Right", "organization_ids": [own]})
    assert NOBODY not in visit.get(f"/forms/{made}").text


def test_a_provider_for_others_than_the_accounts_lets_nobody_in(app: EnrollApp) -> None:
    visit, api = console(app), master(app)
    other = api.create("/organizations", {"name": "Physics"})
    made = api.create("/forms", {"name": "Mapped", "certificate_type": "client", "methods": ["idp"]})
    provider = {"name": "SSO", "kind": "saml", "metadata_url": "https://idp.example.org/metadata"}
    api.create("/identity-providers", provider | {"organization_ids": [other]})
    assert NOBODY not in visit.get(f"/forms/{made}").text
    account = {"form_id": made, "name": "Everybody", "organization_id": hospital(app)}
    api.create("/accounts", account | {"profile_ids": [app.profile("Person")]})
    assert NOBODY in visit.get(f"/forms/{made}").text


def test_a_form_without_an_account_asks_for_one(app: EnrollApp) -> None:
    visit = console(app)
    made = created("forms", visit.follow(visit.send("/forms/new", **BADGES)).text)
    page = visit.get(f"/forms/{made}").text
    assert "Nobody can use it yet: add an account." in page
    assert f'href="/console/accounts/new?form={made}"' in page
    assert "Nobody can use it yet" not in visit.get(f"/forms/{form(app, 'Staff')['id']}").text


def test_mistakes_are_told_in_the_words_of_the_page(app: EnrollApp) -> None:
    visit = console(app)
    made = created("forms", visit.follow(visit.send("/forms/new", **BADGES)).text)
    assert "Choose at least one." in visit.mistakes(visit.send("/forms/new", **BADGES | {"methods": []}))
    account = {
        "form_id": made, "name": "Everybody", "place": hospital(app), "profile_ids": [], "csr_method": "keystead_agent",
        "approval": "automatic", "active": "yes", "authorization": "access_code", "access_code": "no spaces",
    }  # fmt: skip
    page = visit.mistakes(visit.send(f"/accounts/new?form={made}", **account))
    assert "Use letters and digits only, at most 255 of them." in page
    assert "Choose at least one." in page


def test_an_access_code_is_not_called_optional(app: EnrollApp) -> None:
    visit = console(app)
    made = created("forms", visit.follow(visit.send("/forms/new", **BADGES)).text)
    (label,) = re.findall(r'<label for="f-access_code">(.*?)</label>', visit.get(f"/accounts/new?form={made}").text)
    assert "optional" not in label


def test_all_mistakes_of_an_account_are_told_at_once(app: EnrollApp) -> None:
    visit = console(app)
    made = created("forms", visit.follow(visit.send("/forms/new", **BADGES)).text)
    account = {
        "form_id": made, "name": "x", "place": "", "profile_ids": [], "csr_method": "keystead_agent",
        "approval": "automatic", "active": "yes", "authorization": "access_code", "access_code": "",
    }  # fmt: skip
    page = visit.mistakes(visit.send(f"/accounts/new?form={made}", **account))
    for field in ("name", "place", "profile_ids", "access_code"):
        assert f'id="f-{field}-error"' in page
        assert f'<a href="#f-{field}">' in page
    assert "4 things need another look" in page
    rules = account | {
        "authorization": "idp_mapping", "rule_key_0": "groups", "rule_values_0": "", "rule_key_1": "",
        "rule_values_1": "staff",
    }  # fmt: skip
    page = visit.mistakes(visit.send(f"/accounts/new?form={made}", **rules))
    for field in ("name", "place", "profile_ids", "rule_values_0", "rule_key_1"):
        assert f'id="f-{field}-error"' in page


def test_all_mistakes_of_a_profile_are_told_at_once(app: EnrollApp) -> None:
    visit = console(app)
    fields = {
        "name": "Person", "certificate_type": "client", "subject": "CN={nonsense}", "policy_oids": "2.999.1",
        "subject_alternative_names": "fax:{email}", "key_algorithms": [], "term_days": "0", "notice_days": "30",
        "renewal_window_days": "30", "minimum_assurance": "claimed", "delegation": "listed", "organization_ids": [],
        "extended_key_usages": [], "key_usages": ["keyCertSign"],
    }  # fmt: skip
    page = visit.mistakes(visit.send("/profiles/new", **fields))
    wrong = ("name", "subject", "subject_alternative_names", "key_algorithms", "term_days", "organization_ids")
    for field in (*wrong, "key_usages"):
        assert f'id="f-{field}-error"' in page
    assert '<a href="#f-subject">Subject</a>: ' in page


def test_looking_for_more_mistakes_changes_nothing(app: EnrollApp) -> None:
    visit, staff = console(app), form(app, "Staff")
    changed = {"name": "", "delegation": "all", "methods": ["email"], "help_text": "Ask the desk."}
    assert 'id="f-name-error"' in visit.mistakes(visit.send(f"/forms/{staff['id']}/change", **changed))
    assert form(app, "Staff") == staff
