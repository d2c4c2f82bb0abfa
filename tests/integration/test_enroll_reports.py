"""What agents report on their jobs: checked, taken once, and told to nobody else."""

from __future__ import annotations

import re
import threading
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.enroll_app import (
    BOB,
    EnrollApp,
    issued,
    problem_code,
    started,
)
from tests.unit.enroll_pki.samples import evidence, pem_of, tpm2b, tpmt_public

from keystead_contracts.agent import Failed, Removed, Report, probe_input
from keystead_enroll.domain.orders import OrderState


def test_a_report_may_be_repeated(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    report = agent.csr_report(job)
    assert agent.report(report).status_code == 200
    app.work()
    again = agent.report(report)
    assert (again.status_code, again.json()) == (200, {"order_state": "issued"})
    assert len(app.certificates()) == 1
    measured = report.model_copy(update={"body": report.body.model_copy(update={"duration_ms": 9.0})})
    assert agent.report(measured).status_code == 200
    other = agent.report(Report(job_id=job.job_id, body=Failed(code="internal", detail="no")))
    assert (other.status_code, problem_code(other)) == (409, "job-already-reported")
    assert app.order(order_id).state is OrderState.ISSUED


def test_another_agents_job_is_as_if_it_were_not_there(app: EnrollApp) -> None:
    _, _, agent, job = started(app)
    _, _, stranger, _ = started(app, email=BOB)
    answers = [stranger.report(agent.csr_report(job))]
    answers.append(stranger.report(Report(job_id="0" * 32, body=Removed())))
    assert [(a.status_code, problem_code(a), a.json()["detail"]) for a in answers] == [
        (404, "job-not-yours", "There is no such job for this agent.")
    ] * 2
    assert agent.report(agent.csr_report(job)).status_code == 200


def test_a_report_that_answers_another_kind_of_job_leaves_the_job_open(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    response = agent.report(Report(job_id=job.job_id, body=Removed()))
    assert (response.status_code, problem_code(response)) == (422, "report-refused")
    assert app.order(order_id).state is OrderState.OFFERED
    assert agent.report(agent.csr_report(job)).status_code == 200


def test_a_report_at_another_jobs_address_is_refused(app: EnrollApp) -> None:
    _, _, agent, job = started(app)
    body = agent.csr_report(job).model_dump(mode="json")
    response = agent.client.post(f"/api/agent/jobs/{'0' * 32}/report", json=body, headers=agent.headers)
    assert (response.status_code, problem_code(response)) == (422, "malformed")


CN = x509.NameOID.COMMON_NAME


BAD_REQUESTS = ["other algorithm", "other curve", "other names", "bad signature", "not a request", "two requests"]


def _bad_csr(agent: Any, job: Any, what: str) -> str:
    pem = agent.csr(job)
    match what:
        case "other algorithm":
            return agent.csr(job, rsa.generate_private_key(65537, 2048))
        case "other curve":
            return agent.csr(job, ec.generate_private_key(ec.SECP384R1()))
        case "other names":
            return agent.csr(job, subject=x509.Name([x509.NameAttribute(CN, "Grace")]))
        case "bad signature":
            der = bytearray(x509.load_pem_x509_csr(pem.encode()).public_bytes(Encoding.DER))
            der[-1] ^= 1
            return pem_of(bytes(der))
        case "two requests":
            return pem + pem
    return "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_a_bad_request_ends_the_order_with_the_reason(lite: EnrollApp, what: str) -> None:
    browser, order_id, agent, job = started(lite)
    report = agent.csr_report(job, csr_pem=_bad_csr(agent, job, what))
    first = agent.report(report)
    assert (first.status_code, problem_code(first)) == (422, "csr-refused")
    assert first.json()["detail"]
    assert first.json()["advice"]
    order = lite.order(order_id)
    assert (order.state, order.failure_code) == (OrderState.FAILED, "csr-refused")
    assert order.failure_reason.lower() == first.json()["detail"].lower()
    again = agent.report(report)
    same = ("status", "type", "detail", "advice")
    assert [again.json()[name] for name in same] == [first.json()[name] for name in same]
    good = agent.report(agent.csr_report(job))
    assert (good.status_code, problem_code(good)) == (409, "job-already-reported")
    assert len(lite.facts("enrollment_failed")) == 1
    assert lite.work() == 0
    assert order.trace_id in browser.get(f"/orders/{order_id}").text


def test_an_oversized_request_is_malformed_and_can_be_sent_again(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    body = agent.csr_report(job).model_dump(mode="json")
    body["body"]["csr_pem"] = "x" * 16385
    response = agent.client.post(f"/api/agent/jobs/{job.job_id}/report", json=body, headers=agent.headers)
    assert (response.status_code, problem_code(response)) == (422, "malformed")
    assert app.order(order_id).state is OrderState.OFFERED


def test_evidence_for_another_key_ends_the_order(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    response = agent.report(agent.csr_report(job, evidence=evidence(tpm2b(tpmt_public(other)))))
    assert (response.status_code, problem_code(response)) == (422, "evidence-refused")
    assert app.order(order_id).failure_code == "evidence-refused"


def test_evidence_for_the_key_is_recorded(app: EnrollApp) -> None:
    browser = app.browser()
    order_id = browser.order("Person in TPM")
    agent = app.agent()
    agent.redeem(browser.link(order_id).claim)
    [job] = agent.jobs()
    shown = evidence(tpm2b(tpmt_public(agent.key.public_key())))
    assert agent.report(agent.csr_report(job, evidence=shown)).status_code == 200
    app.work()
    assert [row.assurance for row in app.certificates()] == ["claimed"]


def test_a_software_key_is_refused_where_a_tpm_is_demanded(app: EnrollApp) -> None:
    browser = app.browser()
    order_id = browser.order("Person in TPM")
    agent = app.agent()
    agent.redeem(browser.link(order_id).claim)
    [job] = agent.jobs()
    assert job.payload.allow_software_key is False  # type: ignore[union-attr]
    response = agent.report(agent.csr_report(job))
    assert (response.status_code, problem_code(response)) == (422, "evidence-refused")


@pytest.mark.parametrize("forged", ["other key", "other probe", "bare probe", "no base64"])
def test_a_wrong_probe_signature_fails_the_order_and_retires_the_certificate(lite: EnrollApp, forged: str) -> None:
    _, order_id, agent, job = issued(lite)
    key = ec.generate_private_key(ec.SECP256R1()) if forged == "other key" else agent.key
    probe = b"other" if forged == "other probe" else b64decode(job.payload.probe)  # type: ignore[union-attr]
    probe = probe if forged == "bare probe" else probe_input(probe)
    signature = "AAAAA" if forged == "no base64" else b64encode(key.sign(probe, ec.ECDSA(hashes.SHA256()))).decode()
    report = agent.installed_report(job, probe_signature=signature)
    for _ in range(2):
        response = agent.report(report)
        assert (response.status_code, problem_code(response)) == (422, "report-refused")
    assert lite.order(order_id).state is OrderState.FAILED
    [row] = lite.certificates()
    assert row.revoked_at is not None
    assert lite.facts("certificate_installed") == []
    assert len(lite.facts("enrollment_failed")) == 1


@pytest.mark.parametrize("code", ["tpm_full", "made_up_by_a_newer_agent"])
def test_an_agents_failure_ends_the_order_and_its_own_words_stay_on_the_page(app: EnrollApp, code: str) -> None:
    browser, order_id, agent, job = started(app)
    failed = Failed(code=code, detail="No <room>\nleft.\0", advice="Run it.")
    response = agent.report(Report(job_id=job.job_id, body=failed))
    assert (response.status_code, response.json()) == (200, {"order_state": "failed"})
    order = app.order(order_id)
    assert order.failure_code == ("tpm_full" if code == "tpm_full" else "internal")
    assert order.failure_advice
    page = browser.get(f"/orders/{order_id}").text
    assert re.search("The computer said: <bdi>“No &lt;room&gt; left.[^ ]* Run it.”</bdi>", page)
    (letter,) = app.facts("enrollment_failed")
    assert "room&" not in letter["reason"] and "<room>" not in letter["reason"] + letter["advice"]
    assert letter["reason"] and letter["reason"] in page


def test_two_reports_of_one_installation_at_once_are_one_fact(app: EnrollApp) -> None:
    _, order_id, agent, job = issued(app)
    report = agent.installed_report(job)
    barrier = threading.Barrier(4)

    def send(_: int) -> int:
        client = app.agent()
        client.token = agent.token
        barrier.wait(10)
        return client.report(report).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == [200] * 4
    assert len(app.facts("certificate_installed")) == 1
    assert app.order(order_id).state is OrderState.INSTALLED


def test_a_cancel_and_a_report_at_once_end_in_one_of_both(app: EnrollApp) -> None:
    for _ in range(5):
        browser, order_id, agent, job = started(app)
        report = agent.csr_report(job)
        barrier = threading.Barrier(2)

        def cancel(browser: Any = browser, order_id: str = order_id, barrier: Any = barrier) -> int:
            barrier.wait(10)
            return browser.post(f"/orders/{order_id}/cancel").status_code

        def send(agent: Any = agent, report: Report = report, barrier: Any = barrier) -> int:
            barrier.wait(10)
            return agent.report(report).status_code

        with ThreadPoolExecutor(2) as pool:
            cancelled, reported = pool.submit(cancel), pool.submit(send)
        assert cancelled.result() == 303
        assert reported.result() == 200
        assert app.order(order_id).state is OrderState.CANCELLED
