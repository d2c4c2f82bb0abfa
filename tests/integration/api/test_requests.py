"""Requests through the API."""

from __future__ import annotations

from tests.integration.api.test_certificates import audited, strangers
from tests.support.administrators import master, officer
from tests.support.enroll_app import ADA, EnrollApp, issued, problem_code

from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.orders import OrderState


def waiting(app: EnrollApp) -> str:
    """The id of a request that waits for approval."""
    return app.browser("Approved").order()


def test_a_request_shows_who_asked_for_what_and_all_that_happened(app: EnrollApp) -> None:
    _, order_id, _, _ = issued(app)
    shown = master(app)("GET", f"/requests/{order_id}").json()
    assert (shown["person_email"], shown["form"], shown["account"], shown["machine"]) == (
        ADA,
        "Staff",
        "Staff",
        "laptop",
    )
    assert ADA in shown["names"]
    assert [step["state"] for step in shown["history"]] == [
        "submitted", "offered", "csr_accepted", "signing", "issued",
    ]  # fmt: skip
    assert shown["certificate_id"] == master(app).items("/certificates")[0]["id"]


def test_a_request_that_failed_says_why(app: EnrollApp) -> None:
    api, order_id = master(app), waiting(app)
    api("POST", f"/requests/{order_id}/rejection", json={"note": "Ask Grace."})
    shown = api("GET", f"/requests/{order_id}").json()
    assert "Ask Grace." in shown["failure"] and shown["advice"]


def test_an_approval_lets_the_request_go_on_once(app: EnrollApp) -> None:
    api, order_id = master(app), waiting(app)
    approved = api("POST", f"/requests/{order_id}/approval", json={"note": "Known."})
    assert (approved.status_code, approved.json()["state"]) == (200, "offered")
    assert app.facts("order_approved")[0]["order_id"] == order_id
    again = api("POST", f"/requests/{order_id}/approval", json={})
    assert (again.status_code, problem_code(again)) == (409, "order-refused")
    assert [(line.action, line.details) for line in audited(app, order_id)][-1] == (
        "request.approve", {"note": "Known."},
    )  # fmt: skip


def test_a_rejection_needs_a_reason_that_the_person_reads(app: EnrollApp) -> None:
    api, order_id = master(app), waiting(app)
    for body in ({}, {"note": "  "}):
        assert list(api("POST", f"/requests/{order_id}/rejection", json=body).json()["fields"]) == ["note"]
    assert api("POST", f"/requests/{order_id}/rejection", json={"note": "Ask Grace."}).json()["state"] == "rejected"
    assert app.facts("order_rejected")[0]["reason"] == "Ask Grace."
    assert audited(app, order_id)[-1].action == "request.reject"


def test_a_cancelled_request_takes_its_work_back_and_the_person_is_told(app: EnrollApp) -> None:
    _, order_id, agent, _ = issued(app)
    cancelled = master(app)("POST", f"/requests/{order_id}/cancellation", json={"note": "Wrong laptop."})
    assert cancelled.json()["state"] == "cancelled"
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]
    assert "Wrong laptop." in app.facts("enrollment_failed")[0]["reason"]
    assert audited(app, order_id)[-1].action == "request.cancel"


def test_of_several_requests_each_is_judged_by_itself(app: EnrollApp) -> None:
    api, first, second = master(app), waiting(app), waiting(app)
    api("POST", f"/requests/{first}/approval", json={})
    answer = api("POST", "/requests/decisions", json={"ids": [first, second, "0" * 32, second], "approve": True})
    results = answer.json()["results"]
    assert [(each["id"], each["state"]) for each in results] == [(first, None), (second, "offered"), ("0" * 32, None)]
    assert "does not wait for approval" in results[0]["problem"] and results[1]["problem"] is None
    assert results[2]["problem"] == "There is no such request."


def test_several_requests_are_not_declined_without_a_reason(app: EnrollApp) -> None:
    api, order_id = master(app), waiting(app)
    refused = api("POST", "/requests/decisions", json={"ids": [order_id], "approve": False})
    assert (refused.status_code, list(refused.json()["fields"])) == (422, ["note"])
    assert app.order(order_id).state is OrderState.AWAITING_APPROVAL


def test_what_is_outside_of_the_scope_does_not_exist(app: EnrollApp) -> None:
    order_id = waiting(app)
    for grant in strangers(app):
        api = officer(app, grant)
        assert api.items("/requests") == []
        assert api("GET", f"/requests/{order_id}").status_code == 404
        for verb, body in (("approval", {}), ("rejection", {"note": "No."}), ("cancellation", {})):
            assert api("POST", f"/requests/{order_id}/{verb}", json=body).status_code == 404
        decided = api("POST", "/requests/decisions", json={"ids": [order_id], "approve": True}).json()
        assert decided["results"][0]["state"] is None
    assert app.order(order_id).state is OrderState.AWAITING_APPROVAL


def test_an_officer_of_the_department_decides_its_requests(app: EnrollApp) -> None:
    order_id = waiting(app)
    shown = master(app)("GET", f"/requests/{order_id}").json()
    drao = officer(app, Grant(Role.DRAO, shown["organization_id"], shown["department_id"]))
    assert drao("POST", f"/requests/{order_id}/approval", json={}).json()["state"] == "offered"


def test_nothing_but_the_note_is_taken(app: EnrollApp) -> None:
    order_id = waiting(app)
    refused = master(app)("POST", f"/requests/{order_id}/approval", json={"note": "", "profile_id": "x"})
    assert list(refused.json()["fields"]) == ["profile_id"]


def test_what_a_person_does_is_in_the_audit_log_too(app: EnrollApp) -> None:
    browser = app.browser()
    order_id = browser.order()
    browser.post(f"/orders/{order_id}/cancel")
    lines = audited(app, order_id)
    assert [(line.action, line.actor_kind, line.actor) for line in lines] == [
        ("request.submit", "person", ADA),
        ("request.cancel", "person", ADA),
    ]
