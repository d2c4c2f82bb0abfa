"""Bulk jobs at work: rows checked, machines found, certificates asked for, whatever comes between."""

from __future__ import annotations

import csv
import io
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.integration.api.test_bulk_jobs import PATH, made, organization, send
from tests.integration.test_enroll_devices import register, signed_in
from tests.support.administrators import Api, master, officer
from tests.support.attesting_machine import AttestingMachine, spki
from tests.support.bulk_worker import BulkWorker
from tests.support.enroll_app import MACHINE, Agent, EnrollApp, enroll_app
from tests.support.servers import PostgresServer, wait_until

from keystead_enroll.adapters import bulk_tables as b
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.orders import Channel, OrderState, Urgency
from keystead_enroll.usecases.bulk import order_rows, read_rows
from keystead_enroll.usecases.bulk.turns import Turns
from keystead_kit.secrets import new_id

EK = "ab" * 32


def machine(app: EnrollApp, name: str) -> Agent:
    """A registered machine of this name, signed in."""
    device = register(app, app.client(), machine=MACHINE.model_copy(update={"hostname": name}))
    return signed_in(app, device, app.client())


def job(app: EnrollApp, text: str, profile: str = "Machine", api: Api | None = None, **params: Any) -> str:
    """A job of this file that was worked off as far as it goes."""
    found = made(app, api or master(app), text.encode(), profile_id=app.profile(profile), **params)
    app.enroll.bulk.all()
    return found


def stages(app: EnrollApp, job_id: str) -> dict[str, int]:
    found = master(app)("GET", f"{PATH}/{job_id}").json()["progress"]["stages"]
    return {stage: count for stage, count in found.items() if count}


def rows(app: EnrollApp, job_id: str, **params: Any) -> list[dict[str, Any]]:
    return master(app).items(f"{PATH}/{job_id}/rows", **params)


def mistakes(app: EnrollApp, job_id: str) -> list[tuple[int, str]]:
    return [(row["line"], row["mistakes"][0]["field"]) for row in rows(app, job_id, state="refused")]


def state(app: EnrollApp, job_id: str) -> str:
    return str(master(app)("GET", f"{PATH}/{job_id}").json()["state"])


def finish(app: EnrollApp, agent: Agent) -> None:
    """The agent does all that it has to do."""
    while open_ones := agent.jobs():
        for each in open_ones:
            report = agent.csr_report(each) if each.payload.kind == "make_key_and_csr" else agent.installed_report(each)
            assert agent.report(report).status_code == 200
        app.work()


def csv_of(app: EnrollApp, job_id: str, name: str) -> list[dict[str, str]]:
    answer = master(app)("GET", f"{PATH}/{job_id}/{name}.csv")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.text)))


def count(app: EnrollApp, table: Any, *conditions: Any) -> int:
    with app.enroll.database.read() as session:
        return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def test_machines_get_their_certificates_from_one_file(app: EnrollApp) -> None:
    first, second = machine(app, "l-1.example.org"), machine(app, "L-2.EXAMPLE.ORG")
    text = "device_name,owner\nl-1.example.org,ada@example.org\nl-2.example.org,\nl-3.example.org,\n"
    found = job(app, text, name="laptops.csv")
    assert stages(app, found) == {"offered": 2, "waiting": 1}
    for agent in (first, second):
        finish(app, agent)
    assert stages(app, found) == {"installed": 2, "waiting": 1}
    late = machine(app, "l-3.example.org")
    app.enroll.bulk.all()
    finish(app, late)
    app.enroll.bulk.all()
    shown = master(app)("GET", f"{PATH}/{found}").json()
    assert (shown["state"], shown["progress"]["done"], shown["progress"]["rows"]) == ("finished", 3, 3)
    assert shown["progress"]["rate"] > 0
    assert [(row["line"], row["state"], row["machine"]) for row in rows(app, found)] == [
        (2, "installed", "l-1.example.org"), (3, "installed", "L-2.EXAMPLE.ORG"), (4, "installed", "l-3.example.org"),
    ]  # fmt: skip
    assert sorted(row.subject for row in app.certificates()) == [f"l-{n}.example.org" for n in (1, 2, 3)]
    order = app.order(rows(app, found)[0]["request_id"])
    assert (order.channel, order.urgency, order.person_email) == (Channel.BULK, Urgency.BULK, "ada@example.org")
    assert order.requested_by.startswith("Grace Hopper")


