"""Bulk jobs over the API: files taken in, jobs shown and steered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from starlette.requests import ClientDisconnect
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import EnrollApp, enroll_app, problem_code

from keystead_enroll.adapters import bulk_tables as b
from keystead_enroll.domain.administration import Grant, Role

PATH = "/bulk-jobs"
CSV = b"device_name\nlaptop-1.example.org\nlaptop-2.example.org\n"


def organization(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return next(each.id for each in tx.organizations() if each.name == "Example Hospital")


def send(api: Api, content: Any = CSV, kind: str = "text/csv", **params: Any) -> httpx.Response:
    headers = {"content-type": kind} | params.pop("headers", {})
    return api("POST", PATH, content=content, headers=headers, params=params)


def made(app: EnrollApp, api: Api | None = None, content: Any = CSV, **params: Any) -> str:
    answer = send(api or master(app), content, organization_id=organization(app), **params)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def count(app: EnrollApp, table: Any) -> int:
    with app.enroll.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_file_becomes_a_job_that_is_listed_and_shown(app: EnrollApp) -> None:
    api = master(app)
    job = made(app, api, profile_id=app.profile("Machine"), name="laptops.csv")
    shown = api("GET", f"{PATH}/{job}").json()
    assert (shown["name"], shown["state"], shown["format"], shown["profile"], shown["certificate_type"]) == (
        "laptops.csv", "running", "csv", "Machine", "device",
    )  # fmt: skip
    assert (shown["progress"]["octets"], shown["progress"]["reading"]) == (len(CSV), True)
    assert [each["id"] for each in api.items(PATH, q="state:running type:device laptops")] == [job]
    deeds = [line["action"] for line in api.items("/audit", q=f"target_id:{job}")]
    assert deeds == ["bulk_job.create"]


def test_the_same_file_with_the_same_options_is_the_same_job(app: EnrollApp) -> None:
    api, place = master(app), {"organization_id": organization(app)}
    first, again = send(api, **place), send(api, name="other name", **place)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = send(api, owner="ada@example.org", **place)
    assert (other.status_code, other.json()["id"] != first.json()["id"]) == (201, True)
    assert count(app, b.chunks) == 2


def test_an_idempotency_key_is_for_one_file(app: EnrollApp) -> None:
    api = master(app)
    place: dict[str, Any] = {"organization_id": organization(app), "headers": {"idempotency-key": "k-1"}}
    first, again = send(api, **place), send(api, **place)
    assert (first.json()["id"], again.status_code) == (again.json()["id"], 200)
    assert problem_code(send(api, b"device_name\nother\n", **place)) == "conflict"
    assert count(app, b.jobs) == 1


def test_rows_may_come_as_json(app: EnrollApp) -> None:
    api, rows = master(app), [{"device_name": "laptop-1.example.org"}, {"device_name": "laptop-2.example.org"}]
    answer = api("POST", f"{PATH}/rows", json={"organization_id": organization(app), "rows": rows})
    assert (answer.status_code, answer.json()["format"]) == (201, "jsonl")


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [("text/csv", "gzip"), ("text/csv", "br"), ("application/zip", "identity"), ("", "identity")],
    ids=["gzip", "brotli", "zip", "untold"],
)
def test_what_is_compressed_or_of_another_kind_is_refused(lite: EnrollApp, kind: str, encoding: str) -> None:
    answer = send(master(lite), kind=kind, organization_id=organization(lite), headers={"content-encoding": encoding})
    assert answer.status_code == 415, answer.text
    assert count(lite, b.jobs) == 0


def test_a_file_that_breaks_off_leaves_nothing(app: EnrollApp) -> None:
    def broken() -> Iterator[bytes]:
        yield b"device_name\n" + b"x" * 3_000_000
        raise ClientDisconnect

    assert send(master(app), broken(), organization_id=organization(app)).status_code == 400
    assert (count(app, b.jobs), count(app, b.chunks)) == (0, 0)


def test_a_file_with_too_much_in_it_is_refused_and_leaves_nothing(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, bulk_octets_limit=2_000_000, bulk_lines_limit=1000) as app:
        for content, told in ((b"x" * 2_000_001, "2,000,000 octets"), (b"\n" * 1001, "1,000 lines")):
            answer = send(master(app), content, organization_id=organization(app))
            assert (answer.status_code, problem_code(answer)) == (413, "too-large")
            assert told in answer.json()["detail"]
        assert (count(app, b.jobs), count(app, b.chunks)) == (0, 0)


def test_a_job_is_made_where_one_s_role_reaches(app: EnrollApp) -> None:
    own = organization(app)
    other = master(app).create("/organizations", {"name": "Elsewhere"})
    with app.enroll.transactions.read() as tx:
        department = next(each.id for each in tx.departments())
    rao, drao = officer(app, Grant(Role.RAO, own)), officer(app, Grant(Role.DRAO, own, department))
    assert send(rao, organization_id=other).status_code == 404
    assert send(drao, organization_id=own).status_code == 403
    mine, whole = made(app, drao, department_id=department), made(app, rao)
    assert [each["id"] for each in drao.items(PATH)] == [mine]
    assert {each["id"] for each in rao.items(PATH)} == {mine, whole}
    for method, path in (("GET", ""), ("GET", "/rows"), ("POST", "/pause"), ("GET", "/results.csv")):
        assert drao(method, f"{PATH}/{whole}{path}").status_code == 404


def test_options_that_do_not_go_together_are_told(lite: EnrollApp) -> None:
    api, machine = master(lite), lite.profile("Machine")
    place = {"organization_id": organization(lite)}
    for wrong, field in (
        ({"profile_id": machine, "certificate_type": "ssl"}, "certificate_type"),
        ({"profile_id": machine, "key_algorithm": "rsa-2048"}, "key_algorithm"),
        ({"profile_id": machine, "term_days": 7}, "term_days"),
        ({"owner": "eve@elsewhere.example"}, "owner"),
        ({"name": "two\nlines"}, "name"),
        ({"created_by": "somebody"}, "created_by"),
    ):
        answer = send(api, **place, **wrong)
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [field]), answer.text
    assert count(lite, b.jobs) == 0


@pytest.mark.parametrize(
    "profile",
    [{"scope": "user"}, {"key_algorithms": ["rsa-2048"], "key_usages": ["digitalSignature", "keyEncipherment"]}],
    ids=["persons' own", "keys that decipher"],
)
def test_a_job_is_for_what_registered_computers_can_have(lite: EnrollApp, profile: dict[str, Any]) -> None:
    api, body = master(lite), {"certificate_type": "ssl", "subject": "CN={fqdn}", "term_days": [90]}
    wanted = api.create("/profiles", {"name": "Web", "key_algorithms": ["ec-p256"]} | body | profile)
    answer = send(api, organization_id=organization(lite), profile_id=wanted)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["profile_id"]), answer.text


def test_a_job_is_paused_resumed_and_cancelled_by_whoever_may(app: EnrollApp) -> None:
    api = master(app)
    job = made(app, api)
    for verb, state in (("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("resume", "running"),
                        ("cancel", "cancelling"), ("cancel", "cancelling")):  # fmt: skip
        assert api("POST", f"{PATH}/{job}/{verb}").json()["state"] == state
    assert count(app, b.chunks) == 0
    for verb in ("pause", "resume", "retry"):
        assert problem_code(api("POST", f"{PATH}/{job}/{verb}")) == "conflict"
    deeds = [line["action"] for line in api.items("/audit", q=f"target_id:{job}")]
    assert deeds == [f"bulk_job.{verb}" for verb in ("cancel", "resume", "pause", "create")]


def test_nothing_is_sent_again_to_whoever_knows_how_things_stand(app: EnrollApp) -> None:
    api = master(app)
    job = made(app, api)
    first = api("GET", f"{PATH}/{job}")
    known = {"if-none-match": first.headers["etag"]}
    assert api("GET", f"{PATH}/{job}", headers=known).status_code == 304
    api("POST", f"{PATH}/{job}/pause")
    assert api("GET", f"{PATH}/{job}", headers=known).status_code == 200
