"""A renewed certificate takes the place of the one that its person named, and of no other."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from tests.integration.api.test_certificates import audited, installed
from tests.integration.test_enroll_devices import register, signed_in
from tests.support.enroll_app import ADA, BOB, EnrollApp
from tests.support.enroll_people import Agent, Browser

from keystead_contracts.agent import DeviceJob, MakeKeyAndCsr
from keystead_enroll.adapters import tables
from keystead_enroll.domain.certificate_record import Certificate


def superseded_in(job: DeviceJob) -> str:
    """What a job says of the certificate whose place the new one takes."""
    assert isinstance(job.payload, MakeKeyAndCsr)
    return job.payload.supersedes


def begun(app: EnrollApp, browser: Browser, order_id: str) -> tuple[Agent, DeviceJob]:
    """An agent that came by the order's link, and its first job."""
    agent = app.agent()
    agent.redeem(browser.link(order_id).claim)
    return agent, agent.jobs()[0]


def finish(app: EnrollApp, agent: Agent, first: DeviceJob) -> None:
    """Has the agent do all that there is to do."""
    assert agent.report(agent.csr_report(first)).status_code == 200
    app.work()
    assert agent.report(agent.installed_report(agent.jobs()[0])).status_code == 200


def server_certificate(app: EnrollApp, dns_names: str) -> tuple[Browser, Certificate]:
    """Its owner's browser, and a server's certificate that is in place."""
    browser = app.browser("Servers")
    finish(app, *begun(app, browser, browser.order("Server", dns_names=dns_names)))
    return browser, newest(app)


def newest(app: EnrollApp) -> Certificate:
    with app.enroll.transactions.read() as tx:
        found = tx.certificate(max(app.certificates(), key=lambda row: row.issued_at).id)
        assert found is not None
        return found


def orders(app: EnrollApp) -> int:
    with app.enroll.database.read() as session:
        return session.scalar(select(func.count()).select_from(tables.orders)) or 0


def test_the_agent_is_told_which_certificate_the_renewed_one_takes_the_place_of(app: EnrollApp) -> None:
    made = installed(app)
    old, browser = newest(app), app.browser()
    _, job = begun(app, browser, browser.order(renew=made))
    assert superseded_in(job) == old.sha256


def test_a_request_that_renews_nothing_takes_nobodys_place(app: EnrollApp) -> None:
    installed(app)
    browser = app.browser()
    _, job = begun(app, browser, browser.order())
    assert superseded_in(job) == ""


def test_a_registered_device_is_told_too(app: EnrollApp) -> None:
    made, device = installed(app), register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    browser.order(target=device.id, renew=made)
    assert superseded_in(agent.jobs()[0]) == newest(app).sha256


@pytest.mark.parametrize(
    ("dns_names", "takes_its_place"),
    [
        ("a.example.org b.example.org", True),
        ("b.example.org a.example.org c.example.org", True),
        ("a.example.org", False),
        ("c.example.org", False),
    ],
)
def test_only_a_certificate_with_all_of_its_names_takes_its_place(
    app: EnrollApp, dns_names: str, takes_its_place: bool
) -> None:
    browser, old = server_certificate(app, "a.example.org b.example.org")
    _, job = begun(app, browser, browser.order("Server", dns_names=dns_names, renew=old.id))
    assert superseded_in(job) == (old.sha256 if takes_its_place else "")


@pytest.mark.parametrize("form", ["Staff", "Servers"])
def test_nobody_has_another_persons_certificate_removed_nor_that_of_another_form(app: EnrollApp, form: str) -> None:
    made = installed(app, BOB if form == "Staff" else ADA)
    browser = app.browser(form, ADA)
    profile, fields = ("Person", {}) if form == "Staff" else ("Server", {"dns_names": "a.example.org"})
    before = orders(app)
    assert browser.request(profile, renew=made, **fields).status_code == 404
    assert browser.request(profile, renew="0" * 32, **fields).status_code == 404
    assert orders(app) == before


def test_the_audit_log_and_the_pages_say_what_took_whose_place(app: EnrollApp) -> None:
    made = installed(app)
    old, browser = newest(app), app.browser()
    order_id = browser.order(renew=made)
    assert audited(app, order_id)[0].details["in place of"] == old.serial
    assert "has taken its place" not in browser.get(f"/certificates/{made}").text
    finish(app, *begun(app, browser, order_id))
    new = newest(app)
    assert audited(app, new.id)[-1].details["in place of"] == old.serial
    page = browser.get(f"/orders/{order_id}").text
    assert f'href="/e/{browser.uri}/certificates/{made}"' in page and "the agent there removes it, with its key" in page
    page = browser.get(f"/certificates/{made}").text
    assert f'<a href="/e/{browser.uri}/orders/{order_id}">A newer one</a> has taken its place.' in page
    assert "has taken its place" not in browser.get(f"/certificates/{new.id}").text
