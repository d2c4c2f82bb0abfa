"""Bulk jobs in the console: a file sent, its progress, its rows, what is done to it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.integration.api.test_certificates import strangers
from tests.integration.console.test_records import text_of
from tests.integration.test_enroll_devices import register
from tests.support.administrators import Console, console, master
from tests.support.bulk_rows import Rows
from tests.support.enroll_app import EnrollApp

from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.bulk_columns import COLUMNS
from keystead_enroll.domain.bulk_jobs import BulkState
from keystead_enroll.domain.orders import OrderState

CSV = b"device_name,owner\n" + b"".join(b"laptop-%d,\n" % number for number in range(1, 6))
HOSTILE = '<script>alert(1)</script>="x"'


def seen(page: str) -> str:
    """What a reader sees of a page; where words may break is not seen."""
    return text_of(page.replace("<wbr>", ""))


def place(app: EnrollApp) -> str:
    return str(next(o["id"] for o in master(app).items("/organizations") if o["name"] == "Example Hospital"))


def send(
    visit: Console, app: EnrollApp, content: bytes = CSV, name: str = "devices.csv", **fields: str
) -> httpx.Response:
    visit.get("/bulk-jobs/new")
    data = {"form_token": visit.form_token, "place": place(app), "certificate_type": "device"} | fields
    return visit.client.post(
        "/console/bulk-jobs/new", data=data, files={"file": (name, content, "text/csv")},
        headers={"origin": app.origin, "accept": "text/html"},
    )  # fmt: skip


def sent(visit: Console, app: EnrollApp) -> str:
    answer = send(visit, app, profile_id=app.profile("Machine"))
    assert answer.status_code == 303 and "?done=created" in answer.headers["location"], answer.text
    return str(re.search(r"[0-9a-f]{32}", answer.headers["location"])[0])  # type: ignore[index]


def pressed(visit: Console, own: str, verb: str) -> httpx.Response:
    """What a button on the job's page answers."""
    visit.get(own)
    return visit.post(f"{own}/{verb}")


def test_a_file_is_sent_and_its_job_is_shown_and_listed(app: EnrollApp) -> None:
    visit = console(app)
    job = sent(visit, app)
    assert master(app)("GET", f"/bulk-jobs/{job}").json()["progress"]["octets"] == len(CSV)
    page = seen(visit.get(f"/bulk-jobs/{job}").text)
    assert "devices.csv" in page and "Running" in page and "The file is being read: 0 %" in page
    assert "devices.csv" in visit.get("/bulk-jobs").text
    again = visit.follow(send(visit, app, profile_id=app.profile("Machine")))
    assert "This file was sent before. This is its job." in again.text
    assert len(master(app).items("/bulk-jobs")) == 1


def test_mistakes_of_a_form_are_told_at_once_and_nothing_is_stored(lite: EnrollApp) -> None:
    app, visit = lite, console(lite)
    told = visit.mistakes(send(visit, app, place="", term_days="0", owner="nobody"))
    for field in ("place", "term_days", "owner"):
        assert f'id="f-{field}-error"' in told, field
    visit.get("/bulk-jobs/new")
    assert 'id="f-file-error"' in visit.mistakes(visit.post("/bulk-jobs/new", place=place(app)))
    assert master(app).items("/bulk-jobs") == []


def test_the_form_explains_the_columns_and_has_a_template(lite: EnrollApp) -> None:
    visit = console(lite)
    page = visit.get("/bulk-jobs/new").text
    assert all(f"<dt>{name}</dt>" in page for name in COLUMNS)
    template = visit.get("/bulk-jobs/template.csv")
    assert template.headers["content-disposition"] == 'attachment; filename="devices.csv"'
    assert [name.strip('"') for name in template.text.strip().split(",")] == list(COLUMNS)


