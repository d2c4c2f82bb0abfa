"""Lies in reports on orders: evidence of another order, server, TPM or key is none."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from tests.attacks.attestation.test_endpoint import app as app
from tests.attacks.attestation.test_endpoint import nonce_of, refused
from tests.integration.test_enroll_attestation import cleared, linked, ordered, record
from tests.integration.test_enroll_devices import Registered, signed_in
from tests.support import software_tpm as soft
from tests.support.attesting_machine import AttestingMachine, spki, text
from tests.support.enroll_app import EnrollApp

from keystead_contracts.agent import CsrReady, Report, TpmEvidence
from keystead_contracts.attestation import purpose_at, qualifying_data


def test_the_nonce_of_another_order_is_not_this_one_s(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    first, agent, job = ordered(app, machine, "Attested")
    key = soft.application_key()
    replayed = machine.certify(nonce_of(job), job.order_id, key)
    assert agent.report(machine.report(agent, job, key=key, certification=replayed)).status_code == 200
    second, agent, job = _next(app, machine)
    other = soft.application_key()
    said = machine.certify(record(app, first).nonce, job.order_id, other)
    assert refused(agent.report(machine.report(agent, job, key=other, certification=said)), "evidence-refused")
    assert app.order(second).failure_code == "key.nonce.failed"
    third, agent, job = _next(app, machine)
    assert refused(agent.report(machine.report(agent, job, key=key, certification=replayed)))
    assert app.order(third).state == "failed"


def test_what_a_tpm_said_for_another_server_is_nothing_here(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id, agent, job = ordered(app, machine, "Attested")
    key = soft.application_key()
    asked = qualifying_data(
        base64.b64decode(nonce_of(job)), purpose_at("https://relay.example", job.order_id), spki(key)
    )
    relayed = machine.certify(nonce_of(job), job.order_id, key, extra=asked)
    assert refused(agent.report(machine.report(agent, job, key=key, certification=relayed)), "evidence-refused")
    assert app.order(order_id).failure_code == "key.nonce.failed"


def _next(app: EnrollApp, machine: AttestingMachine) -> tuple[str, Any, Any]:
    order_id = app.browser("Proven").order("Attested", target=machine.device_id)
    agent = signed_in(app, Registered(machine.device_id, machine.key.key), machine.client)  # type: ignore[arg-type]
    return order_id, agent, next(job for job in agent.jobs() if job.order_id == order_id)


def test_the_challenge_of_another_link_opens_nothing_here(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    _, _, _, other = linked(app, machine)
    order_id, agent, job, _ = linked(app, machine)
    assert refused(agent.report(machine.report(agent, job, other)), "evidence-refused")
    assert app.order(order_id).failure_code == "key.signer_known.failed"


def test_a_link_s_attestation_key_that_did_not_prove_itself_vouches_for_nothing(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    order_id, agent, job, _ = linked(app, machine)
    assert refused(agent.report(machine.report(agent, job)), "evidence-refused")
    assert app.order(order_id).failure_code == "key.signer_known.failed"


def test_an_activation_serves_one_report(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    browser = app.browser("Proven")
    order_id = browser.order("Attested")
    agent, challenge = machine.redeem(browser.link(order_id).claim)
    [job] = agent.jobs()
    report = machine.report(agent, job, challenge)
    assert agent.report(report).status_code == 200
    assert refused(agent.report(machine.report(agent, job, challenge)), "job-already-reported")
    assert challenge is not None
    with app.enroll.transactions.write() as tx:
        used = tx.challenge(challenge.challenge_id)
        assert used is not None
        assert (used.secret, used.answered_at is None) == (None, False)


def test_a_registered_device_s_order_is_not_proven_by_another_tpm(app: EnrollApp) -> None:
    machine, other = AttestingMachine.made(app), AttestingMachine.made(app)
    machine.attest()
    other.attest()
    order_id, agent, job = ordered(app, machine, "Attested")
    assert refused(agent.report(other.report(agent, job)), "evidence-refused")
    assert app.order(order_id).failure_code == "key.signer_known.failed"


def test_an_attestation_key_that_never_proved_itself_vouches_for_nothing(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id, agent, job = ordered(app, machine, "Attested")
    assert refused(agent.report(cleared(machine).report(agent, job)), "evidence-refused")
    assert app.order(order_id).failure_code == "key.signer_known.failed"


def test_the_activation_of_a_device_s_report_was_not_asked_for(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    _, _, _, challenge = linked(app, machine)
    order_id, agent, job = ordered(app, machine, "Attested")
    assert refused(agent.report(machine.report(agent, job, challenge)), "evidence-refused")
    assert app.order(order_id).state == "failed"


def test_a_certification_that_nobody_asked_for_is_refused(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.register()
    order_id = app.browser().order(target=machine.device_id)
    agent = signed_in(app, Registered(machine.device_id, machine.key.key), machine.client)  # type: ignore[arg-type]
    [job] = agent.jobs()
    assert nonce_of(job) == ""
    said = machine.certify(text(bytes(32)), job.order_id, machine.key)
    answer = agent.report(machine.report(agent, job, key=machine.key, certification=said))
    assert refused(answer, "evidence-refused")
    assert "was not asked" in answer.json()["detail"]
    assert app.order(order_id).state == "failed"


def test_a_software_key_with_a_tpm_s_word_for_another_is_refused(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    order_id, agent, job, challenge = linked(app, machine)
    honest = machine.report(agent, job, challenge)
    assert isinstance(honest.body, CsrReady)
    stranger = soft.application_key()
    body = honest.body.model_copy(update={"csr_pem": agent.csr(job, stranger.key)})
    assert refused(agent.report(Report(job_id=job.job_id, body=body)), "evidence-refused")
    assert app.order(order_id).failure_code in ("key.nonce.failed", "key.requested_key.failed")


def test_evidence_is_never_lowered_to_a_level_that_does(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    browser = app.browser()
    order_id = browser.order("Person")  # which takes a key in a file
    agent, challenge = machine.redeem(browser.link(order_id).claim)
    [job] = agent.jobs()
    key = soft.application_key()
    said = machine.certify(nonce_of(job), job.order_id, key, magic=0)
    assert refused(agent.report(machine.report(agent, job, challenge, key=key, certification=said)))
    assert app.order(order_id).state == "failed"


def test_a_report_with_a_public_area_of_another_kind_is_refused(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    order_id, agent, job, challenge = linked(app, machine)
    restricted = soft.application_key(attributes=soft.KEY_ATTRIBUTES | soft.RESTRICTED)
    assert refused(agent.report(machine.report(agent, job, challenge, key=restricted)), "evidence-refused")
    assert app.order(order_id).failure_code == "key.unrestricted.failed"


def test_evidence_of_one_key_is_not_that_of_its_twin(app: EnrollApp) -> None:
    """The certified key and the public area that comes along differ in one attribute."""
    machine = AttestingMachine.made(app)
    order_id, agent, job, challenge = linked(app, machine)
    key = soft.application_key()
    twin = replace(key, attributes=key.attributes | (1 << 10))
    assert refused(
        agent.report(machine.report(agent, job, challenge, key=key, public_area=text(twin.public))), "evidence-refused"
    )
    assert app.order(order_id).failure_code == "key.name.failed"


def test_what_was_proven_for_one_is_not_taken_for_the_evidence_of_an_old_agent(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    _, agent, job, challenge = linked(app, machine)
    report = machine.report(agent, job, challenge, certification=None)
    assert isinstance(report.body, CsrReady) and isinstance(report.body.evidence, TpmEvidence)
    assert refused(agent.report(report), "evidence-refused")  # the profile demands `attested`, and this shows `claimed`
