"""Enroll from the sign-in to the installed certificate, through its web application, on both databases."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from tests.support.administrators import master
from tests.support.enroll_app import (
    ADA,
    EnrollApp,
    problem_code,
    started,
)

from keystead_contracts.agent import Install, Remove, Removed, Report
from keystead_contracts.base import CertificateScope
from keystead_enroll.domain.administration import local_actor
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import OrderClosed
from keystead_enroll.usecases.change_order import decide_order

FORMS = [
    ("Staff", "Person", {}, []),
    ("Machines", "Machine", {"device_name": "pump-42.example.org"}, ["pump-42.example.org"]),
    ("Servers", "Server", {"dns_names": "www.example.org, api.example.org"}, ["www.example.org", "api.example.org"]),
]


@pytest.mark.parametrize(("form", "profile", "fields", "dns"), FORMS, ids=["client", "device", "ssl"])
def test_a_certificate_of_each_type_is_requested_issued_and_installed(
    app: EnrollApp, form: str, profile: str, fields: dict[str, str], dns: list[str]
) -> None:
    browser = app.browser(form)
    order_id = browser.order(profile, **fields)
    agent = app.agent()
    redeemed = agent.redeem(browser.link(order_id).claim)
    assert (redeemed.status_code, redeemed.json()["trace_id"]) == (200, app.order(order_id).trace_id)
    [job] = agent.jobs()
    assert agent.report(agent.csr_report(job)).json() == {"order_state": "csr_accepted"}
    assert agent.jobs() == []
    assert app.work() == 1
    [job] = agent.jobs()
    assert isinstance(job.payload, Install)
    assert agent.report(agent.installed_report(job)).json() == {"order_state": "installed"}
    leaf, issuing, root = (
        x509.load_pem_x509_certificate(pem.encode())
        for pem in (job.payload.certificate_pem, job.payload.chain_pem[0], job.payload.root_pem)
    )
    assert leaf.public_key() == agent.key.public_key()
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == dns
    assert names.get_values_for_type(x509.RFC822Name) == ([ADA] if form == "Staff" else [])
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    if form == "Servers":
        verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName("api.example.org"))
        verifier.verify(leaf, [issuing])
    [fact] = app.facts("certificate_installed")
    assert (fact["email"], fact["order_id"], fact["machine"]) == (ADA, order_id, "laptop")
    assert fact["portal_link"].startswith(f"{app.origin}/e/")
    assert [entry.target for entry in app.order(order_id).log] == [
        OrderState.SUBMITTED,
        OrderState.OFFERED,
        OrderState.CSR_ACCEPTED,
        OrderState.SIGNING,
        OrderState.ISSUED,
        OrderState.INSTALLED,
    ]
    [row] = app.certificates()
    card = browser.get(f"/certificates/{row.id}")
    assert card.status_code == 200
    downloads = {name: browser.get(f"/certificates/{row.id}/{name}.pem") for name in ("certificate", "chain", "root")}
    assert {name: download.text for name, download in downloads.items()} == {
        "certificate": job.payload.certificate_pem,
        "chain": job.payload.chain_pem[0],
        "root": job.payload.root_pem,
    }
    assert downloads["chain"].headers["content-disposition"] == 'attachment; filename="chain.pem"'
    assert browser.get().headers["location"].endswith("/certificates")


def test_an_ssl_certificate_is_whose_the_profile_says_when_the_key_is_asked_for(app: EnrollApp) -> None:
    api, server = master(app), app.profile("Server")
    browser, fields = app.browser("Servers"), {"dns_names": "www.example.org"}
    assert browser.link(browser.order("Server", **fields)).scope == "user"
    assert api("PATCH", f"/profiles/{server}", json={"scope": "machine"}).json()["scope"] == "machine"
    order_id = browser.order("Server", **fields)
    assert browser.link(order_id).scope == "machine"
    api("PATCH", f"/profiles/{server}", json={"scope": "user"})
    agent = app.agent()
    agent.redeem(browser.link(order_id).claim)
    (make,) = agent.jobs()
    agent.report(agent.csr_report(make))
    app.work()
    (install,) = agent.jobs()
    assert (make.payload.scope, install.payload.scope) == (CertificateScope.MACHINE, CertificateScope.MACHINE)
    browser.post(f"/orders/{order_id}/cancel")
    (remove,) = agent.jobs()
    assert isinstance(remove.payload, Remove) and remove.payload.scope is CertificateScope.MACHINE


def test_an_order_may_wait_for_approval(app: EnrollApp) -> None:
    browser = app.browser("Approved")
    order_id = browser.order()
    assert app.order(order_id).state is OrderState.AWAITING_APPROVAL
    decide_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), order_id, approve=True)
    agent = app.agent()
    assert agent.redeem(browser.link(order_id).claim).status_code == 200
    assert len(agent.jobs()) == 1
    with pytest.raises(OrderClosed, match="does not wait for approval: it is offered since"):
        decide_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), order_id, approve=True)
    (letter,) = app.facts("order_approved")
    assert (letter["email"], letter["order_id"], letter["wanted"]) == (ADA, order_id, ADA)
    assert letter["portal_link"].endswith(f"/orders/{order_id}")


def test_an_order_may_be_declined_with_a_reason_that_the_person_reads(app: EnrollApp) -> None:
    browser = app.browser("Approved")
    order_id = browser.order()
    decide_order(
        app.enroll.transactions,
        app.clock,
        app.origin,
        local_actor("grace"),
        order_id,
        approve=False,
        remark="Ask <Grace> first.",
    )
    assert app.order(order_id).state is OrderState.REJECTED
    (letter,) = app.facts("order_rejected")
    assert (letter["email"], letter["order_id"], letter["reason"]) == (ADA, order_id, "Ask <Grace> first.")
    page = browser.get(f"/orders/{order_id}").text
    assert "Your organization refused this request</h1>" in page
    assert "The reason given: Ask &lt;Grace&gt; first." in page
    assert re.search(r'data-key="approval" data-state="failed"', page)
    listed = browser.get("/certificates").text
    assert "Earlier requests" in listed and "Refused" in listed and ADA in listed


def test_requests_are_told_apart_by_the_names_they_are_for(app: EnrollApp) -> None:
    browser = app.browser("Servers")
    orders = {name: browser.order("Server", dns_names=name) for name in ("a.example.org", "b.example.org")}
    listed = browser.get("/certificates").text
    for name, order_id in orders.items():
        assert f"<strong>{name}</strong>" in listed
        assert f"<strong>{name}</strong>" in browser.get(f"/orders/{order_id}").text
    browser.post(f"/orders/{orders['a.example.org']}/cancel")
    under_way, _, earlier = browser.get("/certificates").text.partition("Earlier requests")
    assert "b.example.org" in under_way and "a.example.org" in earlier and "Cancelled" in earlier


def test_only_an_order_that_is_there_can_be_decided(app: EnrollApp) -> None:
    with pytest.raises(ThingUnknown):
        decide_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), "0" * 32, approve=True)


def test_a_cancelled_order_takes_its_work_back(app: EnrollApp) -> None:
    browser, order_id, agent, job = started(app)
    assert browser.post(f"/orders/{order_id}/cancel").status_code == 303
    assert app.order(order_id).state is OrderState.CANCELLED
    (withdrawal,) = agent.jobs()
    assert withdrawal.payload.kind == "remove", "the agent that began is told"
    late = agent.report(agent.csr_report(job))
    assert (late.status_code, late.json()) == (200, {"order_state": "cancelled"})
    assert agent.report(Report(job_id=withdrawal.job_id, body=Removed())).status_code == 200
    assert agent.jobs() == []
    assert app.order(order_id).state is OrderState.CANCELLED
    assert app.work() == 0


def test_a_request_cancelled_before_an_agent_came_leaves_no_job(app: EnrollApp) -> None:
    browser = app.browser()
    order_id = browser.order()
    assert browser.post(f"/orders/{order_id}/cancel").status_code == 303
    with app.enroll.transactions.read() as tx:
        assert list(tx.open_jobs_of_order(order_id)) == []


def test_a_link_can_be_renewed_until_an_agent_has_it(app: EnrollApp) -> None:
    browser = app.browser()
    order_id = browser.order()
    old = browser.link(order_id)
    assert browser.post(f"/orders/{order_id}/link").status_code == 303
    new = browser.link(order_id)
    assert app.agent().redeem(old.claim).status_code == 403
    agent = app.agent()
    assert agent.redeem(new.claim).status_code == 200
    assert len(agent.jobs()) == 1
    assert browser.post(f"/orders/{order_id}/link").status_code == 409


def test_a_link_that_does_not_lead_here_is_refused_alike_whatever_the_reason(app: EnrollApp) -> None:
    browser = app.browser()
    renewed, expired, taken, cancelled = (browser.order() for _ in range(4))
    claims = {"unknown": "x" * 43}
    claims["renewed"] = browser.link(renewed).claim
    browser.post(f"/orders/{renewed}/link")
    claims["taken"] = browser.link(taken).claim
    assert app.agent().redeem(claims["taken"]).status_code == 200
    claims["cancelled"] = browser.link(cancelled).claim
    browser.post(f"/orders/{cancelled}/cancel")
    claims["expired"] = browser.link(expired).claim
    app.clock.shift = timedelta(minutes=16)
    answers = set()
    for claim in claims.values():
        response = app.agent().redeem(claim)
        assert (response.status_code, problem_code(response)) == (403, "claim-invalid")
        body = response.json()
        answers.add((body["detail"], body["advice"], body["title"]))
    assert len(answers) == 1


def test_the_same_agent_may_redeem_again_for_a_day(app: EnrollApp) -> None:
    browser = app.browser()
    claim = browser.link(browser.order()).claim
    agent = app.agent()
    recipient = agent.redeem(claim).json()["recipient"]
    app.clock.shift = timedelta(hours=23, minutes=59)
    assert agent.redeem(claim).json()["recipient"] == recipient
    app.clock.shift = timedelta(hours=24, minutes=1)
    assert agent.redeem(claim).status_code == 403


def test_two_agents_at_once_get_one_link_once(app: EnrollApp) -> None:
    browser = app.browser()
    claim = browser.link(browser.order()).claim
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda agent: agent.redeem(claim).status_code, [app.agent() for _ in range(4)]))
    assert sorted(codes) == [200, 403, 403, 403]
