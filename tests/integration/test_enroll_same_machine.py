"""Of machines with one TPM one is the organization's: who says which, and what happens when several claim it."""

from __future__ import annotations

import hashlib
import html
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select
from tests.integration.test_enroll_attestation import app as app
from tests.integration.test_enroll_attestation import device, list_key, ordered, roots
from tests.integration.test_enroll_devices import Registered, signed_in
from tests.support.administrators import Api, console, master, officer
from tests.support.attesting_machine import AttestingMachine, spki
from tests.support.enroll_app import EnrollApp, enroll_app

from keystead_contracts.agent import Routes
from keystead_contracts.base import AssuranceLevel
from keystead_enroll.adapters.attestation_tables import challenges, keys
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.endorsement_keys import Ruling


def test_a_machine_with_a_new_device_key_waits_for_an_administrator(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    again = AttestingMachine(app, machine.tpm, machine.certificates)
    result = again.attest()
    assert (result["level"], result["reasons"][0]["code"]) == ("claimed", "device.same_machine")
    assert "registered here already, as laptop" in result["reasons"][0]["text"]
    assert device(app, again).same_as == machine.device_id
    browser = app.browser("Proven")
    offered = browser.get(f"/request?profile={app.profile('Attested')}").text
    assert (machine.device_id in offered, again.device_id in offered) == (True, False)
    browser.mistakes(browser.request("Attested", target=again.device_id))


def test_an_administrator_says_that_it_is_the_same_machine(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id, _, _ = ordered(app, machine, "Vendor")
    again = AttestingMachine(app, machine.tpm, machine.certificates)
    again.attest()
    api: Api = master(app)
    shown = api("GET", f"/devices/{again.device_id}").json()
    assert (shown["same_as"], shown["assurance"]) == (machine.device_id, "claimed")
    for _ in range(2):
        confirmed = api("POST", f"/devices/{again.device_id}/same-machine")
        assert confirmed.status_code == 200, confirmed.text
        assert (confirmed.json()["same_as"], confirmed.json()["assurance"]) == (None, "vendor")
    assert device(app, machine) is None
    assert [token["uses"] for token in api.items("/registration-tokens")] == [1], "one computer, whatever became of it"
    agent = signed_in(app, Registered(again.device_id, again.key.key), again.client)  # type: ignore[arg-type]
    [job] = agent.jobs()
    assert job.order_id == order_id
    assert agent.report(again.report(agent, job)).status_code == 200
    assert app.order(order_id).assurance is AssuranceLevel.VENDOR


def test_policy_may_say_so(database_url: str, redis_url: str) -> None:
    with enroll_app(database_url, redis_url, ek_roots_folder=roots(), same_machine="replace") as app:
        machine = AttestingMachine.made(app)
        machine.attest()
        again = AttestingMachine(app, machine.tpm, machine.certificates)
        assert again.attest()["level"] == "vendor"
        assert device(app, machine) is None


def test_a_device_that_was_removed_is_nobodys_earlier_self(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    machine.register()
    assert master(app)("DELETE", f"/devices/{machine.device_id}").status_code == 204
    with app.enroll.database.read() as session:
        assert [session.execute(select(table)).all() for table in (challenges, keys)] == [[], []]
    again = AttestingMachine(app, machine.tpm, machine.certificates)
    assert again.attest()["level"] == "vendor"


def twice(app: EnrollApp) -> tuple[AttestingMachine, AttestingMachine]:
    """A machine, and the same one set up anew."""
    machine = AttestingMachine.made(app)
    machine.attest()
    again = AttestingMachine(app, machine.tpm, machine.certificates)
    again.attest()
    return machine, again


def test_a_machine_that_registers_twice_at_once_is_one(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    twins = [AttestingMachine(app, machine.tpm, machine.certificates) for _ in range(4)]
    answers = [(twin, twin.answer(twin.register())) for twin in twins]
    with ThreadPoolExecutor(len(twins)) as pool:
        done = list(pool.map(lambda pair: pair[0].send(pair[1]), answers))
    assert [answer.status_code for answer in done] == [200] * len(twins)
    assert sorted(answer.json()["level"] for answer in done) == ["claimed"] * 3 + ["vendor"]
    assert sum(device(app, twin).ek_sha256 is not None for twin in twins) == 1


def test_of_some_that_take_a_place_at_once_one_has_it(database_url: str, redis_url: str) -> None:
    with enroll_app(database_url, redis_url, ek_roots_folder=roots(), same_machine="replace") as app:
        machine = AttestingMachine.made(app)
        machine.attest()
        twins = [AttestingMachine(app, machine.tpm, machine.certificates) for _ in range(5)]
        answers = [(twin, twin.answer(twin.register())) for twin in twins]
        with ThreadPoolExecutor(len(twins)) as pool:
            done = list(pool.map(lambda pair: pair[0].send(pair[1]), answers))
        assert {each.status_code for each in done} <= {200, 409}
        left = [found for found in (device(app, each) for each in (machine, *twins)) if found is not None]
        assert [each.ek_sha256 is not None for each in left if each.same_as is None] == [True]


def test_an_answer_that_arrives_twice_at_once_has_one_result(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    answer = machine.answer(machine.register())
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(
                lambda client: client.post(Routes.ATTESTATION, json=answer.model_dump(mode="json")),
                [app.client() for _ in range(4)],
            )
        )
    assert [each.json()["level"] for each in done] == ["vendor"] * 4


def test_two_challenges_that_are_answered_at_once_are_both_good(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    answers = [machine.answer(machine.register()) for _ in range(6)]
    with ThreadPoolExecutor(len(answers)) as pool:
        done = list(pool.map(machine.send, answers))
    assert [(each.status_code, each.json().get("level")) for each in done] == [(200, "vendor")] * len(answers)


def test_a_tpm_that_is_denied_meanwhile_takes_nobody_s_place(app: EnrollApp) -> None:
    machine, again = twice(app)
    list_key(app, device(app, machine).ek_sha256, Ruling.DENY)
    assert master(app)("POST", f"/devices/{again.device_id}/same-machine").status_code == 409
    assert (device(app, machine) is not None, device(app, again).assurance) == (True, AssuranceLevel.CLAIMED)


def test_who_takes_a_place_has_the_level_that_its_tpm_has_now(app: EnrollApp) -> None:
    machine = AttestingMachine(app)
    machine.register()
    fingerprint = hashlib.sha256(spki(machine.tpm.endorsement)).hexdigest()
    machine.attest()
    again = AttestingMachine(app, machine.tpm)
    again.attest()
    list_key(app, fingerprint)
    done = master(app)("POST", f"/devices/{again.device_id}/same-machine").json()
    assert (done["assurance"], done["ek_sha256"]) == ("listed", fingerprint)


def test_only_who_rules_the_organization_says_which_machine_is_which(app: EnrollApp) -> None:
    machine, again = twice(app)
    path = f"/devices/{again.device_id}/same-machine"
    with app.enroll.transactions.read() as tx:
        own = device(app, again).organization_id
        department = tx.departments()[0].id
    other = master(app).create("/organizations", {"name": "Elsewhere"})
    outsider = officer(app, Grant(Role.RAO, other))
    assert outsider("POST", path).status_code == 404
    below = officer(app, Grant(Role.DRAO, own, department))
    assert below("POST", path).status_code in (403, 404)
    assert device(app, again).same_as == machine.device_id
    assert officer(app, Grant(Role.RAO, own))("POST", path).status_code == 200
    [entry] = [each for each in master(app).items("/audit") if each["action"] == "device.take_place"]
    assert entry["details"]["earlier device"] == machine.device_id


def test_of_two_that_wait_the_one_that_is_confirmed_last_stays(app: EnrollApp) -> None:
    machine, second = twice(app)
    third = AttestingMachine(app, machine.tpm, machine.certificates)
    third.attest()
    api = master(app)
    for each in (second, third):
        assert api("POST", f"/devices/{each.device_id}/same-machine").json()["assurance"] == "vendor"
    assert [device(app, each) is None for each in (machine, second, third)] == [True, True, False]


def test_the_console_asks_whether_it_is_the_same_computer(app: EnrollApp) -> None:
    machine, again = twice(app)
    visit = console(app)
    page = visit.get(f"/devices/{again.device_id}").text
    assert "Its TPM is that of a computer that is registered already." in html.unescape(page)
    asked = visit.get(f"/devices/{again.device_id}/same-machine").text
    assert "Is laptop the same computer, set up anew?" in asked
    done = visit.follow(visit.send(f"/devices/{again.device_id}/same-machine")).text
    assert "Genuine TPM, proven" in done
    assert device(app, machine) is None
