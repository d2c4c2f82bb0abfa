"""Organizations and departments in the console."""

from __future__ import annotations

import re

from tests.support.administrators import console, master
from tests.support.enroll_app import EnrollApp

from keystead_enroll.domain.administration import Grant, Role


def test_an_organization_is_made_changed_and_deleted(app: EnrollApp) -> None:
    visit = console(app)
    made = visit.follow(visit.send("/organizations/new", name="Physics", email_domains="physics.example\n"))
    assert "Created." in made.text
    own = re.search(r"/console/organizations/(\w{32})/change", made.text)
    assert own
    path = f"/organizations/{own[1]}"
    changed = visit.follow(visit.send(f"{path}/change", name="Physics", dns_domains="physics.example"))
    assert "Saved." in changed.text
    assert "physics.example" in changed.text
    assert "Deleted." in visit.follow(visit.send(f"{path}/delete")).text
    assert visit.get(path).status_code == 404


def test_what_was_typed_is_kept_and_what_is_wrong_stands_beside_it(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.mistakes(
        visit.send("/organizations/new", name="", email_domains="not a domain", home_organization="x.org")
    )
    assert 'id="f-name-error"' in page
    assert 'id="f-email_domains-error"' in page
    assert "not a domain" in page
    assert 'value="x.org"' in page


def test_a_department_is_made_in_its_organization(app: EnrollApp) -> None:
    (hospital,) = master(app).items("/organizations")
    visit = console(app)
    page = visit.follow(
        visit.send(f"/departments/new?organization={hospital['id']}", organization_id=hospital["id"], name="Surgery")
    )
    assert "Surgery" in page.text


def test_an_officer_is_not_offered_what_is_not_theirs_to_do(app: EnrollApp) -> None:
    (hospital,) = master(app).items("/organizations")
    visit = console(app, Grant(Role.RAO, hospital["id"]))
    page = visit.get(f"/organizations/{hospital['id']}").text
    assert f"/console/organizations/{hospital['id']}/change" not in page
    assert "/console/departments/new" in page
    assert "/console/identity-providers" not in page
    for verb in ("change", "delete"):
        assert visit.get(f"/organizations/{hospital['id']}/{verb}").status_code == 403


def test_a_history_calls_other_things_by_their_names(app: EnrollApp) -> None:
    api = master(app)
    (hospital,) = api.items("/organizations")
    person = api.create(
        "/persons", {"organization_id": hospital["id"], "email": "ada@example.org", "name": "Ada Lovelace"}
    )
    page = console(app).get(f"/persons/{person}").text
    assert "Example Hospital" in page
    assert hospital["id"] not in page.split("<h2", 1)[1].rsplit("History", 1)[-1]