def test_what_is_wrong_with_a_row_is_told_and_costs_no_other(app: EnrollApp) -> None:
    other = master(app).create("/organizations", {"name": "Elsewhere", "dns_domains": ["else.example"]})
    theirs = register(app, app.client())
    with app.enroll.database.write() as session:
        session.execute(update(t.devices).where(t.devices.c.id == theirs.id).values(organization_id=other))
    lines = [
        ("good-1.example.org", "", "", "", "", "", ""),
        ("laptop.else.example", "", "", "", "", "", "device_name"),
        ("under_score.example.org", "", "", "", "", "", "device_name"),
        ("", "", "", "", "ada@example.org", "", "device_name"),
        ("a.example.org", "No such profile", "", "", "", "", "profile"),
        ("a.example.org", "Person", "", "", "", "", "profile"),
        ("a.example.org", "", "rsa-1024", "", "", "", "key_algorithm"),
        ("a.example.org", "", "", "7", "", "", "term_days"),
        ("a.example.org", "", "", "1e9", "", "", "term_days"),
        ("a.example.org", "", "", "", "eve@else.example", "", "owner"),
        ("a.example.org", "", "", "", "=cmd", "", "owner"),
        ("a.example.org", "", "", "", "", "xyz", "ek_sha256"),
        ("<script>.example.org", "", "", "", "", "", "device_name"),
        ("good-1.example.org", "", "", "", "", "", ""),
        ("good-2.example.org", "", "EC-P256", "365", "ADA@example.org", "", ""),
    ]
    text = "device_name,profile,key_algorithm,term_days,owner,ek_sha256\n"
    text += "".join(",".join(line[:6]) + "\n" for line in lines)
    text += f"a.example.org,,,,,,{'x' * 20}\n"
    found = job(app, text)
    assert mistakes(app, found) == [
        (number, line[6]) for number, line in enumerate(lines, 2) if line[6] or number == 15
    ] + [(17, "")]  # fmt: skip
    assert stages(app, found) == {"refused": 14, "waiting": 2}
    told = {row["line"]: row["mistakes"][0]["reason"] for row in rows(app, found, state="refused")}
    assert "Line 2" in told[15]
    assert told[6] == told[7]


def test_refused_rows_come_back_as_they_came_and_may_be_sent_again(app: EnrollApp) -> None:
    text = 'Device Name;Label;Owner\r\nok.example.org;x;\r\nno.else.example;"=HYPERLINK(""x"")";\r\n;;;;\r\n\r\n'
    found = job(app, text)
    (row,) = csv_of(app, found, "refused")
    assert (row["Device Name"], row["Label"], row["line"], row["field"]) == (
        "no.else.example", "'=HYPERLINK(\"x\")", "3", "device_name",
    )  # fmt: skip
    assert "not in a domain" in row["reason"]
    answer = master(app)("GET", f"{PATH}/{found}/refused.csv").text
    again = job(app, answer.replace("no.else.example", "yes.example.org"))
    assert stages(app, again) == {"waiting": 1}
    assert rows(app, again)[0]["device_name"] == "yes.example.org"


def test_results_tell_of_every_row(app: EnrollApp) -> None:
    agent = machine(app, "l-1.example.org")
    found = job(app, "device_name\nl-1.example.org\nl-2.example.org\nbad_name\n")
    finish(app, agent)
    first, second, third = csv_of(app, found, "results")
    certificate = app.certificates()[0]
    assert (first["state"], first["certificate"], first["serial"]) == ("installed", certificate.id, certificate.serial)
    assert (second["state"], third["state"], third["field"]) == ("waiting", "refused", "device_name")


