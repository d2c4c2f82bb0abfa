"""Persons in the console."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any

from tests.support.administrators import Console, console, master, page_key
from tests.support.enroll_app import PAGE, EnrollApp

from keystead_contracts.base import CertificateType
from keystead_enroll.domain.administration import Grant, Role
from keystead_kit.passwords import verify_password

CSV = b"email,name,organization\nada@example.org,Ada,Example Hospital\nbob,Bob,Example Hospital\n"


def places(app: EnrollApp) -> tuple[str, str]:
    with app.enroll.transactions.read() as tx:
        return tx.organizations()[0].id, tx.departments()[0].id


def ada(app: EnrollApp, **changes: Any) -> str:
    organization_id, department_id = places(app)
    body = {
        "organization_id": organization_id,
        "department_id": department_id,
        "email": "ada@example.org",
        "name": "Ada",
    }
    return master(app).create("/persons", body | changes)


def upload(visit: Console, content: bytes, **fields: str) -> Any:
    visit.get("/persons/import")
    return visit.client.post(
        "/console/persons/import",
        data={"form_token": visit.form_token} | fields,
        files={"file": ("persons.csv", content, "text/csv")},
        headers=PAGE | {"origin": visit.app.origin},
    )


def test_a_person_is_made_changed_and_deleted(app: EnrollApp) -> None:
    visit, (organization_id, department_id) = console(app), places(app)
    place = f"{organization_id}/{department_id}"
    made = visit.follow(visit.send("/persons/new", name="Ada Lovelace", email="ada@example.org", place=place))
    assert "Example Hospital, Radiology" in made.text
    own = re.search(r"/persons/\w{32}(?=/change)", made.text)
    assert own
    changed = visit.follow(
        visit.send(f"{own[0]}/change", name="Ada L.", email="ada@example.org", place=organization_id)
    )
    assert "Ada L." in changed.text
    assert "Deleted." in visit.follow(visit.send(f"{own[0]}/delete")).text


def test_what_is_wrong_stands_beside_its_question(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.mistakes(visit.send("/persons/new", name="Ada", email="not an address", place=places(app)[0]))
    assert 'id="f-email-error"' in page
    assert 'value="not an address"' in page


def test_a_place_that_is_not_the_officer_s_is_said_beside_the_place(app: EnrollApp) -> None:
    other = master(app).create("/organizations", {"name": "Physics"})
    visit = console(app, Grant(Role.RAO, places(app)[0]))
    assert other not in visit.get("/persons/new").text
    page = visit.mistakes(visit.send("/persons/new", name="Ada", email="ada@example.org", place=other))
    assert 'id="f-place-error"' in page


def test_a_new_secret_id_is_shown_this_once(app: EnrollApp) -> None:
    visit, own = console(app), f"/persons/{ada(app)}"
    page = visit.send(f"{own}/secret-id")
    assert page.headers["cache-control"] == "no-store"
    (secret,) = set(re.findall(r"\b[a-z2-9]{5}(?:-[a-z2-9]{5}){3}\b", page.text))
    newest = max(app.facts("person_published"), key=lambda fact: fact["version"])
    assert verify_password(newest["secret_id_hash"], secret)
    assert secret not in visit.get(own).text
    assert "They have none." in visit.follow(visit.send(f"{own}/secret-id/remove")).text


def test_a_reload_of_the_page_with_a_new_secret_id_makes_no_other_one(app: EnrollApp) -> None:
    visit, own = console(app), f"/persons/{ada(app)}"
    key = page_key(visit.get(f"{own}/secret-id").text)
    visit.post(f"{own}/secret-id", **key)
    told = len(app.facts("person_published"))
    again = visit.post(f"{own}/secret-id", **key)
    assert "was sent before" in again.text
    assert len(app.facts("person_published")) == told


def test_a_person_is_invited_to_a_form_that_they_can_use(app: EnrollApp) -> None:
    visit, own = console(app), f"/persons/{ada(app)}"
    page = visit.get(f"{own}/invite").text
    (staff,) = re.findall(r'<option value="(\w+)">Staff</option>', page)
    assert "The invitation is on its way." in visit.follow(visit.send(f"{own}/invite", form_id=staff)).text
    assert len(app.facts("person_invited")) == 1


def test_whoever_no_form_has_an_account_for_is_invited_to_nothing_and_told_why(app: EnrollApp) -> None:
    visit, api = console(app), master(app)
    other = api.create("/organizations", {"name": "Physics"})
    lonely = api.create("/persons", {"name": "Bob", "email": "bob@example.org", "organization_id": other})
    page = visit.get(f"/persons/{lonely}/invite").text
    assert "No form has an account that Bob could use" in page
    assert 'href="/console/forms"' in page
    assert 'name="form_id"' not in page


def test_a_check_of_a_file_tells_what_would_happen_and_changes_nothing(app: EnrollApp) -> None:
    visit = console(app)
    page = upload(visit, CSV, check="1").text
    assert "Nothing was changed" in page
    assert re.search(r"Left out</dt>\s*<dd>1\b", page)
    assert "is not an e-mail address" in page
    assert master(app).items("/persons") == []


def test_a_file_is_imported(app: EnrollApp) -> None:
    page = upload(console(app), CSV).text
    assert "The file was imported: 1 person added or changed. Left out is line 3; why stands below." in page
    assert [person["email"] for person in master(app).items("/persons")] == ["ada@example.org"]


def test_a_file_that_cannot_be_read_is_told_beside_its_question(app: EnrollApp) -> None:
    for content in (b"", b"colour\nred\n", b"x" * (5 * 1024 * 1024 + 1)):
        answer = upload(console(app), content)
        assert answer.status_code == 422
        assert 'id="f-file-error"' in answer.text


def carried(page: str) -> str:
    found = re.search(r'name="checked_file" value="([^"]+)"', page)
    assert found, page
    return found[1]


def test_a_file_that_was_checked_is_imported_without_choosing_it_again(app: EnrollApp) -> None:
    visit = console(app)
    page = upload(visit, CSV, check="1").text
    assert "Nothing was changed yet: 1 person would be added or changed. Left out is line 3" in page
    assert master(app).items("/persons") == []
    assert "The file was imported: 1 person" in visit.post("/persons/import", checked_file=carried(page)).text
    assert [person["email"] for person in master(app).items("/persons")] == ["ada@example.org"]


def test_a_checked_file_that_would_unpack_to_more_than_a_file_may_have_is_refused(app: EnrollApp) -> None:
    visit = console(app)
    visit.get("/persons/import")
    for content in (zlib.compress(bytes(50 * 1024 * 1024)), b"no file"):
        answer = visit.post("/persons/import", checked_file=base64.b64encode(content).decode())
        assert answer.status_code == 422
        assert 'id="f-file-error"' in answer.text


def test_a_checked_file_that_lost_its_end_on_the_way_is_not_imported_in_part(app: EnrollApp) -> None:
    visit = console(app)
    visit.get("/persons/import")
    whole = zlib.compress(("email,name,organization\n" + "ada@example.org,Ada,Example Hospital\n").encode())
    for content in (whole[:-1], whole[:-8], b""):
        answer = visit.post("/persons/import", checked_file=base64.b64encode(content).decode())
        assert answer.status_code == 422
    assert master(app).items("/persons") == []


def test_a_file_with_nothing_to_import_offers_no_import(app: EnrollApp) -> None:
    page = upload(console(app), b"email,name,organization\nbob,Bob,Example Hospital\n", check="1").text
    assert "checked_file" not in page


def test_no_other_site_imports_a_file(app: EnrollApp) -> None:
    visit = console(app)
    visit.get("/persons/import")
    for origin, token in (("https://evil.example", visit.form_token), (app.origin, "forged")):
        answer = visit.client.post(
            "/console/persons/import", data={"form_token": token}, files={"file": ("a.csv", CSV)},
            headers=PAGE | {"origin": origin},
        )  # fmt: skip
        assert answer.status_code == 403
    assert master(app).items("/persons") == []


def test_an_export_holds_what_the_search_finds(app: EnrollApp) -> None:
    ada(app)
    ada(app, email="bob@example.org", name="=Bob")
    text = console(app).get("/persons/export.csv?q=email:bob").text
    assert '"\'=Bob"' in text
    assert "ada@example.org" not in text


def test_an_officer_of_other_certificates_is_offered_nothing(app: EnrollApp) -> None:
    own = f"/persons/{ada(app)}"
    visit = console(app, Grant(Role.RAO, places(app)[0], certificate_types=frozenset({CertificateType.SSL})))
    assert f"/console{own}/change" not in visit.get(own).text
    for page in ("secret-id", "invite", "secret-id/remove"):
        assert visit.get(f"{own}/{page}").status_code == 403


def test_persons_of_other_organizations_are_not_there(app: EnrollApp) -> None:
    own = f"/persons/{ada(app)}"
    visit = console(app, Grant(Role.RAO, master(app).create("/organizations", {"name": "Physics"})))
    for page in ("", "/change", "/delete", "/secret-id", "/secret-id/remove", "/invite"):
        assert visit.get(f"{own}{page}").status_code == 404
    visit.get("/persons/new")
    for page in ("/change", "/delete", "/secret-id", "/secret-id/remove", "/invite"):
        assert visit.post(f"{own}{page}", name="X", email="x@example.org", form_id="x").status_code == 404
