"""An administrator's visit to the console: comes, stays for a while, goes."""

from __future__ import annotations

from datetime import timedelta

from tests.support.administrators import Console, administrator, administrator_identity, console, take_fact
from tests.support.enroll_app import PAGE, EnrollApp

from keystead_contracts.people import AdministratorSignInsEnded
from keystead_enroll.domain.administration import Administrator

SIGN_IN = "/auth/administrators/sign-in"


def closed(at: Console) -> bool:
    response = at.get("/organizations")
    return (response.status_code, response.headers.get("location")) == (303, SIGN_IN)


def test_an_administrator_comes_to_the_page_that_they_asked_for(app: EnrollApp) -> None:
    visit = Console(app)
    assert closed(visit)
    response = visit.arrive(administrator_identity(app, administrator(app)))
    assert (response.status_code, response.headers["location"]) == (303, "/console/organizations")
    assert visit.get("/organizations").status_code == 200


def test_a_sign_in_opens_the_console_once(app: EnrollApp) -> None:
    identity = administrator_identity(app, administrator(app))
    assert Console(app).arrive(identity).status_code == 303
    second = Console(app)
    assert second.arrive(identity).status_code == 401
    assert closed(second)


def test_a_person_s_identity_opens_no_console(app: EnrollApp) -> None:
    assert Console(app).arrive(app.identity()).status_code == 401


def test_an_administrator_s_identity_opens_no_portal(app: EnrollApp) -> None:
    identity = administrator_identity(app, administrator(app))
    cookie = {**PAGE, "cookie": f"keystead_identity={identity}"}
    assert app.client().get(f"/e/{app.uris['Staff']}", headers=cookie).status_code == 401


def test_the_session_ends_after_an_hour_without_a_visit(app: EnrollApp) -> None:
    visit = console(app)
    app.clock.shift = timedelta(minutes=59)
    assert not closed(visit)
    app.clock.shift = timedelta(minutes=59 + 61)
    assert closed(visit)


def test_the_session_ends_after_twelve_hours_whatever_is_done(app: EnrollApp) -> None:
    visit = console(app)
    for minutes in range(0, 12 * 60, 50):
        app.clock.shift = timedelta(minutes=minutes)
        assert not closed(visit)
    app.clock.shift = timedelta(hours=12)
    assert closed(visit)


def test_an_administrator_who_is_no_longer_active_is_out_at_once(app: EnrollApp) -> None:
    who = administrator(app)
    visit = Console(app)
    visit.arrive(administrator_identity(app, who))
    assert not closed(visit)
    with app.enroll.transactions.write() as tx:
        stored = tx.get(Administrator, who.id)
        assert stored is not None
        stored.active = False
    assert closed(visit)


def test_a_new_password_closes_every_console_that_was_open_then_and_none_later(app: EnrollApp) -> None:
    who, other = administrator(app), console(app)
    open_then, later = Console(app), Console(app)
    open_then.arrive(administrator_identity(app, who))
    take_fact(app, AdministratorSignInsEnded(administrator_id=who.id, ended_at=app.clock.now()))
    app.clock.shift = timedelta(seconds=1)
    later.arrive(administrator_identity(app, who))
    assert closed(open_then)
    assert not closed(later)
    assert not closed(other)


def test_a_sign_in_that_was_ended_closes_what_it_opened_and_opens_no_more(app: EnrollApp) -> None:
    who = administrator(app)
    ended, goes_on, late = Console(app), Console(app), Console(app)
    ended.arrive(administrator_identity(app, who, session="one"))
    goes_on.arrive(administrator_identity(app, who, session="two"))
    unused = administrator_identity(app, who, session="one")
    take_fact(app, AdministratorSignInsEnded(administrator_id=who.id, ended_at=app.clock.now(), session="one"))
    assert closed(ended)
    assert not closed(goes_on)
    assert late.arrive(unused).status_code == 401


def test_auth_hears_that_a_console_is_used_every_few_minutes(app: EnrollApp) -> None:
    who, visit = administrator(app), Console(app)
    visit.arrive(administrator_identity(app, who, session="one"))
    for minutes in (6, 6, 12):
        app.clock.shift = timedelta(minutes=minutes)
        assert not closed(visit)
    told = app.facts("administrator_seen")
    assert [(fact["administrator_id"], fact["session"]) for fact in told] == [(who.id, "one")] * 2


def test_signing_out_ends_the_session_and_goes_on_to_auth(app: EnrollApp) -> None:
    visit = console(app)
    visit.get("/organizations")
    cookies = dict(visit.client.cookies)
    response = visit.post("/sign-out")
    assert (response.status_code, response.headers["location"]) == (307, "/auth/administrators/sign-out")
    again = Console(app)
    again.client.cookies.update(cookies)
    assert closed(again)


def test_no_page_of_another_site_is_where_a_sign_in_leads(app: EnrollApp) -> None:
    for path in ("//evil.example", "/console/../e/x", "/console//evil.example", "https://evil.example", "/e/x"):
        visit = Console(app)
        visit.client.cookies.set("keystead_enroll_console_next", path)
        response = visit.arrive(administrator_identity(app, administrator(app)))
        assert (response.status_code, response.headers["location"]) == (303, "/console")
