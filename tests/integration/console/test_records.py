"""Certificates, requests, devices, registration tokens and the dashboard in the console."""

from __future__ import annotations

import html
import re

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.integration.api.test_certificates import audited, installed, strangers
from tests.integration.test_enroll_devices import register, registration
from tests.support.administrators import console, master, page_key
from tests.support.enroll_app import ADA, BOB, EnrollApp, issued

from keystead_contracts.agent import Routes
from keystead_enroll.domain.administration import Grant, Role, Scope
from keystead_enroll.domain.orders import OrderState
from keystead_enroll.web.console.dashboard import first_steps

WAITING = "/requests?q=state:awaiting_approval"


def text_of(page: str) -> str:
    """What a reader sees of a page."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def test_certificates_are_listed_searched_and_shown(app: EnrollApp) -> None:
    made, visit = installed(app), console(app)
    installed(app, BOB)
    listed = visit.get("/certificates").text
    assert ADA in listed and BOB in listed and f"/console/certificates/{made}" in listed
    assert BOB not in text_of(visit.get("/certificates?q=email:ada").text)
    page = visit.get(f"/certificates/{made}").text
    shown = text_of(page)
    for part in ("Valid", "Software key", "The key is a file on the computer", "Example Hospital", "Installed"):
        assert part in shown
    serial = app.certificates()[0].serial
    assert serial in shown


def test_a_certificate_is_downloaded_and_all_are_exported(app: EnrollApp) -> None:
    made, visit = installed(app), console(app)
    page = visit.get(f"/certificates/{made}").text
    assert f"/console/certificates/{made}/file?format=p7b" in page
    file = visit.get(f"/certificates/{made}/file?format=der")
    assert x509.load_der_x509_certificate(file.content)
    assert "/console/certificates/export.csv?q=email%3Aada" in visit.get("/certificates?q=email:ada").text
    exported = visit.get("/certificates/export.csv?q=email:ada")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8" and ADA in exported.text


def test_a_certificate_is_revoked_after_it_was_asked_why(app: EnrollApp) -> None:
    made, visit = installed(app), console(app)
    path = f"/certificates/{made}/revoke"
    assert "It cannot be undone." in visit.get(path).text
    again = visit.mistakes(visit.post(path, reason="", note="Stolen <b>."))
    assert "Choose a reason." in again and "Stolen &lt;b&gt;." in again
    done = text_of(visit.follow(visit.send(path, reason="key_compromise", note="Stolen <b>.")).text)
    assert "It was revoked on" in done and "somebody else may have the key" in done and "Stolen <b>." in done
    assert visit.get(path).headers["location"] == f"/console/certificates/{made}"
    assert visit.post(path, reason="superseded").status_code == 409


def test_a_request_shows_all_that_happened_to_it(app: EnrollApp) -> None:
    _, order_id, _, _ = issued(app)
    shown = text_of(console(app).get(f"/requests/{order_id}").text)
    for part in (ADA, "laptop", "Asked for", "Waits for the computer", "Checked", "Being signed", "Issued"):
        assert part in shown
    assert app.order(order_id).trace_id in shown


def test_a_request_is_approved_with_a_note(app: EnrollApp) -> None:
    order_id, visit = app.browser("Approved").order(), console(app)
    page = visit.follow(visit.send(f"/requests/{order_id}/approve", note="Known to me."))
    assert "Approved. The person gets a letter." in page.text and "Known to me." in page.text
    assert app.order(order_id).state is OrderState.OFFERED
    assert "/approve" not in page.text
    assert visit.post(f"/requests/{order_id}/approve").status_code == 409


def test_a_request_is_declined_with_a_reason_only(app: EnrollApp) -> None:
    order_id, visit = app.browser("Approved").order(), console(app)
    assert 'id="f-note-error"' in visit.mistakes(visit.send(f"/requests/{order_id}/reject", note=""))
    page = visit.follow(visit.send(f"/requests/{order_id}/reject", note="Ask Grace."))
    assert "Ask Grace." in page.text
    assert app.order(order_id).state is OrderState.REJECTED


def test_a_request_is_cancelled(app: EnrollApp) -> None:
    _, order_id, agent, _ = issued(app)
    visit = console(app)
    visit.follow(visit.send(f"/requests/{order_id}/cancel", note=""))
    assert app.order(order_id).state is OrderState.CANCELLED
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]


def test_several_requests_are_decided_at_once_and_each_by_itself(app: EnrollApp) -> None:
    browser, visit = app.browser("Approved"), console(app)
    first, second = browser.order(), browser.order()
    page = visit.get(WAITING).text
    assert 'name="chosen"' in page and 'formaction="/console/requests/decline"' in page
    asked = visit.post("/requests/approve", chosen=[first, second])
    assert 'name="decision" value="approve"' in asked.text
    assert 'name="decision" value="reject"' in visit.post("/requests/decline", chosen=[first]).text
    assert "Approve 2 requests" in asked.text and app.order(first).state is OrderState.AWAITING_APPROVAL
    master(app)("POST", f"/requests/{first}/approval", json={})
    done = visit.post("/requests/decided", chosen=[first, second], decision="approve", note="")
    shown = text_of(done.text)
    assert "1 request was approved." in shown and "does not wait for approval" in shown
    assert app.order(second).state is OrderState.OFFERED


def test_a_decision_about_nothing_is_told(app: EnrollApp) -> None:
    visit = console(app)
    visit.get(WAITING)
    for verb in ("approve", "decline"):
        assert "Nothing was chosen" in visit.follow(visit.post(f"/requests/{verb}")).text


def test_several_requests_are_declined_with_a_reason_only(app: EnrollApp) -> None:
    order_id, visit = app.browser("Approved").order(), console(app)
    visit.get(WAITING)
    refused = visit.post("/requests/decided", chosen=[order_id], decision="reject", note="")
    assert refused.status_code == 422 and 'id="f-note-error"' in refused.text
    assert app.order(order_id).state is OrderState.AWAITING_APPROVAL
    assert visit.post("/requests/decided", chosen=[order_id], decision="reject", note="No.").status_code == 200
    assert app.order(order_id).state is OrderState.REJECTED


def test_a_device_is_shown_and_removed(app: EnrollApp) -> None:
    device, visit = register(app, app.client()), console(app)
    app.browser().order(target=device.id)
    assert "laptop" in visit.get("/devices").text
    shown = text_of(visit.get(f"/devices/{device.id}").text)
    assert "Make a key and its request" in shown and ADA in shown and "software" in shown
    gone = visit.follow(visit.send(f"/devices/{device.id}/delete"))
    assert "Deleted." in gone.text and "laptop" not in gone.text
    assert visit.get(f"/devices/{device.id}").status_code == 404


def test_a_registration_token_is_shown_once(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.get("/registration-tokens/new").text
    found = re.search(r'<option value="(\w{32})"', page)
    assert found
    assert 'id="f-days-error"' in visit.mistakes(
        visit.post("/registration-tokens/new", name="Lab", organization_id=found[1], days="1000")
    )
    made = visit.send("/registration-tokens/new", name="Lab", organization_id=found[1], owner="", days="7")
    secret = re.search(r"ksr_[\w-]+", made.text)
    assert secret and made.headers["cache-control"] == "no-store"
    assert secret[0] not in visit.get("/registration-tokens").text
    key = ec.generate_private_key(ec.SECP256R1())
    taken = app.client().post(Routes.DEVICES, json=registration(app, key, registration_token=secret[0]))
    assert taken.status_code == 200
    token = re.search(r"/console/registration-tokens/(\w{32})", visit.get("/registration-tokens?q=Lab").text)
    assert token
    assert "Deleted." in visit.follow(visit.send(f"/registration-tokens/{token[1]}/delete")).text
    assert [line.action for line in audited(app, token[1])] == [
        "registration_token.create", "registration_token.delete",
    ]  # fmt: skip


def test_a_reload_of_the_page_with_a_new_registration_token_is_no_mistake(app: EnrollApp) -> None:
    visit = console(app)
    page = visit.get("/registration-tokens/new").text
    found = re.search(r'<option value="(\w{32})"', page)
    assert found
    form = {"name": "Lab", "organization_id": found[1], "owner": "", "days": "7"} | page_key(page)
    assert "ksr_" in visit.post("/registration-tokens/new", **form).text
    again = visit.post("/registration-tokens/new", **form)
    assert again.status_code == 200
    assert "was sent before" in again.text and "ksr_" not in again.text


def test_the_dashboard_says_what_needs_somebody_and_leads_to_it(app: EnrollApp) -> None:
    visit = console(app)
    assert "Nothing was asked for yet" in visit.get().text
    app.browser("Approved").order()
    installed(app)
    page = visit.get().text
    assert "request waits for approval" in text_of(page)
    for address in set(re.findall(r'href="/console(/(?:certificates|requests)\?q=[^"]+)"', page)):
        answer = visit.get(html.unescape(address))
        assert answer.status_code == 200 and "There is no field" not in answer.text and "no time" not in answer.text
    assert "Issued in the last 30 days" in text_of(page)


def test_the_dashboard_counts_requests_under_way_as_asked_for(app: EnrollApp) -> None:
    visit = console(app)
    app.browser().order()
    page = visit.get().text
    assert "Nothing was asked for yet" not in page and "Issued in the last 30 days" in text_of(page)


def test_the_dashboard_asks_nobody_to_set_up_what_they_may_not() -> None:
    officers, masters = (Scope((grant,)) for grant in (Grant(Role.RAO, "o1"), Grant(Role.MRAO)))
    assert "Ask a master administrator" in first_steps(officers, forms=0).text
    assert "Set up a certificate profile" in first_steps(masters, forms=0).text
    assert first_steps(officers, forms=1).text.startswith("Give a form's address")


def test_what_is_outside_of_the_scope_does_not_exist(app: EnrollApp) -> None:
    order_id, made = app.browser("Approved").order(), installed(app)
    device = register(app, app.client())
    stranger = strangers(app)[0]
    visit = console(app, stranger)
    visit.get("/certificates")
    for path in (
        f"/certificates/{made}", f"/certificates/{made}/revoke", f"/certificates/{made}/file",
        f"/requests/{order_id}", f"/requests/{order_id}/approve", f"/requests/{order_id}/reject",
        f"/requests/{order_id}/cancel", f"/devices/{device.id}", f"/devices/{device.id}/delete",
    ):  # fmt: skip
        assert visit.get(path).status_code == 404, path
    visit.get("/organizations")
    for path, fields in (
        (f"/certificates/{made}/revoke", {"reason": "superseded"}),
        (f"/requests/{order_id}/approve", {}),
        (f"/requests/{order_id}/reject", {"note": "No."}),
        (f"/requests/{order_id}/cancel", {}),
        (f"/devices/{device.id}/delete", {}),
    ):
        assert visit.post(path, **fields).status_code == 404, path
    for path in ("/certificates", "/requests", "/devices"):
        assert ADA not in visit.get(path).text
    assert visit.post("/requests/approve", chosen=[order_id]).status_code == 303
    assert "Not decided" in visit.post("/requests/decided", chosen=[order_id], decision="approve").text
    assert app.order(order_id).state is OrderState.AWAITING_APPROVAL
    assert [row.revoked_at for row in app.certificates()] == [None]


def test_nothing_is_done_from_another_site(app: EnrollApp) -> None:
    order_id, made, visit = app.browser("Approved").order(), installed(app), console(app)
    visit.get(f"/certificates/{made}/revoke")
    for path in (f"certificates/{made}/revoke", f"requests/{order_id}/approve", "requests/decided"):
        data = {"form_token": visit.form_token, "reason": "superseded", "chosen": order_id, "decision": "approve"}
        answer = visit.client.post(f"/console/{path}", data=data, headers={"origin": "https://evil.example"})
        assert answer.status_code == 403
    assert app.order(order_id).state is OrderState.AWAITING_APPROVAL
    assert [row.revoked_at for row in app.certificates()] == [None]
