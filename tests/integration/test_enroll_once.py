"""What there is once: an order for a page that was sent twice, an order for a key; and how many orders are too many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from tests.support.enroll_app import ADA, BOB, Browser, EnrollApp, enroll_app, migrate, problem_code, settings, started

from keystead_enroll.bootstrap import build
from keystead_enroll.domain.orders import OrderState
from keystead_kit.migrations import Migrations


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url, open_orders_limit=3) as app:
        yield app


def page_key(browser: Browser) -> str:
    """What a freshly loaded request page carries."""
    page = browser.get(f"/request?profile={browser.app.profile('Person')}").text
    found = re.search('name="page_key" value="([^"]+)"', page)
    assert found
    return found[1]


def test_a_page_that_is_sent_twice_is_one_request(app: EnrollApp) -> None:
    browser = app.browser()
    key = page_key(browser)
    assert browser.order(page_key=key) == browser.order(page_key=key)
    assert browser.order(page_key=page_key(browser)) != browser.order(page_key=key)


def test_a_page_that_is_sent_several_times_at_once_is_one_request(app: EnrollApp) -> None:
    browser = app.browser()
    key = page_key(browser)
    others = [Browser(app, app.client(), browser.uri, browser.form_token) for _ in range(6)]
    for other in others:
        other.client.cookies.update(browser.client.cookies)
    with ThreadPoolExecutor(len(others)) as pool:
        orders = list(pool.map(lambda other: other.order(page_key=key), others))
    assert len(set(orders)) == 1


def test_other_answers_from_the_same_page_are_another_request(app: EnrollApp) -> None:
    browser = app.browser()
    key = page_key(browser)
    assert browser.order(page_key=key) != browser.order(page_key=key, term_days="30")


def test_a_page_of_one_person_is_not_the_page_of_another(app: EnrollApp) -> None:
    key = page_key(app.browser())
    assert app.browser().order(page_key=key) != app.browser(email=BOB).order(page_key=key)


def test_a_person_with_many_open_requests_is_told_to_finish_some(app: EnrollApp) -> None:
    browser = app.browser()
    orders = [browser.order() for _ in range(3)]
    refused = browser.request()
    assert refused.status_code == 409
    assert "You have 3 requests under way" in refused.text
    assert "Finish or cancel some of your requests first" in refused.text
    assert f'href="/e/{browser.uri}/certificates"' in refused.text
    app.browser(email=BOB).order()
    app.browser("Approved").order()
    browser.post(f"/orders/{orders[0]}/cancel")
    browser.order()


def test_a_page_sent_again_leads_to_its_request_though_no_more_are_allowed(app: EnrollApp) -> None:
    browser = app.browser()
    key = page_key(browser)
    orders = [browser.order(page_key=key), browser.order(), browser.order()]
    assert browser.order(page_key=key) == orders[0]


def test_a_key_that_another_order_has_is_refused(app: EnrollApp) -> None:
    _, first, agent, job = started(app)
    report = agent.csr_report(job)
    assert agent.report(report).status_code == 200
    assert agent.report(report).status_code == 200, "the same order may repeat its report"
    _, second, other, job = started(app, email=BOB)
    other.key = agent.key
    report = other.csr_report(job)
    for _ in range(2):
        refused = other.report(report)
        assert (refused.status_code, problem_code(refused)) == (422, "csr-refused")
        assert "another order" in refused.json()["detail"] and refused.json()["advice"]
    assert [app.order(order).state for order in (first, second)] == [OrderState.CSR_ACCEPTED, OrderState.FAILED]
    assert app.work() == 1


def test_one_key_for_several_orders_at_once_serves_one(app: EnrollApp) -> None:
    begun = [started(app, email=email) for email in (ADA, BOB, "eve@example.org")]
    for _, _, agent, _ in begun:
        agent.key = begun[0][2].key
    with ThreadPoolExecutor(len(begun)) as pool:
        codes = list(pool.map(lambda one: one[2].report(one[2].csr_report(one[3])).status_code, begun))
    assert sorted(codes) == [200, 422, 422]
    assert app.work() == 1


def test_orders_that_shared_a_key_before_the_rule_are_migrated(database_url: str, redis_url: str) -> None:
    with enroll_app(database_url, redis_url) as app:
        orders = [app.browser().order(), app.browser(email=BOB).order()]
        migrate(app, Migrations.downgrade, "0001")
        with app.enroll.database.write() as session:
            session.execute(text("UPDATE orders SET spki_sha256 = 'same'"))
    enroll = build(settings(database_url, redis_url))
    enroll.migrations().upgrade()
    with enroll.transactions.read() as tx:
        kept = [order and order.spki_sha256 for order in map(tx.order, orders)]
    assert (kept, enroll.migrations().drift()) == (["same", None], [])
    enroll.close()
