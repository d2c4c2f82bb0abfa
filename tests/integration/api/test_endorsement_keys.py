"""Known TPMs through the API."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import EnrollApp, problem_code

from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.endorsement_inputs import fingerprint

PATH = "/endorsement-keys"
A, B, C = "a1" * 32, "b2" * 32, "c3" * 32


def organization(app: EnrollApp, name: str = "Physics") -> str:
    return master(app).create("/organizations", {"name": name})


def entry(organization_id: str | None = None, sha256: str = A, **fields: Any) -> dict[str, Any]:
    return {"organization_id": organization_id, "sha256": sha256, **fields}


def fields(answer: Any) -> tuple[int, list[str]]:
    return answer.status_code, sorted(answer.json().get("fields") or {})


def test_an_entry_is_added_changed_and_deleted(app: EnrollApp) -> None:
    api = master(app)
    own = organization(app)
    described = {"label": "Lab 7", "serial_number": "PF3X", "model": "T14", "note": "Bought in May."}
    made = api.create(PATH, entry(own, **described))
    shown = api("GET", f"{PATH}/{made}").json()
    assert {name: shown[name] for name in described} == described
    assert (shown["organization_id"], shown["sha256"], shown["ruling"]) == (own, A, "allow")
    assert shown["created_by"].startswith("Grace Hopper")
    assert api("PATCH", f"{PATH}/{made}", json={"ruling": "deny"}).json()["ruling"] == "deny"
    assert api("DELETE", f"{PATH}/{made}").status_code == 204
    assert api("GET", f"{PATH}/{made}").status_code == 404
    deeds = [line["action"] for line in api.items("/audit", q=f"target_id:{made}")]
    assert deeds == [f"endorsement_key.{verb}" for verb in ("delete", "change", "create")]


@pytest.mark.parametrize(
    "written",
    [
        A.upper(),
        ":".join("A1" for _ in range(32)),
        f" {A} ",
        f"urn:ek:sha256:{base64.b64encode(bytes.fromhex(A)).decode()}",
    ],
)
def test_a_fingerprint_is_known_however_it_is_written(app: EnrollApp, written: str) -> None:
    api = master(app)
    made = api.create(PATH, entry(sha256=written))
    assert api("GET", f"{PATH}/{made}").json()["sha256"] == A
    assert [each["id"] for each in api.items(PATH, q=f"sha256:{A.upper()}")] == [made]


@pytest.mark.parametrize("written", ["", "a1", A + "a1", "x" * 64, "urn:ek:sha256:!!!", "urn:ek:sha256:YQ==", "é" * 64])
def test_what_is_no_fingerprint_is_refused(app: EnrollApp, written: str) -> None:
    assert fields(master(app)("POST", PATH, json=entry(sha256=written))) == (422, ["sha256"])


def test_a_fingerprint_in_no_ascii_is_told_in_our_words() -> None:
    with pytest.raises(ValueError, match="is no SHA-256"):
        fingerprint("urn:ek:sha256:é")


def test_a_tpm_has_one_entry_for_an_organization(app: EnrollApp) -> None:
    api, own = master(app), organization(app)
    for place in (own, None, organization(app, "Chemistry")):
        api.create(PATH, entry(place))
        assert fields(api("POST", PATH, json=entry(place, ruling="deny"))) == (422, ["sha256"])


def test_an_entry_stays_what_it_is_about(app: EnrollApp) -> None:
    api, own = master(app), organization(app)
    made = api.create(PATH, entry(own))
    for change in ({"sha256": B}, {"organization_id": None}, {"organization_id": organization(app, "Chemistry")}):
        assert fields(api("PATCH", f"{PATH}/{made}", json=change)) == (422, sorted(change))
    assert fields(api("PATCH", f"{PATH}/{made}", json={"created_by": "Somebody"})) == (422, ["created_by"])


def test_a_creation_sent_twice_happens_once(app: EnrollApp) -> None:
    api, headers = master(app), {"idempotency-key": "k-1"}
    assert api.create(PATH, entry(), headers=headers) == api.create(PATH, entry(), headers=headers)


def test_officers_say_which_tpms_are_their_organization_s_and_nobody_else_s(app: EnrollApp) -> None:
    own, other = organization(app), organization(app, "Chemistry")
    everyone, theirs = master(app).create(PATH, entry()), master(app).create(PATH, entry(other))
    rao = officer(app, Grant(Role.RAO, own))
    made = rao.create(PATH, entry(own))
    assert [each["id"] for each in rao.items(PATH)] == [made]
    assert rao("POST", PATH, json=entry(None, B)).status_code == 403
    assert rao("POST", PATH, json=entry(other, B)).status_code == 404
    for hidden in (everyone, theirs):
        for method in ("GET", "PATCH", "DELETE"):
            answer = rao(method, f"{PATH}/{hidden}", json={"ruling": "deny"} if method == "PATCH" else None)
            assert (answer.status_code, problem_code(answer)) == (404, "not-found")
    assert rao("PATCH", f"{PATH}/{made}", json={"ruling": "deny"}).status_code == 200
    assert rao("DELETE", f"{PATH}/{made}").status_code == 204


def test_an_officer_of_a_department_says_nothing_of_tpms(app: EnrollApp) -> None:
    own = organization(app)
    department = master(app).create("/departments", {"organization_id": own, "name": "Optics"})
    made = master(app).create(PATH, entry(own))
    drao = officer(app, Grant(Role.DRAO, own, department))
    assert drao.items(PATH) == []
    assert drao("POST", PATH, json=entry(own, B)).status_code == 403
    assert drao("DELETE", f"{PATH}/{made}").status_code == 404
    assert send(drao, f"sha256,organization\n{B},Physics\n")["refused"] == 1


def test_an_organization_with_known_tpms_stays(app: EnrollApp) -> None:
    api, own = master(app), organization(app)
    made = api.create(PATH, entry(own))
    assert api("DELETE", f"/organizations/{own}").status_code == 409
    api("DELETE", f"{PATH}/{made}")
    assert api("DELETE", f"/organizations/{own}").status_code == 204


# Files

HEADER = "sha256,organization,ruling,label,serial_number,model,note\n"


def send(api: Api, content: str | bytes, **params: Any) -> dict[str, Any]:
    raw = content.encode() if isinstance(content, str) else content
    answer = api("POST", f"{PATH}/import", content=raw, headers={"content-type": "text/csv"}, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def counts(done: dict[str, Any]) -> tuple[int, int, int, int]:
    return done["created"], done["changed"], done["unchanged"], done["refused"]


def test_good_rows_proceed_and_every_mistake_is_told(app: EnrollApp) -> None:
    api, own = master(app), organization(app)
    rows = (
        f"{A},Physics,allow,Lab 7,PF3X,T14,\n"
        f"{B},,Deny,,,,Stolen in May.\n"
        f"nothing,Physics,perhaps,,,,\n"
        f"{C},Elsewhere,allow,,,,\n"
        f"{A.upper()},Physics,deny,,,,\n"
    )
    done = send(api, HEADER + rows)
    assert counts(done) == (2, 0, 0, 3)
    assert [(each["line"], each["field"]) for each in done["mistakes"]] == [
        (4, "sha256"), (4, "ruling"), (5, "organization"), (6, "sha256"),
    ]  # fmt: skip
    assert "line 2" in done["mistakes"][-1]["reason"]
    stored = {each["sha256"]: (each["organization_id"], each["ruling"], each["label"]) for each in api.items(PATH)}
    assert stored == {A: (own, "allow", "Lab 7"), B: (None, "deny", "")}


def test_the_same_file_again_changes_nothing_and_another_what_differs(app: EnrollApp) -> None:
    api = master(app)
    organization(app)
    send(api, f"{HEADER}{A},Physics,deny,Lab 7,,,\n")
    assert counts(send(api, f"{HEADER}{A},Physics,deny,Lab 7,,,\n")) == (0, 0, 1, 0)
    assert counts(send(api, f"sha256,organization,model\n{A},Physics,T14\n")) == (0, 1, 0, 0)
    (stored,) = api.items(PATH)
    assert (stored["ruling"], stored["label"], stored["model"]) == ("deny", "Lab 7", "T14")
    assert counts(send(api, f"{HEADER}{A},Physics,,Lab 8,,T14,\n")) == (0, 1, 0, 0)
    assert api.items(PATH)[0]["ruling"] == "deny"


def test_a_dry_run_says_the_same_and_does_nothing(app: EnrollApp) -> None:
    api, file = master(app), f"{HEADER}{A},,allow,,,,\n{B},Nowhere,,,,,\n"
    told = send(api, file, dry_run=True)
    assert api.items(PATH) == []
    assert counts(told) == counts(send(api, file)) == (1, 0, 0, 1)


def test_an_export_can_be_imported_again(app: EnrollApp) -> None:
    api = master(app)
    organization(app)
    send(api, f'{HEADER}{A},Physics,deny,"=HYPERLINK(""x"")",,,"two\nlines"\n{B},,allow,,,,\n')
    exported = api("GET", f"{PATH}/export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert "\"'=HYPERLINK" in exported.text
    assert counts(send(api, exported.content)) == (0, 0, 2, 0)


def test_more_rows_than_a_batch_are_all_taken(app: EnrollApp) -> None:
    rows = "".join(f"{number:064x},\n" for number in range(450))
    assert counts(send(master(app), f"sha256,organization\n{rows}")) == (450, 0, 0, 0)


def test_an_officer_s_file_is_about_their_organization_alone(app: EnrollApp) -> None:
    own = organization(app)
    organization(app, "Chemistry")
    send(master(app), f"sha256,organization\n{A},Chemistry\n")
    rao = officer(app, Grant(Role.RAO, own))
    done = send(rao, f"sha256,organization,ruling\n{A},Physics,\n{A},,deny\n{A},Chemistry,deny\n{A},Nowhere,deny\n")
    assert counts(done) == (1, 0, 0, 3)
    everyone, theirs, unknown = (each["reason"] for each in done["mistakes"])
    assert everyone.startswith("Only a master")
    assert theirs == unknown
    assert {(each["organization_id"] == own, each["ruling"]) for each in master(app).items(PATH)} == {
        (True, "allow"), (False, "allow"),
    }  # fmt: skip
