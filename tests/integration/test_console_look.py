"""The console's pages in Chromium: names, structure, contrast, a phone's width, axe-core's rules, keyboard, no script.

Leaves a picture of each page, wide and narrow, light and dark, in var/screenshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.support import page_audit
from tests.support.console_frame import ConsoleSample, render
from tests.support.console_samples import SAMPLES
from tests.support.preview_pages import chromium, shown

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[2] / "var/screenshots"
WIDE, NARROW = 1280, 360


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with shown(tmp_path_factory.mktemp("console"), ((each.name, render(each)) for each in SAMPLES)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": WIDE, "height": 900}, reduced_motion="reduce", locale="en-GB", timezone_id="Europe/Berlin"
    )
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_page_can_be_read_and_used_by_everybody(sample: ConsoleSample, page: Page, origin: str) -> None:
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{origin}/{sample.name}.html")
    mistakes = {
        "names": page_audit.unnamed_controls(page),
        "structure": page_audit.structure_mistakes(page),
        "faults": faults,
    }
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        mistakes[f"sideways at {width}"] = page_audit.sideways(page)
        mistakes[f"axe at {width}"] = page_audit.axe_mistakes(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            mistakes[f"{scheme} at {width}"] = page_audit.weak_contrasts(page)
            page.screenshot(path=PICTURES / f"console-{sample.name}-{width}-{scheme}.png", full_page=True)
    assert {where: found for where, found in mistakes.items() if found} == {}
    assert page_audit.weight(page) < page_audit.MOST_BYTES


@pytest.mark.parametrize("width", [1200, NARROW])
@pytest.mark.parametrize("name", ["list-audit", "list-issued", "list-waiting", "list-requests"])
def test_a_list_fits_and_breaks_no_word_within(page: Page, origin: str, name: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{origin}/{name}.html")
    page.screenshot(path=PICTURES / f"console-{name}-fits-{width}.png", full_page=True)
    assert page.locator(".table-box").evaluate("box => box.scrollWidth <= box.clientWidth")
    assert page_audit.broken_words(page.locator(".table tbody")) == []


def test_a_slash_goes_to_the_search_but_not_while_somebody_types(page: Page, origin: str) -> None:
    page.goto(f"{origin}/list-filtered.html")
    search = page.get_by_role("searchbox")
    page.keyboard.press("/")
    expect(search).to_be_focused()
    assert page_audit.focus_is_visible(page)
    page.keyboard.press("End")
    page.keyboard.type("/x")
    expect(search).to_have_value('type:device expires:<30d "laptop"/x')


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_panel_stays_within_the_page_and_closes_by_escape_and_by_a_click_elsewhere(
    page: Page, origin: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{origin}/list-certificates.html")
    panel, opener = (
        page.get_by_role("table", name="Fields that the search understands"),
        page.get_by_text("Fields", exact=True),
    )
    ways: list[Callable[[], None]] = [lambda: page.keyboard.press("Escape"), lambda: page.locator("h1").click()]
    for close in ways:
        opener.click()
        expect(panel).to_be_visible()
        assert page_audit.sideways(page) == []
        page.screenshot(path=PICTURES / f"console-panel-{width}-light.png")
        close()
        expect(panel).to_be_hidden()


def test_all_rows_can_be_chosen_at_once_and_are_counted(page: Page, origin: str) -> None:
    page.goto(f"{origin}/list-filtered.html")
    rows = page.locator("tbody input[name=chosen]")
    count = rows.count()
    page.get_by_label("Choose all on this page").check()
    assert all(rows.nth(each).is_checked() for each in range(count))
    rows.first.uncheck()
    expect(page.locator("[data-chosen]")).to_have_text(f"{count - 1} / {count}")


def test_every_place_is_reached_by_keyboard_and_the_ring_is_seen(page: Page, origin: str) -> None:
    page.goto(f"{origin}/list-requests.html")
    seen = set()
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement !== document.body"):
        assert page_audit.focus_is_visible(page)
        seen.add(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.ariaLabel"))
        page.keyboard.press("Tab")
    assert {"Skip to the content", "API tokens", "Search", "Approve", "Choose Ada Lovelace", "Ada Lovelace"} <= seen


def test_enter_in_a_field_saves_and_does_not_generate(page: Page, origin: str) -> None:
    page.goto(f"{origin}/form-details.html")
    sent: list[str] = []

    def keep(route: Route) -> None:
        sent.append(route.request.post_data or "")
        route.abort()

    page.route("**/console/**", keep)
    page.get_by_label("Name").press("Enter")
    page.wait_for_timeout(200)
    assert len(sent) == 1
    assert "name=Staff+certificates" in sent[0] and "generate_uri" not in sent[0]


def test_the_menu_opens_and_everything_is_there_without_script(browser: Browser, origin: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": NARROW, "height": 740})
    page = context.new_page()
    page.goto(f"{origin}/list-filtered.html")
    menu = page.get_by_role("navigation", name="Console")
    expect(menu).to_be_hidden()
    page.get_by_text("Menu", exact=True).click()
    expect(menu.get_by_role("link", name="API tokens")).to_be_visible()
    page.get_by_text("Columns", exact=True).click()
    expect(page.get_by_role("button", name="Show these")).to_be_visible()
    page.screenshot(path=PICTURES / "console-menu-360-light.png")
    context.close()
