"""A person's own certificates: renew, revoke."""

from __future__ import annotations

import html
import re

import pytest
from tests.integration.api.test_certificates import audited, installed
from tests.integration.test_enroll_devices import register, signed_in
from tests.support.enroll_app import ADA, BOB, EnrollApp


def test_a_person_revokes_their_own_certificate(app: EnrollApp) -> None:
    made, browser = installed(app), app.browser()
    assert f"/certificates/{made}/revoke" in browser.get(f"/certificates/{made}").text
    page = browser.get(f"/certificates/{made}/revoke").text
    assert "It cannot be undone." in page and "privilege_withdrawn" not in page
    answer = browser.post(f"/certificates/{made}/revoke", reason="key_compromise")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/e/{browser.uri}/certificates/{made}")
    shown = browser.get(f"/certificates/{made}").text
    assert "Revoked" in shown and "Somebody else may have the key" in shown and "/revoke" not in shown
    asked = browser.get(f"/orders/{app.certificates()[0].order_id}").text
    assert "Your certificate was revoked</h1>" in asked and "It works on" not in asked
    line = audited(app, made)[-1]
    assert (line.action, line.actor_kind, line.actor, line.details["reason"]) == (
        "certificate.revoke", "person", ADA, "key_compromise",
    )  # fmt: skip


@pytest.mark.parametrize("reason", ["", "privilege_withdrawn", "remove_from_crl"])
def test_a_person_gives_a_reason_that_is_theirs_to_give(app: EnrollApp, reason: str) -> None:
    made, browser = installed(app), app.browser()
    browser.get(f"/certificates/{made}/revoke")
    page = browser.mistakes(browser.post(f"/certificates/{made}/revoke", reason=reason))
    assert "Choose one of these." in page
    assert [row.revoked_at for row in app.certificates()] == [None]


def test_nobody_revokes_or_renews_another_person_s_certificate(app: EnrollApp) -> None:
    made, stranger = installed(app), app.browser(email=BOB)
    stranger.get("/request")
    for answer in (
        stranger.get(f"/certificates/{made}/revoke"),
        stranger.post(f"/certificates/{made}/revoke", reason="superseded"),
        stranger.get(f"/request?renew={made}"),
    ):
        assert answer.status_code == 404
    assert [row.revoked_at for row in app.certificates()] == [None]


def test_a_revocation_from_another_site_is_refused(app: EnrollApp) -> None:
    made, browser = installed(app), app.browser()
    browser.get(f"/certificates/{made}/revoke")
    path = f"/e/{browser.uri}/certificates/{made}/revoke"
    fields = {"reason": "superseded", "form_token": browser.form_token}
    assert browser.client.post(path, data=fields, headers={"origin": "https://evil.example"}).status_code == 403
    bare = {"reason": "superseded", "form_token": ""}
    assert browser.client.post(path, data=bare, headers={"origin": app.origin}).status_code == 403
    assert [row.revoked_at for row in app.certificates()] == [None]


def test_a_revoked_certificate_keeps_its_first_reason(app: EnrollApp) -> None:
    made, browser = installed(app), app.browser()
    browser.get(f"/certificates/{made}/revoke")
    for _ in range(2):
        assert browser.post(f"/certificates/{made}/revoke", reason="superseded").status_code == 303
    assert browser.post(f"/certificates/{made}/revoke", reason="key_compromise").status_code == 409


def test_the_registered_device_is_named_and_told(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    browser.order(target=device.id)
    agent.report(agent.csr_report(agent.jobs()[0]))
    app.work()
    agent.report(agent.installed_report(agent.jobs()[0]))
    made = app.certificates()[0].id
    assert "laptop removes the certificate and its key." in browser.get(f"/certificates/{made}/revoke").text
    browser.post(f"/certificates/{made}/revoke", reason="superseded")
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]


def test_renewing_begins_with_what_was_asked_for(app: EnrollApp) -> None:
    browser = app.browser("Servers")
    order_id = browser.order("Server", dns_names="a.example.org b.example.org")
    agent = app.agent()
    agent.redeem(browser.link(order_id).claim)
    agent.report(agent.csr_report(agent.jobs()[0]))
    app.work()
    agent.report(agent.installed_report(agent.jobs()[0]))
    made = app.certificates()[0].id
    renew = f"/request?renew={made}"
    assert renew in html.unescape(browser.get(f"/certificates/{made}").text)
    page = browser.get(renew).text
    assert "Renew a certificate</h1>" in page and "the agent there removes that one, with its key" in page
    assert re.search(r"<textarea[^>]*>\s*a\.example\.org\nb\.example\.org</textarea>", page)
    again = browser.mistakes(browser.request("Server", dns_names="", renew=made))
    assert "Renew a certificate</h1>" in again
