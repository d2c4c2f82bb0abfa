"""Certificates on hold, and their release."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.x509 import ocsp
from tests.integration.api.test_certificates import installed
from tests.integration.test_enroll_devices import register, signed_in
from tests.integration.test_ocsp import asked, question
from tests.integration.test_revocation_lists import address, certificate_of, listed, revoke
from tests.support.administrators import console, master
from tests.support.enroll_app import EnrollApp, issued, migrate, problem_code

from keystead_enroll.domain.orders import OrderState
from keystead_enroll.domain.status import ALL
from keystead_kit.migrations import Migrations

HOLD = "certificate_hold"
Status = ocsp.OCSPCertStatus


def release(app: EnrollApp, certificate_id: str) -> Any:
    return master(app)("POST", f"/certificates/{certificate_id}/release", json={"note": "It was found."})


def test_a_hold_is_told_and_a_release_is_as_if_it_had_not_been(app: EnrollApp) -> None:
    made = installed(app)
    certificate = certificate_of(app, made)
    revoke(app, made, HOLD)
    app.publish()
    [entry] = listed(app, address(app, ALL))
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.certificate_hold
    answer = asked(app, question(app, certificate))
    assert (answer.certificate_status, answer.revocation_reason) == (Status.REVOKED, x509.ReasonFlags.certificate_hold)
    assert master(app)("GET", f"/certificates/{made}").json()["state"] == "on_hold"
    released = release(app, made).json()
    assert (released["state"], released["revocation"]) == ("valid", None)
    assert app.publish() == 2
    assert list(listed(app, address(app, ALL))) == []
    assert asked(app, question(app, certificate)).certificate_status is Status.GOOD
    assert release(app, made).status_code == 200, "again it changes nothing"
    assert app.publish() == 0


def test_what_was_revoked_for_good_is_not_released(lite: EnrollApp) -> None:
    made = installed(lite)
    revoke(lite, made, HOLD)
    revoke(lite, made, "key_compromise")
    assert master(lite)("GET", f"/certificates/{made}").json()["revocation"]["reason"] == "key_compromise"
    refused = release(lite, made)
    assert (refused.status_code, problem_code(refused)) == (409, "conflict")
    again = master(lite)("POST", f"/certificates/{made}/revocation", json={"reason": HOLD})
    assert again.status_code == 409


def test_on_hold_and_revoked_are_found_apart(app: EnrollApp) -> None:
    held, gone = installed(app), installed(app)
    revoke(app, held, HOLD)
    revoke(app, gone)
    api = master(app)
    assert [each["id"] for each in api.items("/certificates", q="state:on_hold")] == [held]
    assert [each["id"] for each in api.items("/certificates", q="state:revoked")] == [gone]


def test_a_device_keeps_what_is_on_hold_and_removes_it_when_it_is_revoked_for_good(lite: EnrollApp) -> None:
    device = register(lite, lite.client())
    agent, browser = signed_in(lite, device, lite.client()), lite.browser()
    browser.order(target=device.id)
    agent.report(agent.csr_report(agent.jobs()[0]))
    lite.work()
    agent.report(agent.installed_report(agent.jobs()[0]))
    [row] = lite.certificates()
    revoke(lite, row.id, HOLD)
    assert agent.jobs() == []
    revoke(lite, row.id)
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]


def test_a_hold_before_the_installation_leaves_the_request_its_way(lite: EnrollApp) -> None:
    _, order_id, agent, job = issued(lite)
    [row] = lite.certificates()
    revoke(lite, row.id, HOLD)
    assert agent.report(agent.installed_report(job)).status_code == 200
    assert lite.order(order_id).state is OrderState.INSTALLED


def test_a_person_puts_their_own_on_hold_and_releases_it(lite: EnrollApp) -> None:
    made, browser = installed(lite), lite.browser()
    browser.get(f"/certificates/{made}/revoke")
    browser.post(f"/certificates/{made}/revoke", reason=HOLD)
    assert f"/certificates/{made}/release" in browser.get(f"/certificates/{made}").text
    assert browser.post(f"/certificates/{made}/release").status_code == 303
    assert [row.revoked_at for row in lite.certificates()] == [None]


def test_a_person_does_not_release_what_an_administrator_put_on_hold(lite: EnrollApp) -> None:
    made, browser = installed(lite), lite.browser()
    revoke(lite, made, HOLD)
    page = browser.get(f"/certificates/{made}").text
    assert f"/certificates/{made}/release" not in page
    browser.get(f"/certificates/{made}/revoke")
    assert browser.post(f"/certificates/{made}/release").status_code == 409
    assert browser.post(f"/certificates/{made}/revoke", reason=HOLD).status_code == 303
    assert browser.post(f"/certificates/{made}/release").status_code == 409
    assert master(lite)("GET", f"/certificates/{made}").json()["state"] == "on_hold"


def test_the_console_asks_before_it_releases(lite: EnrollApp) -> None:
    made, visit = installed(lite), console(lite)
    visit.send(f"/certificates/{made}/revoke", reason=HOLD, note="Looked for.")
    page = visit.get(f"/certificates/{made}").text
    assert "It is on hold since" in page and "Looked for." in page and f"/certificates/{made}/release" in page
    assert HOLD not in visit.get(f"/certificates/{made}/revoke").text
    visit.send(f"/certificates/{made}/release", note="Found.")
    assert "Certificate released" in visit.get("/audit").text
    assert [row.revoked_at for row in lite.certificates()] == [None]
    assert visit.get(f"/certificates/{made}/release").status_code == 303


def test_nobody_releases_another_person_s_certificate(lite: EnrollApp) -> None:
    made = installed(lite)
    lite.browser().get("/certificates")
    stranger = lite.browser(email="bob@example.org")
    stranger.get("/request")
    assert stranger.post(f"/certificates/{made}/release").status_code == 404


def test_the_version_before_takes_a_hold_for_a_revocation(app: EnrollApp) -> None:
    made = installed(app)
    revoke(app, made, HOLD)
    migrate(app, Migrations.downgrade, "0020")
    migrate(app, Migrations.upgrade, "head")
    assert [row.revocation_reason for row in app.certificates() if row.id == made] == ["unspecified"]
