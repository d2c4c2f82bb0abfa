"""Persons from CSV files, through the API."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import EnrollApp, problem_code

from keystead_contracts.base import CertificateType
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.usecases.admin.csv_import import MOST_OCTETS
from keystead_kit.passwords import verify_password

HEADER = "email,name,organization,department,upn,secret_id\n"
ADA = "ada@example.org,Ada Lovelace,Example Hospital,Radiology,,correct-horse\n"
BOB = "bob@example.org,Bob,Example Hospital,,,\n"


def send(api: Api, content: str | bytes, **params: Any) -> dict[str, Any]:
    raw = content.encode() if isinstance(content, str) else content
    answer = api("POST", "/persons/import", content=raw, headers={"content-type": "text/csv"}, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def counts(done: dict[str, Any]) -> tuple[int, int, int, int]:
    return done["created"], done["changed"], done["unchanged"], done["refused"]


def hospital(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.organizations()[0].id


def radiology(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.departments()[0].id


def test_good_rows_proceed_and_bad_ones_come_back_with_line_field_and_reason(app: EnrollApp) -> None:
    api = master(app)
    bad = (
        "nobody,,Example Hospital,,,\neve@example.org,Eve,Elsewhere,,,\nmia@example.org,Mia,Example Hospital,Attic,,\n"
    )
    done = send(api, HEADER + ADA + bad + BOB + "ada@example.org,Again,Example Hospital,,,\n")
    assert counts(done) == (2, 0, 0, 4)
    assert [(m["line"], m["field"]) for m in done["mistakes"]] == [
        (3, "email"), (3, "name"), (4, "organization"), (5, "department"), (7, "email"),
    ]  # fmt: skip
    assert "line 2" in done["mistakes"][-1]["reason"]
    assert [p["email"] for p in api.items("/persons")] == ["ada@example.org", "bob@example.org"]


def test_the_same_file_again_changes_nothing(app: EnrollApp) -> None:
    api = master(app)
    assert counts(send(api, HEADER + ADA + BOB)) == (2, 0, 0, 0)
    assert counts(send(api, HEADER + ADA + BOB)) == (0, 0, 2, 0)
    assert len(app.facts("person_published")) == 2


def test_what_differs_is_changed(app: EnrollApp) -> None:
    api = master(app)
    send(api, HEADER + ADA + BOB)
    assert counts(send(api, HEADER + ADA.replace("correct-horse", "battery-staple") + BOB)) == (0, 1, 1, 0)
    newest = max(app.facts("person_published"), key=lambda fact: fact["version"])
    assert verify_password(newest["secret_id_hash"], "battery-staple")
    assert counts(send(api, HEADER + ADA + BOB.replace("Bob", "Robert"))) == (0, 2, 0, 0)


def test_a_dry_run_says_the_same_and_does_nothing(app: EnrollApp) -> None:
    api = master(app)
    send(api, HEADER + BOB)
    file = HEADER + ADA + BOB.replace(",Bob,", ",Robert,") + "x,,,,,\n"
    told = send(api, file, dry_run=True)
    assert [p["name"] for p in api.items("/persons")] == ["Bob"]
    assert len(app.facts("person_published")) == 1
    done = send(api, file)
    assert (told["dry_run"], done["dry_run"]) == (True, False)
    assert counts(told) == counts(done) == (1, 1, 0, 1)
    assert told["mistakes"] == done["mistakes"]


def test_columns_that_are_not_there_leave_things_as_they_are(app: EnrollApp) -> None:
    api = master(app)
    send(api, HEADER + ADA.replace(",,correct", ",ada@corp.example,correct"))
    assert counts(send(api, "\ufeffName;Organization;E-Mail\r\nAda L.;Example Hospital;ADA@example.org\r\n")) == (
        0,
        1,
        0,
        0,
    )
    (ada,) = api.items("/persons")
    assert (ada["name"], ada["upn"], ada["has_secret_id"]) == ("Ada L.", "ada@corp.example", True)
    assert ada["department_id"] == radiology(app)


def test_an_export_can_be_imported_again(app: EnrollApp) -> None:
    api = master(app)
    send(api, HEADER + ADA + BOB.replace("Bob", '"=HYPERLINK(""x"")"'))
    exported = api("GET", "/persons/export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert "attachment" in exported.headers["content-disposition"]
    assert "\"'=HYPERLINK" in exported.text
    assert counts(send(api, exported.content)) == (0, 0, 2, 0)


def test_more_rows_than_a_batch_are_all_taken(app: EnrollApp) -> None:
    rows = "".join(f"p{number}@example.org,P{number},Example Hospital\n" for number in range(450))
    assert counts(send(master(app), "email,name,organization\n" + rows)) == (450, 0, 0, 0)


def test_an_officer_imports_where_persons_are_theirs_alone(app: EnrollApp) -> None:
    api = master(app)
    api.create("/organizations", {"name": "Physics"})
    send(api, HEADER + BOB)
    drao = officer(app, Grant(Role.DRAO, hospital(app), radiology(app)))
    strange = "mia@elsewhere.example,Mia,Example Hospital,Radiology,,\nx@example.org,X,Physics,,,\n"
    done = send(drao, HEADER + ADA + BOB.replace("Bob", "Mine").replace("Hospital,,", "Hospital,Radiology,") + strange)
    assert counts(done) == (1, 0, 0, 3)
    assert [(m["line"], m["field"]) for m in done["mistakes"]] == [(3, "email"), (4, "email"), (5, "organization")]
    assert [p["name"] for p in api.items("/persons", q="email:bob")] == ["Bob"]
    ssl = officer(app, Grant(Role.RAO, hospital(app), certificate_types=frozenset({CertificateType.SSL})))
    assert counts(send(ssl, HEADER + ADA + BOB)) == (0, 0, 0, 2)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"email,name\nx,y\n", b'email,name,organization\n"x'])
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(app: EnrollApp, content: bytes) -> None:
    refused = master(app)("POST", "/persons/import", content=content)
    assert (refused.status_code, problem_code(refused)) == (422, "malformed")
    assert refused.json()["advice"]


def test_a_file_may_have_5_mib_and_no_more(app: EnrollApp) -> None:
    api = master(app)
    row = b"email,name,organization\n" + b"x" * (MOST_OCTETS - 24)
    assert api("POST", "/persons/import", content=row).status_code == 422
    refused = api("POST", "/persons/import", content=row + b"x")
    assert (refused.status_code, problem_code(refused)) == (413, "too-large")
    assert "5 MiB" in refused.json()["advice"]


def test_a_stranger_s_file_is_refused_before_it_is_read(app: EnrollApp) -> None:
    pieces = iter([b"x" * 1000, b"y" * 1000])
    refused = Api(app, None)("POST", "/persons/import", content=pieces)
    assert refused.status_code == 401
