"""A machine shows enroll which TPM it has and that its keys are in it: registration, links, a device's orders."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select
from tests.integration.test_enroll_devices import Registered, signed_in
from tests.support.administrators import master
from tests.support.attesting_machine import AttestingMachine, roots_folder
from tests.support.enroll_app import Agent, EnrollApp, enroll_app, problem_code
from tests.support.software_tpm import SoftwareTpm

from keystead_contracts.agent import DeviceJob, MakeKeyAndCsr, Routes
from keystead_contracts.attestation import CredentialChallenge
from keystead_contracts.base import AssuranceLevel
from keystead_enroll.adapters.attestation_tables import challenges
from keystead_enroll.adapters.store import CHALLENGES_KEPT
from keystead_enroll.domain.endorsement_keys import EndorsementKey, Ruling
from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_again
from keystead_enroll.usecases.challenge_tpm import MOST_OPEN
from keystead_enroll.usecases.register_devices import CHALLENGE_LIFE
from keystead_enroll.usecases.show_evidence import Mark, evidence_file, show_evidence
from keystead_kit.secrets import new_id

PROVEN: dict[str, Any] = {
    "profiles": [
        {
            "name": level.title(),
            "type": "client",
            "key_algorithms": ["ec-p256"],
            "term_days": [365],
            "subject": "CN={name|email}, O={organization}",
            "subject_alternative_names": ["email:{email}"],
            "minimum_assurance": level,
        }
        for level in ("attested", "listed", "vendor")
    ],
    "forms": [
        {
            "name": "Proven",
            "type": "client",
            "accounts": [
                {"name": "Proven", "organization": "Example Hospital", "profiles": ["Attested", "Listed", "Vendor"]}
            ],
        }
    ],
}


@cache
def roots() -> Path:
    return roots_folder(Path(tempfile.mkdtemp(prefix="keystead-roots-")))


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url, ek_roots_folder=roots()) as app:
        app.uris |= app.apply(PROVEN)
        yield app


def list_key(app: EnrollApp, sha256: str, ruling: Ruling = Ruling.ALLOW) -> None:
    """An administrator's entry for all organizations."""
    with app.enroll.transactions.write() as tx:
        tx.add(EndorsementKey(new_id(), None, sha256, ruling, created_at=app.clock.now()))


def device(app: EnrollApp, machine: AttestingMachine) -> Any:
    with app.enroll.transactions.read() as tx:
        return tx.device(machine.device_id)


def ordered(app: EnrollApp, machine: AttestingMachine, profile: str) -> tuple[str, Agent, DeviceJob]:
    """An order of Ada's for the registered machine; its agent and first job."""
    order_id = app.browser("Proven").order(profile, target=machine.device_id)
    agent = signed_in(app, Registered(machine.device_id, machine.key.key), machine.client)  # type: ignore[arg-type]
    [job] = agent.jobs()
    return order_id, agent, job


def linked(
    app: EnrollApp, machine: AttestingMachine, profile: str = "Attested"
) -> tuple[str, Agent, DeviceJob, CredentialChallenge]:
    """An order whose link the machine has redeemed; its agent, first job and challenge."""
    browser = app.browser("Proven")
    order_id = browser.order(profile)
    agent, challenge = machine.redeem(browser.link(order_id).claim)
    assert challenge is not None
    [job] = agent.jobs()
    return order_id, agent, job, challenge


def record(app: EnrollApp, order_id: str) -> EvidenceRecord:
    with app.enroll.transactions.read() as tx:
        order = tx.order(order_id)
        assert order is not None
        return evidence_file(tx, order)


