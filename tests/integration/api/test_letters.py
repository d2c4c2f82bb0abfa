"""Whom enroll has written to about what administrators decide."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.integration.api.test_certificates import COMPROMISED, installed, strangers
from tests.integration.api.test_requests import waiting
from tests.support.administrators import administrator, administrator_identity, console, master
from tests.support.enroll_app import ADA, BOB, PAGE, EnrollApp

from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.domain.administration import Administrator, Grant, Role
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.usecases.tell_approvers import MOST_LISTED
from keystead_kit.i18n import languages

PAUSE = timedelta(minutes=60)


def told(app: EnrollApp, who: Administrator) -> list[dict[str, Any]]:
    """The letters to an administrator on what waits."""
    return [fact for fact in app.facts("approvals_waiting") if fact["email"] == who.email]


def test_an_administrator_is_told_what_waits_for_them_once(app: EnrollApp) -> None:
    grace, order_id = administrator(app), waiting(app)
    assert app.enroll.tell_approvers() == 1
    app.clock.shift += 2 * PAUSE
    assert app.enroll.tell_approvers() == 0
    (letter,) = told(app, grace)
    assert (letter["waiting"], letter["fresh"]) == (1, 1)
    assert letter["requests"][0]["person"] == ADA
    assert letter["console_link"] == f"{app.origin}/console/requests/{order_id}"


def test_several_workers_at_once_tell_each_administrator_once(app: EnrollApp) -> None:
    everybody, _ = [administrator(app) for _ in range(3)], waiting(app)
    workers = 4
    start = threading.Barrier(workers)

    def tell() -> int:
        start.wait()
        return app.enroll.tell_approvers()

    with ThreadPoolExecutor(workers) as pool:
        letters = sum(each.result() for each in [pool.submit(tell) for _ in range(workers)])
    assert letters == len(everybody)
    assert [len(told(app, who)) for who in everybody] == [1, 1, 1]


def test_what_comes_within_the_pause_is_in_one_letter_after_it(app: EnrollApp) -> None:
    grace, _ = administrator(app), waiting(app)
    app.enroll.tell_approvers()
    for _ in range(MOST_LISTED + 2):
        waiting(app)
        assert app.enroll.tell_approvers() == 0
    app.clock.shift += PAUSE
    assert app.enroll.tell_approvers() == 1
    digest = told(app, grace)[-1]
    assert (digest["waiting"], digest["fresh"], len(digest["requests"])) == (
        MOST_LISTED + 3,
        MOST_LISTED + 2,
        MOST_LISTED,
    )
    assert digest["console_link"].endswith("/console/requests?q=state:awaiting_approval")


def test_only_those_who_may_decide_are_told(app: EnrollApp) -> None:
    others = [administrator(app, grant) for grant in strangers(app)]
    order = app.order(waiting(app))
    department = Grant(Role.DRAO, order.organization_id, order.department_id)
    drao, gone = administrator(app, department), administrator(app, department)
    with app.enroll.database.write() as session:
        session.execute(update(a.administrators).where(a.administrators.c.id == gone.id).values(active=False))
    app.enroll.tell_approvers()
    assert [len(told(app, each)) for each in (drao, gone, *others)] == [1, 0, 0, 0]


def test_nobody_is_told_of_what_was_decided_before(app: EnrollApp) -> None:
    order_id = waiting(app)
    master(app)("POST", f"/requests/{order_id}/approval", json={})
    assert app.enroll.tell_approvers() == 0
    assert app.facts("approvals_waiting") == []


def test_who_was_told_is_forgotten_with_the_decision_and_not_before(app: EnrollApp) -> None:
    api, order_id = master(app), waiting(app)
    app.enroll.tell_approvers()
    app.enroll.transactions.prune(app.clock.now())
    app.clock.shift += PAUSE
    assert app.enroll.tell_approvers() == 0
    api("POST", f"/requests/{order_id}/approval", json={})
    app.enroll.transactions.prune(app.clock.now())
    with app.enroll.database.read() as session:
        assert session.execute(select(a.approval_notices)).all() == []


def test_an_administrator_is_written_to_in_the_language_of_their_console(app: EnrollApp) -> None:
    grace = administrator(app)
    headers = PAGE | {"accept-language": "de", "cookie": f"keystead_administrator={administrator_identity(app, grace)}"}
    assert app.client().get("/console/arrive", headers=headers).status_code == 303
    waiting(app)
    app.enroll.tell_approvers()
    assert told(app, grace)[0]["language"] == "de"


def test_the_owner_is_told_once_that_an_administrator_revoked_their_certificate(app: EnrollApp) -> None:
    api, made = master(app), installed(app)
    for _ in range(2):
        api("POST", f"/certificates/{made}/revocation", json=COMPROMISED)
    (letter,) = app.facts("certificate_revoked")
    assert (letter["email"], letter["machine"]) == (ADA, "laptop")
    assert letter["reason"] == RevocationReason.KEY_COMPROMISE.words
    assert letter["advice"] == RevocationReason.KEY_COMPROMISE.advice
    assert letter["portal_link"].endswith(f"/certificates/{made}")
    assert COMPROMISED["note"] not in str(letter)


def test_the_console_s_revocation_is_told_too(app: EnrollApp) -> None:
    made = installed(app, BOB)
    console(app).send(f"/certificates/{made}/revoke", reason="superseded", note="")
    assert [letter["email"] for letter in app.facts("certificate_revoked")] == [BOB]


def test_nobody_is_written_to_about_what_they_revoke_themselves(app: EnrollApp) -> None:
    made = installed(app)
    browser = app.browser()
    browser.get(f"/certificates/{made}/revoke")
    assert browser.post(f"/certificates/{made}/revoke", reason="superseded").status_code == 303
    assert master(app)("GET", f"/certificates/{made}").json()["state"] == "revoked"
    assert app.facts("certificate_revoked") == []


@pytest.mark.parametrize("reason", RevocationReason)
def test_each_reason_says_what_to_do_in_german_too(reason: RevocationReason) -> None:
    german = languages()["de"].catalogue
    assert reason.advice.told(german) != reason.advice
