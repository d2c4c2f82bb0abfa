"""Known TPMs in the console."""

from __future__ import annotations

import httpx
from tests.support.administrators import Console, console, master
from tests.support.enroll_app import PAGE, EnrollApp

from keystead_enroll.domain.administration import Grant, Role

OWN, PATH = "/endorsement-keys", "/endorsement-keys"
A = "a1" * 32
FIELDS = {
    "sha256": A.upper(), "organization_id": "all", "ruling": "deny", "label": "Lab 7", "model": "T14",
    "serial_number": "PF3X", "note": "Stolen.",
}  # fmt: skip


def test_a_tpm_is_added_shown_changed_and_deleted(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.follow(visit.send(f"{OWN}/new", **FIELDS)).text
    for told in ("Lab 7", A, "Refused", "All organizations", "PF3X", "Stolen."):
        assert told in page
    (stored,) = master(app).items(PATH)
    own = f"{OWN}/{stored['id']}"
    assert "Lab 7" in visit.get(OWN).text
    changed = {name: value for name, value in FIELDS.items() if name not in ("sha256", "organization_id")}
    assert "Allowed" in visit.follow(visit.send(f"{own}/change", **(changed | {"ruling": "allow"}))).text
    (stored,) = master(app).items(PATH)
    assert (stored["sha256"], stored["organization_id"], stored["ruling"]) == (A, None, "allow")
    assert "Lab 7" in visit.get(f"{own}/delete").text
    assert visit.post(f"{own}/delete").status_code == 303
    assert master(app).items(PATH) == []


def test_every_mistake_stands_beside_its_question(app: EnrollApp) -> None:
    visit = console(app)
    wrong = FIELDS | {"sha256": "nothing", "ruling": "", "organization_id": ""}
    page = visit.mistakes(visit.send(f"{OWN}/new", **wrong))
    for field in ("sha256", "ruling", "organization_id"):
        assert f'id="f-{field}-error"' in page, field


def test_an_officer_is_offered_their_organization_alone(app: EnrollApp) -> None:
    own = master(app).create("/organizations", {"name": "Physics"})
    visit = console(app, Grant(Role.RAO, own))
    page = visit.get(f"{OWN}/new").text
    assert "Physics" in page
    assert "All organizations" not in page
    assert "Example Hospital" not in page
    assert visit.post(f"{OWN}/new", **FIELDS).status_code == 403
    visit.follow(visit.send(f"{OWN}/new", **(FIELDS | {"organization_id": own})))
    (stored,) = master(app).items(PATH)
    assert stored["organization_id"] == own


def upload(visit: Console, content: bytes, **fields: str) -> httpx.Response:
    visit.get(f"{OWN}/import")
    return visit.client.post(
        f"/console{OWN}/import", data={"form_token": visit.form_token} | fields,
        files={"file": ("tpms.csv", content, "text/csv")}, headers=PAGE | {"origin": visit.app.origin},
    )  # fmt: skip


def test_a_file_is_checked_and_then_imported(app: EnrollApp) -> None:
    visit, file = console(app), f"sha256,organization\n{A},\nnothing,\n".encode()
    page = upload(visit, file, check="1").text
    assert "Nothing was changed yet: 1 TPM would be added or changed. Left out is line 3" in page
    assert master(app).items(PATH) == []
    assert "The file was imported: 1 TPM added or changed." in upload(visit, file).text
    assert [each["sha256"] for each in master(app).items(PATH)] == [A]


def test_an_export_holds_what_the_search_finds(app: EnrollApp) -> None:
    master(app).create(PATH, {"sha256": A, "ruling": "deny"})
    master(app).create(PATH, {"sha256": "b2" * 32})
    text = console(app).get(f"{OWN}/export.csv?q=ruling:deny").text
    assert A in text
    assert "b2" * 32 not in text