def test_a_device_whose_maker_is_trusted_reaches_vendor_and_so_do_its_orders(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    assert machine.attest()["level"] == "vendor"
    assert device(app, machine).assurance is AssuranceLevel.VENDOR
    for _ in range(2):
        order_id, agent, job = ordered(app, machine, "Vendor")
        assert agent.report(machine.report(agent, job)).json() == {"order_state": "csr_accepted"}
        app.work()
        [job] = agent.jobs()
        assert agent.report(agent.installed_report(job)).json() == {"order_state": "installed"}
        assert app.order(order_id).assurance is AssuranceLevel.VENDOR
    assert {row.assurance for row in app.certificates()} == {"vendor"}


def test_a_link_reaches_vendor_in_one_round(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    order_id, agent, job, challenge = linked(app, machine, "Vendor")
    assert agent.report(machine.report(agent, job, challenge)).json() == {"order_state": "csr_accepted"}
    assert app.order(order_id).assurance is AssuranceLevel.VENDOR


def test_a_tpm_on_the_list_reaches_listed_and_another_attested(app: EnrollApp) -> None:
    machine, other = AttestingMachine(app), AttestingMachine(app)
    assert machine.attest()["level"] == other.attest()["level"] == "attested"
    list_key(app, device(app, machine).ek_sha256)
    assert machine.attest()["level"] == "listed"
    assert other.attest()["level"] == "attested"
    _, agent, job = ordered(app, machine, "Listed")
    assert agent.report(machine.report(agent, job)).status_code == 200


def test_a_tpm_that_is_denied_is_refused_everywhere(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id, agent, job = ordered(app, machine, "Attested")
    list_key(app, device(app, machine).ek_sha256, Ruling.DENY)
    refused = agent.report(machine.report(agent, job))
    assert (refused.status_code, problem_code(refused)) == (422, "evidence-refused")
    assert app.order(order_id).failure_code == "endorsement_key.not_denied.failed"
    again = machine.client.post(Routes.DEVICES, json=machine.registration())
    assert (again.status_code, problem_code(again)) == (422, "evidence-refused")
    browser = app.browser("Proven")
    claim = browser.link(browser.order("Attested")).claim
    with pytest.raises(AssertionError, match="evidence-refused"):
        machine.redeem(claim)


def test_a_profile_that_demands_more_is_refused_before_anything_is_issued(app: EnrollApp) -> None:
    machine = AttestingMachine(app)
    order_id, agent, job, challenge = linked(app, machine, "Vendor")
    refused = agent.report(machine.report(agent, job, challenge))
    assert problem_code(refused) == "evidence-refused"
    assert "nobody here knows this TPM" in refused.json()["detail"]
    order = app.order(order_id)
    assert (order.state, order.failure_code, order.assurance) == ("failed", "assurance.too_low", "attested")
    assert "needs a key in a TPM that its manufacturer vouches for" in order.failure_reason
    assert app.work() == 0
    assert app.certificates() == []


def test_an_agent_that_proves_nothing_works_as_before(app: EnrollApp) -> None:
    machine = AttestingMachine(app)
    assert machine.client.post(Routes.DEVICES, json=machine.registration(attestation=None)).json()["challenge"] is None
    browser = app.browser()
    order_id = browser.order()
    agent, challenge = machine.redeem(browser.link(order_id).claim, attestation=None)
    assert challenge is None
    [job] = agent.jobs()
    assert agent.report(machine.report(agent, job, certification=None)).status_code == 200
    assert app.order(order_id).assurance is AssuranceLevel.CLAIMED


def test_one_that_proves_nothing_does_not_get_what_demands_proof(app: EnrollApp) -> None:
    machine = AttestingMachine(app)
    order_id, agent, job, _ = linked(app, machine)
    refused = agent.report(machine.report(agent, job, certification=None))
    assert problem_code(refused) == "evidence-refused"
    assert app.order(order_id).failure_code == "assurance.too_low"


def test_registering_again_is_the_same_device(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    first, second = machine.register(), machine.register()
    device_id = machine.device_id
    for challenge in (second, first):
        assert machine.send(machine.answer(challenge)).json()["level"] == "vendor"
    assert machine.attest()["level"] == "vendor"
    assert machine.device_id == device_id


def test_an_answer_that_arrives_twice_has_one_result(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    answer = machine.answer(machine.register())
    first, second = machine.send(answer), machine.send(answer)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert first.json()["level"] == "vendor"


def test_a_link_redeemed_again_leaves_earlier_challenges_open(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    browser = app.browser("Proven")
    claim = browser.link(browser.order("Vendor")).claim
    agent, first = machine.redeem(claim)
    machine.redeem(claim, secret=agent.secret)
    other = cleared(machine)
    other.redeem(claim, secret=agent.secret)
    [job] = agent.jobs()
    assert agent.report(machine.report(agent, job, first)).status_code == 200


def cleared(machine: AttestingMachine) -> AttestingMachine:
    """The same TPM after it was cleared: another attestation key."""
    return AttestingMachine(machine.app, SoftwareTpm(machine.tpm.endorsement), machine.certificates, machine.key)


def test_a_report_that_arrives_twice_has_one_effect(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    _, agent, job, challenge = linked(app, machine)
    report = machine.report(agent, job, challenge)
    answers = [agent.report(report) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"order_state": "csr_accepted"}] * 2


def test_a_refused_report_that_arrives_twice_is_refused_twice(app: EnrollApp) -> None:
    machine = AttestingMachine(app)
    _, agent, job, challenge = linked(app, machine, "Vendor")
    report = machine.report(agent, job, challenge)
    first, second = agent.report(report), agent.report(report)
    assert first.status_code == second.status_code == 422
    assert first.json()["detail"] == second.json()["detail"]


def test_the_evidence_that_is_kept_can_be_judged_again_by_itself(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id, agent, job = ordered(app, machine, "Vendor")
    agent.report(machine.report(agent, job))
    kept = EvidenceRecord.model_validate_json(record(app, order_id).model_dump_json())
    assert judge_again(kept).record == kept
    assert kept.level is AssuranceLevel.VENDOR
    assert all(finding.held for finding in kept.findings if finding.code != "endorsement_key.listed.failed")


def test_evidence_that_was_refused_is_kept_with_the_reason(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    order_id, agent, job, challenge = linked(app, machine)
    wrong = machine.certify(base64.b64encode(bytes(32)).decode(), job.order_id)
    agent.report(machine.report(agent, job, challenge, key=machine.key, certification=wrong))
    kept = record(app, order_id)
    assert kept.level is None
    assert [finding.code for finding in kept.failures] == ["key.nonce.failed"]
    assert judge_again(kept).record == kept


def test_why_a_key_is_believed_is_told_in_groups(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    order_id, agent, job, challenge = linked(app, machine)
    agent.report(machine.report(agent, job, challenge))
    with app.enroll.transactions.read() as tx:
        order = tx.order(order_id)
        shown = show_evidence(tx, order) if order else None
    assert shown is not None and shown.tpm is not None
    assert [group.subject for group in shown.groups] == [
        "Key", "Attestation key", "Endorsement key", "Endorsement certificate",
    ]  # fmt: skip
    marks = {line.code: line.mark for group in shown.groups for line in group.lines}
    assert {code for code, mark in marks.items() if mark is not Mark.HELD} == {"endorsement_key.listed.failed"}
    assert shown.tpm.manufacturer == "id:4B455953"
    assert [authority.name for authority in shown.tpm.authorities] == ["CN=Chips Root"]


def test_a_clock_that_went_back_is_noted_and_refuses_nothing(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id, agent, job = ordered(app, machine, "Vendor")
    assert isinstance(job.payload, MakeKeyAndCsr)
    said = machine.certify(job.payload.attestation_nonce, job.order_id, machine.key, milliseconds=1)
    assert agent.report(machine.report(agent, job, key=machine.key, certification=said)).status_code == 200
    assert "key.clock.failed" in {each.code for each in record(app, order_id).findings}


def test_challenges_that_are_over_are_forgotten(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.register()
    app.clock.shift += CHALLENGE_LIFE + CHALLENGES_KEPT
    app.enroll.transactions.prune(app.clock.now())
    with app.enroll.database.read() as session:
        assert session.execute(select(challenges)).all() == []


def test_a_device_has_some_challenges_and_no_more(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    asked = [machine.register() for _ in range(MOST_OPEN + 1)]
    assert machine.send(machine.answer(asked[0])).status_code == 422
    assert machine.send(machine.answer(asked[1])).json()["level"] == "vendor"


# What is told of it


def kept_certificate(app: EnrollApp, machine: AttestingMachine) -> str:
    """A certificate whose key the machine proved; its id."""
    _, agent, job, challenge = linked(app, machine)
    agent.report(machine.report(agent, job, challenge))
    app.work()
    return str(app.certificates()[0].id)


def test_the_api_hands_the_evidence_out(app: EnrollApp) -> None:
    certificate_id = kept_certificate(app, AttestingMachine.made(app))
    api = master(app)
    shown = api("GET", f"/certificates/{certificate_id}").json()
    assert shown["assurance"] == "vendor"
    assert {"code": "key.fixed_tpm", "passed": True} in [
        {name: each[name] for name in ("code", "passed")} for each in shown["evidence"]
    ]
    for path in (f"/certificates/{certificate_id}", f"/requests/{shown['request_id']}"):
        answer = api("GET", f"{path}/evidence")
        assert answer.headers["content-disposition"].endswith('.evidence.json"')
        given = EvidenceRecord.model_validate_json(answer.text)
        assert judge_again(given).record == given
        assert "BEGIN CERTIFICATE" in given.certificate_pem


def test_a_request_without_a_key_has_no_evidence(app: EnrollApp) -> None:
    order_id = app.browser("Proven").order("Attested")
    assert master(app)("GET", f"/requests/{order_id}/evidence").status_code == 404


def test_what_is_judged_is_counted(app: EnrollApp) -> None:
    def counted(level: str, outcome: str) -> float:
        labels = {"of": "request", "level": level, "outcome": outcome}
        return REGISTRY.get_sample_value("keystead_keys_judged_total", labels) or 0

    before = counted("vendor", "accepted"), counted("attested", "refused")
    kept_certificate(app, AttestingMachine.made(app))
    machine = AttestingMachine(app)
    _, agent, job, challenge = linked(app, machine, "Vendor")
    report = machine.report(agent, job, challenge)
    for _ in range(2):
        agent.report(report)
    assert (counted("vendor", "accepted"), counted("attested", "refused")) == (before[0] + 1, before[1] + 1)