def test_progress_is_told_in_the_reader_s_language_and_only_if_it_changed(app: EnrollApp) -> None:
    visit = console(app)
    rows = Rows(app, sent(visit, app))
    rows.read(5, {3: ([HOSTILE, ""], "device_name", f"is no host name: {HOSTILE}")})
    rows.order(2)
    rows.order(1, OrderState.FAILED, "The TPM is locked.")
    rows.wait(1)
    address = f"/bulk-jobs/{rows.job_id}/progress"
    answer = visit.get(address)
    part = seen(answer.text)
    assert "80 %" in part and "4 of 5 rows" in part and "Installed 2" in part and "Refused 1" in part
    assert "is no host name" in part and "The TPM is locked." in part and "keystead-agent register" in part
    assert "<script" not in answer.text and HOSTILE in part
    unchanged = visit.get(address, **{"if-none-match": answer.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    rows.end()
    assert 'data-state="finished"' in visit.get(address).text
    german = visit.get(address, **{"accept-language": "de"})
    assert "4 von 5 Zeilen" in seen(german.text)


def test_the_rate_is_that_of_the_last_minute_or_of_a_younger_job_s_life(app: EnrollApp) -> None:
    visit = console(app)
    rows = Rows(app, sent(visit, app))
    rows.read(6)
    rows.order(4)
    for seconds, told in ((8, "0.5"), (40, "0.1"), (90, "0.0")):
        app.clock.shift = timedelta(seconds=seconds)
        rate = master(app)("GET", f"/bulk-jobs/{rows.job_id}").json()["progress"]["rate"]
        assert f"{rate:.1f}" == told, seconds
    app.clock.shift = timedelta(seconds=40)
    assert "6 certificates a minute, less than a minute left" in seen(visit.get(f"/bulk-jobs/{rows.job_id}").text)


def test_a_job_is_paused_goes_on_and_is_ended_after_a_question(app: EnrollApp) -> None:
    visit = console(app)
    rows = Rows(app, sent(visit, app))
    rows.read(5)
    own = f"/bulk-jobs/{rows.job_id}"
    assert "Paused" in seen(visit.follow(pressed(visit, own, "pause")).text)
    page = visit.follow(pressed(visit, own, "resume")).text
    assert "Running" in seen(page) and "data-progress=" in page
    asked = seen(visit.get(f"{own}/cancel").text)
    assert "End “devices.csv”?" in asked and "Certificates that are installed stay" in asked
    ended = visit.follow(visit.send(f"{own}/cancel")).text
    assert "Being ended" in seen(ended) and f"{own}/pause" not in ended
    deeds = [line["action"] for line in master(app).items("/audit", q=f"target_id:{rows.job_id}")]
    assert deeds == ["bulk_job.cancel", "bulk_job.resume", "bulk_job.pause", "bulk_job.create"]


def test_failed_rows_are_tried_again_and_an_ended_job_is_still(app: EnrollApp) -> None:
    visit = console(app)
    rows = Rows(app, sent(visit, app))
    rows.read(5)
    rows.order(4)
    rows.order(1, OrderState.FAILED, "No.")
    rows.end()
    own = f"/bulk-jobs/{rows.job_id}"
    page = visit.get(own).text
    assert "data-progress=" not in page and "Try the failed row again" in page
    again = visit.follow(pressed(visit, own, "retry"))
    assert "The failed rows are tried again." in again.text and "Running" in seen(again.text)


def test_rows_lead_to_what_came_of_them(app: EnrollApp) -> None:
    visit = console(app)
    rows = Rows(app, sent(visit, app))
    rows.read(60, {4: (["x", ""], "owner", "is missing")})
    rows.order(1)
    own = f"/bulk-jobs/{rows.job_id}/rows"
    first = visit.get(own).text
    assert "laptop-1.example.org" in seen(first) and "is missing" in first and f"{own}?after=51" in first
    assert "laptop-60.example.org" in seen(visit.get(f"{own}?after=51").text)
    installed = visit.get(f"{own}?state=installed").text
    assert "laptop-1.example.org" in seen(installed) and "laptop-3.example.org" not in seen(installed)
    order = rows.orders()[0]
    assert f"/console/requests/{order}" in installed
    for nonsense in ("state=x", "after=x", "after=-1", f"after={10**30}"):
        assert visit.get(f"{own}?{nonsense}").status_code == 200


def test_a_device_shows_the_bulk_jobs_that_it_is_in(app: EnrollApp) -> None:
    device, visit = register(app, app.client()), console(app)
    rows = Rows(app, sent(visit, app))
    rows.read(2)
    rows.order(1, OrderState.ISSUED, device_id=device.id)
    page = seen(visit.get(f"/devices/{device.id}").text)
    assert "Bulk jobs" in page and "devices.csv 2 Being installed" in page
    shown = master(app)("GET", f"/devices/{device.id}").json()["bulk_rows"]
    assert shown == [{"job_id": rows.job_id, "name": "devices.csv", "line": 2, "state": "issued"}]


def test_refused_rows_and_results_are_downloaded(lite: EnrollApp) -> None:
    visit = console(lite)
    rows = Rows(lite, sent(visit, lite))
    rows.read(3, {2: (["=cmd()", ""], "device_name", "is no host name")})
    refused = visit.get(f"/bulk-jobs/{rows.job_id}/refused.csv")
    assert "'=cmd()" in refused.text and "is no host name" in refused.text
    assert "attachment" in refused.headers["content-disposition"]
    assert len(visit.get(f"/bulk-jobs/{rows.job_id}/results.csv").text.strip().splitlines()) == 4


def test_a_file_that_cannot_be_read_says_why(lite: EnrollApp) -> None:
    app, visit = lite, console(lite)
    job = sent(visit, app)
    with app.enroll.transactions.write() as tx:
        found = tx.bulk_job(job)
        assert found is not None
        found.refuse("It has no column device_name.", "Name it in the first line.", app.clock.now())
    page = seen(visit.get(f"/bulk-jobs/{job}").text)
    assert "Not readable" in page and "It has no column device_name. Name it in the first line." in page


def test_a_department_s_administrator_sends_files_for_it_alone(app: EnrollApp) -> None:
    department = master(app).items("/departments")[0]
    drao = console(app, Grant(Role.DRAO, department["organization_id"], department["id"]))
    form = drao.get("/bulk-jobs/new").text
    assert f'value="{department["organization_id"]}/{department["id"]}"' in form
    assert f'value="{department["organization_id"]}"' not in form
    refused = send(drao, app)
    assert refused.status_code in (303, 403) and master(app).items("/bulk-jobs") == []
    done = send(drao, app, place=f"{department['organization_id']}/{department['id']}")
    assert "?done=created" in done.headers["location"]


def test_another_s_job_is_not_there_and_a_file_from_another_site_is_not_taken(app: EnrollApp) -> None:
    job = sent(console(app), app)
    stranger = console(app, strangers(app)[0])
    stranger.get("/organizations")
    for path in ("", "/progress", "/rows", "/refused.csv", "/results.csv", "/cancel"):
        assert stranger.get(f"/bulk-jobs/{job}{path}").status_code == 404, path
    for verb in ("pause", "resume", "retry", "cancel"):
        assert stranger.post(f"/bulk-jobs/{job}/{verb}").status_code == 404, verb
    assert "devices.csv" not in stranger.get("/bulk-jobs").text
    visit = console(app)
    visit.get("/bulk-jobs/new")
    evil = visit.client.post(
        "/console/bulk-jobs/new", data={"form_token": visit.form_token, "place": place(app)},
        files={"file": ("x.csv", b"device_name\nx\n")}, headers={"origin": "https://evil.example"},
    )  # fmt: skip
    assert evil.status_code == 403
    assert len(master(app).items("/bulk-jobs")) == 1


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\nb\x1b[2J.csv", "x" * 300 + ".csv", "", "<b>.csv"], ids=str)
def test_a_file_s_name_is_only_a_name(lite: EnrollApp, name: str, tmp_path: Path) -> None:
    visit = console(lite)
    answer = send(visit, lite, name=name)
    assert answer.status_code == 303
    for job in master(lite).items("/bulk-jobs"):
        assert "\n" not in job["name"] and "\x1b" not in job["name"] and len(job["name"]) <= 128
        assert "<b>" not in visit.get(f"/bulk-jobs/{job['id']}").text


def test_a_cancelled_job_has_ended(lite: EnrollApp) -> None:
    visit = console(lite)
    rows = Rows(lite, sent(visit, lite))
    rows.read(5)
    visit.send(f"/bulk-jobs/{rows.job_id}/cancel")
    rows.end(BulkState.CANCELLED)
    page = visit.get(f"/bulk-jobs/{rows.job_id}").text
    assert "Ended early" in page and "data-progress=" not in page
