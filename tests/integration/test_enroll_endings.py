"""Orders that end before their certificate works: by the person, by an administrator, because the agent is gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from tests.integration.test_enroll_devices import register, signed_in
from tests.support.enroll_app import ADA, Agent, Browser, EnrollApp, issued, started

from keystead_contracts.agent import Removed, Report
from keystead_enroll.domain.administration import local_actor
from keystead_enroll.domain.administration_refusals import ThingUnknown
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.refusals import OrderClosed
from keystead_enroll.usecases.change_order import cancel_any_order

GONE = timedelta(hours=24, minutes=11)
"""A link's agent can go on for 24 hours, and works with its last token for ten minutes more."""


def deserted() -> float:
    """What the counter says."""
    return REGISTRY.get_sample_value("keystead_orders_deserted_total") or 0.0


def retired(app: EnrollApp) -> list[str | None]:
    """Why each certificate was revoked; None for one that was not."""
    return [row.revocation_reason if row.revoked_at else None for row in app.certificates()]


@pytest.mark.parametrize("begin", [started, issued], ids=["link used", "issued"])
def test_an_order_ends_when_its_agent_can_no_longer_go_on(app: EnrollApp, begin: Any) -> None:
    _, order_id, agent, _ = begin(app)
    counted = deserted()
    app.clock.shift = GONE - timedelta(minutes=2)
    assert app.enroll.end_deserted() == 0
    app.clock.shift = GONE
    assert app.enroll.end_deserted() == 1
    assert app.enroll.end_deserted() == 0
    order = app.order(order_id)
    assert (order.state, order.failure_code) == (OrderState.FAILED, "claim-invalid")
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]
    assert retired(app) == ["cessation_of_operation"] * (begin is issued)
    [letter] = app.facts("enrollment_failed")
    assert (letter["order_id"], letter["email"]) == (order_id, ADA)
    assert deserted() - counted == 1
    page = app.browser().get(f"/orders/{order_id}").text
    assert "did not finish within a day" in page and "Ask again" in page


def test_orders_that_nobody_deserted_stay_as_they_are(app: EnrollApp) -> None:
    browser = app.browser()
    unused = browser.order()
    pushed = browser.order(target=register(app, app.client()).id)
    _, done, agent, job = issued(app)
    assert agent.report(agent.installed_report(job)).status_code == 200
    _, checked, agent, job = started(app)
    assert agent.report(agent.csr_report(job)).status_code == 200
    app.clock.shift = timedelta(days=400)
    assert app.enroll.end_deserted() == 0
    states = [app.order(order).state for order in (unused, pushed, done, checked)]
    assert states == [OrderState.OFFERED, OrderState.OFFERED, OrderState.INSTALLED, OrderState.CSR_ACCEPTED]


def test_workers_side_by_side_end_each_deserted_order_once(app: EnrollApp) -> None:
    orders = [started(app)[1] for _ in range(8)]
    app.clock.shift = GONE
    with ThreadPoolExecutor(3) as pool:
        ended = sum(pool.map(lambda _: app.enroll.end_deserted(), range(3)))
    assert ended + app.enroll.end_deserted() == len(orders)
    assert {app.order(order).state for order in orders} == {OrderState.FAILED}
    assert sorted(fact["order_id"] for fact in app.facts("enrollment_failed")) == sorted(orders)


def test_a_person_may_end_an_order_whose_certificate_is_issued(app: EnrollApp) -> None:
    browser, order_id, agent, job = issued(app)
    assert f"/orders/{order_id}/cancel" in browser.get(f"/orders/{order_id}").text
    assert browser.post(f"/orders/{order_id}/cancel").status_code == 303
    assert app.order(order_id).state is OrderState.CANCELLED
    assert retired(app) == ["cessation_of_operation"]
    late = agent.report(agent.installed_report(job))
    assert (late.status_code, late.json()) == (200, {"order_state": "cancelled"})
    [removal] = agent.jobs()
    assert agent.report(Report(job_id=removal.job_id, body=Removed())).status_code == 200
    assert app.order(order_id).state is OrderState.CANCELLED
    assert app.facts("certificate_installed") == []
    assert "Make a new request" in browser.get(f"/orders/{order_id}").text


def test_a_device_is_told_to_remove_what_it_made(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent = signed_in(app, device, app.client())
    browser = app.browser()
    order_id = browser.order(target=device.id)
    [job] = agent.jobs()
    assert agent.report(agent.csr_report(job)).status_code == 200
    app.work()
    assert browser.post(f"/orders/{order_id}/cancel").status_code == 303
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]


def test_a_link_in_use_is_not_renewed_but_the_request_can_be_ended_and_asked_anew(app: EnrollApp) -> None:
    browser, order_id, _, _ = started(app)
    refused = browser.post(f"/orders/{order_id}/link")
    assert refused.status_code == 409
    assert "cancel the request on its page and ask again" in refused.text
    assert "If that computer is lost or cannot finish, cancel and ask again." in browser.get(f"/orders/{order_id}").text
    assert browser.post(f"/orders/{order_id}/cancel").status_code == 303
    agent = app.agent()
    assert agent.redeem(browser.link(browser.order()).claim).status_code == 200


def signing(app: EnrollApp) -> tuple[Browser, str, Agent]:
    """An order that a worker took up to sign and has not signed."""
    browser, order_id, agent, job = started(app)
    assert agent.report(agent.csr_report(job)).status_code == 200
    with app.enroll.transactions.write() as tx:
        order = tx.order(order_id, lock=True)
        assert order is not None
        order.advance(OrderState.SIGNING, app.clock.now())
    return browser, order_id, agent


def test_while_a_certificate_is_signed_its_order_cannot_be_ended(app: EnrollApp) -> None:
    browser, order_id, _ = signing(app)
    refused = browser.post(f"/orders/{order_id}/cancel")
    assert refused.status_code == 409
    assert "Try again in a minute." in refused.text
    assert app.order(order_id).state is OrderState.SIGNING


@pytest.mark.parametrize("note", ["", "The laptop was <stolen>."])
def test_an_administrator_may_end_an_order_and_the_person_is_told(app: EnrollApp, note: str) -> None:
    browser, order_id, agent, _ = issued(app)
    cancel_any_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), order_id, note)
    assert app.order(order_id).state is OrderState.CANCELLED
    assert retired(app) == ["cessation_of_operation"]
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]
    [letter] = app.facts("enrollment_failed")
    assert letter["reason"].startswith("Your administrator cancelled the request") and note in letter["reason"]
    page = browser.get(f"/orders/{order_id}").text
    assert "Your administrator cancelled the request" in page and "<stolen>" not in page
    with pytest.raises(OrderClosed):
        cancel_any_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), order_id)


def test_only_an_order_that_is_there_and_not_installed_can_be_ended(app: EnrollApp) -> None:
    browser, order_id, agent, job = issued(app)
    assert agent.report(agent.installed_report(job)).status_code == 200
    with pytest.raises(OrderClosed):
        cancel_any_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), order_id)
    with pytest.raises(ThingUnknown):
        cancel_any_order(app.enroll.transactions, app.clock, app.origin, local_actor("grace"), "0" * 32)
    assert browser.post(f"/orders/{order_id}/cancel").status_code == 409
    assert retired(app) == [None]