@pytest.mark.parametrize(
    "text", ["nothing,known\na,b\n", "", "device_name,device_name\n", "\x00\x01\x02"],
    ids=["unknown columns", "empty", "twice", "no text"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_and_may_come_again(app: EnrollApp, text: str) -> None:
    found = job(app, text)
    shown = master(app)("GET", f"{PATH}/{found}").json()
    assert (shown["state"], shown["refusal"]["detail"] != "") == ("refused", True)
    assert count(app, b.chunks) == 0
    assert made(app, content=text.encode(), profile_id=app.profile("Machine")) != found


def test_a_machine_is_asked_once_however_many_files_name_it(app: EnrollApp) -> None:
    agent = machine(app, "l-1.example.org")
    first = job(app, "device_name\nl-1.example.org\n", name="one.csv")
    second = job(app, "device_name,label\nl-1.example.org,again\n")
    assert (stages(app, first), stages(app, second)) == ({"offered": 1}, {"refused": 1})
    assert "“one.csv”" in rows(app, second)[0]["mistakes"][0]["reason"]
    finish(app, agent)
    assert stages(app, job(app, "device_name,label\nl-1.example.org,valid\n")) == {"refused": 1}
    certificate = app.certificates()[0].id
    assert master(app)("POST", f"/certificates/{certificate}/revocation", json={"reason": "superseded"}).is_success
    assert stages(app, job(app, "device_name,label\nl-1.example.org,anew\n")) == {"offered": 1}


def test_what_failed_is_tried_again_and_stays_as_history(app: EnrollApp) -> None:
    agent = machine(app, "l-1.example.org")
    found = job(app, "device_name\nl-1.example.org\n")
    (first,) = rows(app, found)
    with app.enroll.transactions.write() as tx:
        order = tx.order(first["request_id"], lock=True)
        assert order is not None
        order.fail("internal", "No.", "", app.clock.now())
    app.enroll.bulk.all()
    assert (state(app, found), stages(app, found)) == ("finished", {"failed": 1})
    assert master(app)("POST", f"{PATH}/{found}/retry").json() == {"rows": 1}
    app.enroll.bulk.all()
    (again,) = rows(app, found)
    assert (state(app, found), stages(app, found)) == ("running", {"offered": 1})
    assert again["earlier_request_ids"] == [first["request_id"]]
    assert app.order(first["request_id"]).state is OrderState.FAILED
    [newest] = [each for each in agent.jobs() if each.order_id == again["request_id"]]
    assert agent.report(agent.csr_report(newest)).status_code == 200
    assert master(app)("POST", f"{PATH}/{found}/retry").json() == {"rows": 0}


def test_a_paused_job_begins_nothing_and_goes_on_where_it_was(app: EnrollApp) -> None:
    machine(app, "l-1.example.org")
    api = master(app)
    found = made(app, api, b"device_name\nl-1.example.org\n", profile_id=app.profile("Machine"))
    api("POST", f"{PATH}/{found}/pause")
    assert app.enroll.bulk.all() == 0
    assert stages(app, found) == {}
    api("POST", f"{PATH}/{found}/resume")
    app.enroll.bulk.all()
    assert stages(app, found) == {"offered": 1}


def test_a_cancelled_job_ends_what_waits_and_what_is_under_way(app: EnrollApp) -> None:
    first, second = machine(app, "l-1.example.org"), machine(app, "l-2.example.org")
    text = "device_name\nl-1.example.org\nl-2.example.org\nl-3.example.org\nbad_name\n"
    found = job(app, text)
    finish(app, first)
    [asked] = second.jobs()
    master(app)("POST", f"{PATH}/{found}/cancel")
    app.enroll.bulk.all()
    assert (state(app, found), stages(app, found)) == ("cancelled", {"installed": 1, "cancelled": 2, "refused": 1})
    assert [each.payload.kind for each in second.jobs()] == ["remove"]
    assert asked.job_id not in {each.job_id for each in second.jobs()}
    again = job(app, text)
    assert (again != found, stages(app, again)) == (True, {"refused": 2, "offered": 1, "waiting": 1})


def test_a_job_that_is_being_read_stops_when_it_is_cancelled(app: EnrollApp) -> None:
    text = "device_name\n" + "".join(f"l-{n}.example.org\n" for n in range(read_rows.BATCH + 10))
    api = master(app)
    found = made(app, api, text.encode(), profile_id=app.profile("Machine"))
    assert app.enroll.bulk.read() == read_rows.BATCH
    api("POST", f"{PATH}/{found}/cancel")
    app.enroll.bulk.all()
    assert stages(app, found) == {"cancelled": read_rows.BATCH}


# Machines


def test_a_tpm_in_the_file_becomes_known_and_finds_its_machine(app: EnrollApp) -> None:
    there, coming = AttestingMachine(app), AttestingMachine(app)
    there.attest()
    api, eks = master(app), [fingerprint_of(there), fingerprint_of(coming)]
    text = "device_name,ek_sha256,label,serial_number\n"
    text += f"l-1.example.org,{eks[0]},Lab 7,PF-1\nl-2.example.org,{eks[1].upper()},,\n"
    found = job(app, text)
    assert stages(app, found) == {"offered": 1, "waiting": 1}
    entries = {each["sha256"]: (each["label"], each["serial_number"]) for each in api.items("/endorsement-keys")}
    assert entries == {eks[0]: ("Lab 7", "PF-1"), eks[1]: ("l-2.example.org", "")}
    assert api("GET", f"{PATH}/{found}").json()["tpms_listed"] == 2
    deeds = [line["action"] for line in api.items("/audit", q=f"target_id:{found}")]
    assert deeds == ["bulk_job.list-tpms", "bulk_job.create"]
    assert coming.attest()["level"] == "listed"
    app.enroll.bulk.all()
    assert stages(app, found) == {"offered": 2}
    assert {row["device_id"] for row in rows(app, found)} == {there.device_id, coming.device_id}


def test_a_machine_of_the_same_name_is_not_the_one_with_the_tpm(app: EnrollApp) -> None:
    found = job(app, f"device_name,ek_sha256\nl-1.example.org,{EK}\n")
    machine(app, "l-1.example.org")
    app.enroll.bulk.all()
    assert stages(app, found) == {"waiting": 1}


def test_a_tpm_that_is_refused_gets_nothing(app: EnrollApp) -> None:
    with app.enroll.transactions.write() as tx:
        tx.add(EndorsementKey(new_id(), None, EK, Ruling.DENY, created_at=app.clock.now()))
    found = job(app, f"device_name,ek_sha256\nl-1.example.org,{EK}\nl-2.example.org,{'cd' * 32}\n")
    assert mistakes(app, found) == [(2, "ek_sha256")]
    assert [each["ruling"] for each in master(app).items("/endorsement-keys", q=f"sha256:{EK}")] == ["deny"]


def test_an_officer_of_a_department_makes_no_tpm_known(app: EnrollApp) -> None:
    with app.enroll.transactions.read() as tx:
        department = next(each.id for each in tx.departments())
    drao = officer(app, Grant(Role.DRAO, organization(app), department))
    found = job(app, f"device_name,ek_sha256\nl-1.example.org,{EK}\n", api=drao, department_id=department)
    assert stages(app, found) == {"waiting": 1}
    assert master(app).items("/endorsement-keys") == []


def test_a_name_is_no_proof_of_which_machine_it_is(app: EnrollApp) -> None:
    api = master(app)
    proven = api.create("/profiles", {
        "name": "Proven", "certificate_type": "device", "key_algorithms": ["ec-p256"], "term_days": [365],
        "subject": "CN={device_name}", "minimum_assurance": "attested",
    })  # fmt: skip
    device = register(app, app.client())
    text = f"device_name,device_id,ek_sha256,profile\nlaptop,,,Proven\nlaptop,{device.id},,Proven\nx,,{EK},Proven\n"
    found = made(app, api, text.encode(), profile_id=proven)
    app.enroll.bulk.all()
    assert mistakes(app, found) == [(2, "ek_sha256")]
    assert stages(app, found) == {"refused": 1, "offered": 1, "waiting": 1}


def test_of_two_machines_with_one_name_neither_is_meant(app: EnrollApp) -> None:
    named = MACHINE.model_copy(update={"hostname": "l-1.example.org"})
    second = [register(app, app.client(), machine=named) for _ in range(2)][1]
    host = "l-1.example.org"
    found = job(app, f"device_name,device_id\n{host},\n{host},{second.id}\n{host},{new_id()}\n")
    assert mistakes(app, found) == [(2, "device_name"), (4, "device_id")]
    assert [row["device_id"] for row in rows(app, found, state="offered")] == [second.id]


def test_a_machine_that_was_removed_meanwhile_is_waited_for_again(app: EnrollApp) -> None:
    device = register(app, app.client(), machine=MACHINE.model_copy(update={"hostname": "l-1.example.org"}))
    found = made(app, master(app), b"device_name\nl-1.example.org\n", profile_id=app.profile("Machine"))
    app.enroll.bulk.read()
    assert stages(app, found) == {"ready": 1}
    assert master(app)("DELETE", f"/devices/{device.id}").status_code == 204
    app.enroll.bulk.all()
    assert stages(app, found) == {"waiting": 1}


def test_a_row_that_missed_its_machine_finds_it_later(app: EnrollApp) -> None:
    found = job(app, "device_name\nl-1.example.org\n")
    device = register(app, app.client())
    with app.enroll.database.write() as session:  # as if both had happened at once
        session.execute(update(t.devices).where(t.devices.c.id == device.id).values(name="L-1.EXAMPLE.ORG"))
    assert [app.enroll.bulk.late() for _ in range(2)] == [1, 0]
    app.enroll.bulk.all()
    assert stages(app, found) == {"offered": 1}


# Servers and persons


def test_rows_may_be_of_servers_and_of_persons(app: EnrollApp) -> None:
    device = register(app, app.client())
    servers = f"device_id,dns_names\n{device.id},www.example.org example.org\n{device.id},www.else.example\n"
    found = job(app, servers, profile="Server")
    assert (mistakes(app, found), stages(app, found)) == ([(3, "dns_names")], {"offered": 1, "refused": 1})
    persons = f"device_id,owner\n{device.id},ada@example.org\n{device.id},\n"
    found = job(app, persons, profile="Person")
    assert (mistakes(app, found), stages(app, found)) == ([(3, "owner")], {"offered": 1, "refused": 1})
    order = app.order(rows(app, found, state="offered")[0]["request_id"])
    assert order.wanted_name == "ada@example.org"


def test_a_row_names_departments_of_the_organization_only(app: EnrollApp) -> None:
    found = job(app, "device_name,department\na.example.org,Radiology\nb.example.org,Elsewhere\n")
    assert (mistakes(app, found), stages(app, found)) == ([(3, "department")], {"waiting": 1, "refused": 1})


# Many at once


def test_no_more_are_under_way_than_may_be(sqlite_url: str, redis_url: str) -> None:
    with enroll_app(sqlite_url, redis_url, bulk_in_flight=2) as app:
        agents = [machine(app, f"l-{n}.example.org") for n in range(5)]
        found = job(app, "device_name\n" + "".join(f"l-{n}.example.org\n" for n in range(5)))
        assert stages(app, found) == {"offered": 2, "ready": 3}
        finish(app, agents[0])
        app.enroll.bulk.all()
        assert stages(app, found) == {"installed": 1, "offered": 2, "ready": 2}
        app.clock.shift += order_rows.STILL + timedelta(seconds=1)
        app.enroll.bulk.all()
        assert stages(app, found) == {"installed": 1, "offered": 4}


def test_organizations_take_turns(app: EnrollApp) -> None:
    other = master(app).create("/organizations", {"name": "Elsewhere", "dns_domains": ["else.example"]})
    text = "device_name\n" + "".join(f"l-{n}.example.org\n" for n in range(read_rows.BATCH * 2))
    large = [made(app, content=f"{text}x{n}.example.org\n".encode(), profile_id=app.profile("Machine")) for n in (1, 2)]
    answer = send(
        master(app), b"device_name\na.else.example\n", organization_id=other, profile_id=app.profile("Machine")
    )
    turns, read = Turns(), dict[str, int]()
    for _ in range(2):
        read_rows.read_rows(app.enroll.transactions, app.clock, turns)
    for each in (*large, answer.json()["id"]):
        read[each] = sum(stages(app, each).values())
    assert sorted(read.values()) == [0, 1, read_rows.BATCH]
    assert read[answer.json()["id"]] == 1


def test_several_workers_do_nothing_twice(app: EnrollApp) -> None:
    size = 60
    agents = [machine(app, f"l-{n}.example.org") for n in range(3)]
    names = [f"l-{n}.example.org" for n in range(size)]
    texts = ["device_name\n" + "\n".join(names), "device_name\n" + "\n".join(reversed(names)) + "\n"]
    jobs = [made(app, content=text.encode(), profile_id=app.profile("Machine")) for text in texts]
    enroll = app.enroll

    def work(_: int) -> None:
        duties = Turns(), Turns()
        for _ in range(6):
            read_rows.read_rows(enroll.transactions, enroll.clock, duties[0])
            order_rows.order_rows(enroll.transactions, enroll.clock, duties[1], 1000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    app.enroll.bulk.all()
    found = [stages(app, each) for each in jobs]
    assert sum(each.get("refused", 0) for each in found) == size
    assert sum(each.get("waiting", 0) + each.get("offered", 0) for each in found) == size
    assert count(app, t.orders) == 3
    for agent in agents:
        assert len(agent.jobs()) == 1


SIZES = [
    pytest.param(read_rows.BATCH * 2 + 20, id="some"),
    pytest.param(10_000, id="ten thousand", marks=pytest.mark.chaos),
]


def fleet(app: EnrollApp, size: int) -> tuple[str, list[Agent]]:
    """A job of so many machines, and those three of them that are there."""
    agents = [machine(app, f"l-{n}.example.org") for n in range(3)]
    text = "device_name\n" + "".join(f"l-{n}.example.org\n" for n in range(size))
    return made(app, content=text.encode(), profile_id=app.profile("Machine")), agents


def assert_all_was_done_once(app: EnrollApp, found: str, agents: list[Agent], size: int) -> None:
    app.enroll.bulk.all()
    assert stages(app, found) == {"waiting": size - 3, "offered": 3}
    assert (count(app, b.rows), count(app, t.orders)) == (size, 3)
    for agent in agents:
        finish(app, agent)
    assert len(app.certificates()) == 3


@pytest.mark.parametrize("size", SIZES)
def test_a_worker_that_is_killed_again_and_again_does_everything_once(app: EnrollApp, size: int) -> None:
    found, agents = fleet(app, size)
    with BulkWorker(app.enroll.settings, slowly=0.05) as worker:
        for least in range(1, size, max(read_rows.BATCH, size // 10)):
            worker.start()
            wait_until(partial(lambda least: count(app, b.rows) >= least, least), "some rows", seconds=120)
            worker.kill()
        worker.start()
        wait_until(lambda: stages(app, found).get("offered") == 3, "the requests", seconds=120)
        wait_until(lambda: count(app, b.rows) == size, "all rows", seconds=240)
    assert_all_was_done_once(app, found, agents, size)


@pytest.mark.postgres
@pytest.mark.parametrize("size", SIZES)
def test_a_database_that_goes_away_meanwhile_costs_nothing_and_doubles_nothing(
    _postgres: PostgresServer, redis_url: str, size: int
) -> None:
    """All connections are cut, as when PostgreSQL is restarted: what was not committed is gone."""
    with _postgres.database() as url, enroll_app(url, redis_url) as app:
        found, agents = fleet(app, size)
        with BulkWorker(app.enroll.settings, slowly=0.1) as worker:
            worker.start()
            wait_until(lambda: count(app, b.rows) > 0, "the first rows", seconds=60)
            for pause in range(8):
                _postgres.cut(url)
                time.sleep(pause / 20)  # each time in the middle of something else
            wait_until(lambda: count(app, b.rows) == size, "all rows", seconds=240)
            wait_until(lambda: stages(app, found).get("offered") == 3, "the requests", seconds=120)
            assert worker.process is not None and worker.process.poll() is None
        assert_all_was_done_once(app, found, agents, size)


def fingerprint_of(machine: AttestingMachine) -> str:
    """The SHA-256 of its endorsement key."""
    return sha256(spki(machine.tpm.endorsement)).hexdigest()
