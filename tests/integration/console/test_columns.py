"""The columns of a list are chosen, and the browser remembers them."""

from __future__ import annotations

from tests.support.administrators import console
from tests.support.enroll_app import EnrollApp

TYPE, SIGN_IN = ">Type</", ">Sign-in</"


def head(page: str) -> str:
    """The heads of the list's columns."""
    return page.partition('<table class="table">')[2].partition("</thead>")[0]


def test_columns_are_chosen_and_remembered_until_others_are(app: EnrollApp) -> None:
    visit = console(app)
    assert TYPE in head(visit.get("/forms").text)
    chosen = visit.get("/forms?picked=1&columns=methods&columns=state").text
    for page in (chosen, visit.get("/forms").text, visit.get("/forms?q=Staff&sort=-name").text):
        assert TYPE not in head(page)
        assert SIGN_IN in head(page)
    assert TYPE in head(visit.get("/profiles").text)
    visit.get("/forms?picked=1&columns=type")
    assert TYPE in head(visit.get("/forms").text)
    assert SIGN_IN not in head(visit.get("/forms").text)


def test_what_a_thing_is_called_stays_whatever_is_chosen(app: EnrollApp) -> None:
    page = console(app).get("/forms?picked=1&columns=nonsense").text
    assert "Name" in head(page)
    assert head(page).count("<th ") == 1
    assert "Staff" in page


def test_a_search_stays_while_columns_are_chosen(app: EnrollApp) -> None:
    page = console(app).get("/forms?q=type:client&sort=-name&limit=25").text
    picker = page.partition("<summary")[2].partition('action="/console/forms"')[2].partition("</form>")[0]
    for name, value in (("q", "type:client"), ("sort", "-name"), ("limit", "25")):
        assert f'name="{name}" value="{value}"' in picker + page


def test_a_cookie_that_somebody_made_up_breaks_no_list(app: EnrollApp) -> None:
    visit = console(app)
    visit.get("/forms?picked=1&columns=type")
    (name,) = [each.name for each in visit.client.cookies.jar if each.name.endswith("columns")]
    for value in ("forms:name.nonsense|:|x", "<script>", "forms:" + "a." * 1500):
        visit.client.cookies.clear()
        opened = console(app)
        opened.client.cookies.set(name, value)
        page = opened.get("/forms")
        assert page.status_code == 200
        assert "Name" in head(page.text)
        assert "<script>" not in head(page.text)
