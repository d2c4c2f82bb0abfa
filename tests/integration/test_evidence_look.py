"""The portal's page of evidence in Chromium: names, structure, contrast, a phone's width, axe-core's rules, no script.

Leaves a picture of each, wide and narrow, light and dark, in var/screenshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.support import page_audit
from tests.support.evidence_pages import evidence_pages
from tests.support.page_sample_data import Sample, render
from tests.support.preview_pages import chromium, shown

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[2] / "var/screenshots"
WIDE, NARROW = 1100, 360
SAMPLES = list(evidence_pages())


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with shown(tmp_path_factory.mktemp("evidence"), ((each.name, render(each)) for each in SAMPLES)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_page_can_be_read_by_everybody(sample: Sample, browser: Browser, origin: str) -> None:
    context = browser.new_context(viewport={"width": WIDE, "height": 900}, reduced_motion="reduce")
    page, faults = context.new_page(), list[str]()
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{origin}/{sample.name}.html")
    mistakes = {"names": page_audit.unnamed_controls(page), "structure": page_audit.structure_mistakes(page)}
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        mistakes[f"sideways at {width}"] = page_audit.sideways(page)
        mistakes[f"axe at {width}"] = page_audit.axe_mistakes(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            mistakes[f"{scheme} at {width}"] = page_audit.weak_contrasts(page)
            page.screenshot(path=PICTURES / f"portal-{sample.name}-{width}-{scheme}.png", full_page=True)
    context.close()
    mistakes["faults"] = faults
    assert {where: found for where, found in mistakes.items() if found} == {}


def test_all_is_there_without_script(browser: Browser, origin: str) -> None:
    context = browser.new_context(viewport={"width": NARROW, "height": 900}, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{origin}/evidence-vendor.html")
    assert page.locator(".checks li:visible").count() > 40
    assert page.get_by_text("keystead evidence verify").is_visible()
    assert page.get_by_role("link", name="Evidence (JSON)").is_visible()
    context.close()
