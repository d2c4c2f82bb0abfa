"""Every page of the console renders in every state from its widgets, and keeps what the console promises."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.support.console_forms import FORM_DETAILS, FORM_WRONG, PROFILE, REVOKE
from tests.support.console_frame import ConsoleSample, frame, render
from tests.support.console_lists import CERTIFICATES, FILTERED, FORMS, SEARCH
from tests.support.console_samples import BOARD, SAMPLES
from tests.support.markup import Page
from tests.support.page_sample_data import ENROLL, STATIC

from keystead_contracts.problems import ProblemCode
from keystead_enroll.web.console.cells import text
from keystead_enroll.web.console.navigation import navigation
from keystead_enroll.web.console.widgets import LAYOUT, Action, Chart, ListPage, Point
from keystead_kit.pages import Pages
from keystead_kit.problems import ProblemException

TEMPLATES = ENROLL / "console"
MACROS = {"nav.html", "parts.html", "fields.html", "charts.html", "base.html", "bulk_progress.html"}
HOSTILE = '"><script>alert(1)</script>'
MOST_BYTES = 150_000
FILES = ("keystead.css", "console.css", "page.js", "console.js", "icons.svg", "marks.svg", "icon.svg")


def sample(name: str) -> ConsoleSample:
    (found,) = (each for each in SAMPLES if each.name == name)
    return found


def html(page: ListPage) -> str:
    return render(ConsoleSample("", page, frame("forms")))


@pytest.fixture(params=SAMPLES, ids=lambda each: each.name)
def page(request: pytest.FixtureRequest) -> Page:
    return Page(render(request.param))


def test_every_template_has_a_sample() -> None:
    written = {f"console/{path.name}" for path in TEMPLATES.glob("*.html") if path.name not in MACROS}
    assert written == {each.page.template for each in SAMPLES}
    assert len({each.name for each in SAMPLES}) == len(SAMPLES)


def test_nothing_is_inline_and_everything_is_ours(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag != "style"
        assert tag != "script" or attributes["src"].startswith("/static/")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert not attributes.get("src", "/").startswith(("http", "data:", "//"))
    for attributes in page.all("link"):
        assert (STATIC / attributes["href"].removeprefix("/static/")).is_file()


def test_every_icon_exists(page: Page) -> None:
    sprite = set(re.findall(r'<symbol id="(\w+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))
    assert {attributes["href"].removeprefix("/static/icons.svg#") for attributes in page.all("use")} <= sprite


def test_every_control_has_a_name_and_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {attributes["for"] for attributes in page.all("label")}
    controls = [c for c in page.all("input", "textarea", "select") if c.get("type") != "hidden"]
    assert {control["id"] for control in controls if "aria-label" not in control} == labelled
    for _, attributes in page.elements:
        named = f"{attributes.get('aria-describedby', '')} {attributes.get('aria-labelledby', '')}".split()
        assert set(named) <= set(ids)
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_every_post_form_carries_the_form_token(page: Page) -> None:
    posts = [form for form in page.all("form") if form["method"] == "post"]
    tokens = [field for field in page.all("input") if field.get("name") == "form_token"]
    assert len(posts) == len(tokens)


def test_headings_begin_once_and_skip_no_level(page: Page) -> None:
    assert page.headings.count(1) == 1
    reached = 0
    for level in page.headings:
        assert level <= max(reached, 1) + 1
        reached = level


def test_one_place_of_the_navigation_is_the_current_one(page: Page) -> None:
    pages = {a["href"] for a in page.all("a") if a.get("aria-current") == "page" and "?" not in a["href"]}
    assert len({href for href in pages if re.fullmatch(r"/console(/[a-z-]+)?", href)}) == 1


def test_a_page_of_200_rows_and_all_that_it_loads_is_light() -> None:
    loaded = sum((STATIC / name).stat().st_size for name in FILES)
    assert len(render(sample("list-200")).encode()) + loaded < MOST_BYTES


def test_no_place_is_offered_before_it_is_there() -> None:
    for places in (navigation("forms"), navigation("forms", hidden={"connectors", "audit"})):
        keys = {item.key for group in places for item in group.items}
        assert "forms" in keys and "connectors" not in keys
    assert "audit" not in keys


def test_every_place_has_words_and_an_icon() -> None:
    everything = replace(frame("jobs"), nav=navigation("jobs", hidden=()))
    shown = Page(render(ConsoleSample("", FORMS, everything)))
    test_every_icon_exists(shown)


def test_what_somebody_typed_stays_text_everywhere() -> None:
    rows = (replace(FORMS.rows[0], cells=tuple(text(HOSTILE, HOSTILE) for _ in FORMS.columns)),)
    search = replace(SEARCH, text=HOSTILE, error=HOSTILE)
    pages = (
        replace(FORMS, title=HOSTILE, intro=HOSTILE, rows=rows, search=search),
        replace(FORM_WRONG, title=HOSTILE, values=dict.fromkeys(FORM_WRONG.values, HOSTILE), errors={"name": HOSTILE}),
        replace(REVOKE, title=HOSTILE, verb=HOSTILE, hidden=((HOSTILE, HOSTILE),), consequences=(HOSTILE,)),
        replace(BOARD, charts=(Chart(HOSTILE, (Point(HOSTILE, (1, 2)),), series=(HOSTILE, HOSTILE)),)),
    )
    for each in pages:
        assert "<script>alert" not in render(ConsoleSample("", each, replace(frame("forms"), name=HOSTILE)))


def test_a_list_without_anything_says_how_to_begin_and_a_search_without_a_result_says_what_to_change() -> None:
    assert "Create an enrollment form" in html(replace(FORMS, rows=()))
    nothing = html(replace(FILTERED, rows=()))
    assert "Nothing matches" in nothing and "Publish an enrollment form" not in nothing


def test_a_search_that_was_not_understood_is_told_beside_the_box() -> None:
    (box,) = (field for field in Page(render(sample("list-not-understood"))).all("input") if field.get("id") == "f-q")
    assert box["aria-invalid"] == "true" and box["aria-describedby"] == "f-q-error"


def test_a_sorted_column_says_so_and_every_table_has_a_caption() -> None:
    shown = Page(html(CERTIFICATES))
    assert [th["aria-sort"] for th in shown.all("th") if "aria-sort" in th] == ["descending"]
    assert len(shown.all("caption")) == len(shown.all("table"))


def test_search_keeps_the_order_and_the_columns_keep_the_search() -> None:
    hidden = [(field["name"], field["value"]) for field in Page(html(CERTIFICATES)).all("input") if "id" not in field]
    assert ("sort", "-expires") in hidden and ("q", "type:device") in hidden


def test_every_row_can_be_chosen_by_its_name_where_there_is_something_to_do_with_several() -> None:
    boxes = [field for field in Page(html(FILTERED)).all("input") if field.get("name") == "chosen"]
    assert [box["value"] for box in boxes] == [row.key for row in FILTERED.rows]
    assert boxes[0]["aria-label"] == "Choose laptop-001.example.org"


def test_a_form_keeps_what_was_typed_and_says_what_is_wrong_beside_each_field() -> None:
    shown = render(sample("form-wrong"))
    page = Page(shown)
    assert "&lt;/textarea&gt;&lt;b&gt;not bold&lt;/b&gt;</textarea>" in shown
    for name, sentence in FORM_WRONG.errors.items():
        assert f"f-{name}-error" in {p.get("id") for p in page.all("p")}
        assert shown.count(sentence) == 2
    (wrong,) = (field for field in page.all("input") if field.get("id") == "f-help_link")
    assert wrong["value"] == "help.example.org" and wrong["aria-invalid"] == "true"


def test_what_is_checked_stays_checked_and_a_list_is_one_value_a_line() -> None:
    details = Page(render(sample("form-details")))
    chosen = {
        field["value"] for field in details.all("input") if field.get("name") == "organizations" if "checked" in field
    }
    assert chosen == {"0", "4"}
    assert ">\n365\n90\n30</textarea>" in render(sample("form-profile"))


def test_a_password_and_a_file_are_never_sent_back() -> None:
    typed = {"secret": "hunter2", "file": "metadata.xml"}
    shown = render(ConsoleSample("", replace(PROFILE, values=typed), frame("profiles")))
    assert "hunter2" not in shown and "metadata.xml" not in shown


def test_enter_saves_and_generate_is_a_button_of_its_own_that_needs_no_script() -> None:
    buttons = [b for b in Page(render(sample("form-details"))).all("button") if b.get("type") != "button"]
    _sign_out, first, generate, *_ = buttons
    assert "name" not in first
    assert (generate["name"], generate["value"]) == ("generate_uri", "1")
    (copy,) = (b for b in Page(render(sample("form-details"))).all("button") if "data-copy" in b)
    assert copy["data-copy"] == "https://enroll.example.org/e/k7Qm2xVt9s"


def test_a_form_with_a_file_sends_it() -> None:
    (form,) = (f for f in Page(render(sample("form-profile"))).all("form") if f["action"] == "/console/profiles/new")
    assert form["enctype"] == "multipart/form-data"
    assert "enctype" not in render(sample("form-details"))


def test_a_word_is_typed_only_where_it_is_asked() -> None:
    assert "typed_word" in render(sample("confirm-many"))
    assert "typed_word" not in render(sample("confirm-one"))


def test_a_destructive_act_looks_so_and_leads_to_a_question() -> None:
    danger = FORM_DETAILS.danger
    assert danger is not None
    (delete,) = (a for a in Page(render(sample("form-details"))).all("a") if a["href"] == danger.url)
    assert delete["class"] == "button danger"
    assert 'class="danger filled">Revoke 12 certificates</button>' in render(sample("confirm-many"))
    assert "danger" not in render(sample("confirm-harmless"))


def test_every_number_of_the_dashboard_leads_to_its_list() -> None:
    shown = render(sample("dashboard"))
    links = {a["href"] for a in Page(shown).all("a")}
    for need in BOARD.needs:
        assert (need.url in links) == (need.count > 0)
    for chart in BOARD.charts:
        assert all(point.url in links for point in chart.points)


def test_a_chart_fits_its_frame_and_has_its_numbers_as_text() -> None:
    page = Page(render(sample("dashboard")))
    for rect in page.all("rect"):
        right = float(rect.get("x", "0%").rstrip("%")) + float(rect["width"].rstrip("%"))
        assert right <= 100.1
        assert float(rect.get("y", "0")) >= 0 and float(rect["height"]) >= 0
    assert Chart("", (Point("", (3, 4)), Point("", (1,)))).top == 7
    assert Chart("", ()).top == 1


def test_a_refusal_in_the_console_stands_in_its_frame() -> None:
    problem = ProblemException(404, ProblemCode.NOT_FOUND, "There is no such form.", "Go back to the list.")
    around = {"layout": LAYOUT, "frame": frame("forms"), "form_token": "token"}
    shown = bytes(Pages(ENROLL).problem(problem, {"label": "Forms", "url": "/console/forms"}, around).body).decode()
    assert 'class="side"' in shown and "There is no such form." in shown


def test_an_action_by_post_carries_its_fields_and_the_token() -> None:
    act = Action("Renew", "/console/x/renew", method="post", hidden=(("version", "3"),))
    page = Page(html(replace(FORMS, actions=(act,))))
    assert {"type": "hidden", "name": "version", "value": "3"} in page.all("input")
