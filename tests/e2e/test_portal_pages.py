"""Every page of the portal in a real browser: named controls, structure, contrast, a phone's width, weight, no faults.

One walk visits all pages, looks at each in light and dark, wide and narrow, and keeps the pictures in var/screenshots.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.support import page_audit
from tests.support.browser import Agent, Visitor
from tests.support.swtpm import Swtpm

from keystead_local.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.tpm, pytest.mark.browser]

PICTURES = Path(__file__).parents[2] / "var/screenshots"
WIDTHS = (1100, 360)
PAGES = {
    "start", "sign-in", "sign-in-error", "check-mail", "confirm", "link-used", "link-unknown", "access-code",
    "access-code-error", "request", "request-error", "request-device", "request-ssl", "request-computers",
    "live-waiting", "live-late", "live-computer", "live-computer-late", "live-link-instead",
    "live-expired", "cancelled", "failed", "installed", "certificates", "certificate",
    "no-such-form", "no-such-request", "signed-out", "mailbox", "mailbox-sign-in", "mailbox-installed",
}  # fmt: skip


@dataclass
class Walk:
    """What was seen, by page."""

    unnamed: dict[str, list[str]] = field(default_factory=dict)
    structure: dict[str, list[str]] = field(default_factory=dict)
    contrast: dict[str, list[str]] = field(default_factory=dict)
    sideways: dict[str, list[str]] = field(default_factory=dict)
    weight: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    live_region: str | None = None

    def look(self, page: Page, name: str) -> None:
        """Looks at the page from all sides, and leaves the window as it was."""
        self.weight[name] = page_audit.weight(page)
        self.unnamed[name] = page_audit.unnamed_controls(page)
        self.structure[name] = page_audit.structure_mistakes(page)
        before = page.viewport_size
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            self.sideways[f"{name} at {width} px"] = page_audit.sideways(page)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                self.contrast[f"{name}, {scheme}"] = page_audit.weak_contrasts(page)
                page.screenshot(path=PICTURES / f"{name}-{width}-{scheme}.png", full_page=True)
        page.emulate_media(color_scheme="light")
        if before:
            page.set_viewport_size(before)


@pytest.fixture(scope="module")
def walk(browser: Browser, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    seen = Walk()
    for number, stretch in enumerate((_sign_in, _enroll, _other_types, _computers, _troubles)):
        with Visitor(browser, stack, f"walker{number}@example.org") as person:
            stretch(seen, person, tmp_path_factory.mktemp("walk"))
            seen.faults += person.faults
    yield seen


def _sign_in(seen: Walk, person: Visitor, _: Path) -> None:
    page = person.page
    page.goto(person.stack.origin)
    seen.look(page, "start")
    page.goto(person.form("Staff"))
    seen.look(page, "sign-in")
    page.get_by_label("e-mail address at").fill("walker0.example.org")
    person.press("Send me a link")
    page.wait_for_selector(".error")
    seen.look(page, "sign-in-error")
    page.get_by_label("e-mail address at").fill(person.email)
    person.press("Send me a link")
    person.sees("Check your mail")
    seen.look(page, "check-mail")
    link = person.wait_for_link()
    page.goto(link)
    seen.look(page, "confirm")
    page.locator("main").get_by_role("button", name="Sign in").click()
    person.sees("Enter your access code")
    seen.look(page, "access-code")
    page.get_by_label("Access code").fill("HEART2025")
    person.press("Continue")
    page.wait_for_selector(".error")
    seen.look(page, "access-code-error")
    person.press("Sign out")
    person.sees("You are signed out")
    seen.look(page, "signed-out")
    page.goto(link)
    person.sees("This link was already used")
    seen.look(page, "link-used")
    page.goto(f"{person.stack.origin}/auth/confirm/{'A' * 43}")
    person.sees("This link does not work")
    seen.look(page, "link-unknown")
    page.goto(f"{person.stack.origin}/e/nothing-here")
    seen.look(page, "no-such-form")


def _enroll(seen: Walk, person: Visitor, folder: Path) -> None:
    page = person.page
    person.reach_request()
    seen.look(page, "request")
    person.press("Request certificate")
    page.wait_for_selector(".error")
    seen.look(page, "request-error")
    page.clock.install()
    link = person.submit()
    seen.live_region = page.locator("#live [aria-live]").get_attribute("aria-live")
    seen.look(page, "live-waiting")
    page.clock.fast_forward(10_000)
    page.locator(".late.shown").wait_for()
    seen.look(page, "live-late")
    with Agent(person.stack, folder, link):
        person.sees("Your certificate is installed")
    for summary in page.locator("summary").all():
        summary.click()
    seen.look(page, "installed")
    person.press("Your certificates")
    person.sees("Your certificates")
    seen.look(page, "certificates")
    page.locator(".row").first.click()
    person.sees("Certificate")
    seen.look(page, "certificate")
    page.goto(f"{person.form('Staff')}/orders/{'0' * 32}")
    seen.look(page, "no-such-request")
    _letters(seen, person)


def _letters(seen: Walk, person: Visitor) -> None:
    page = person.new_tab()
    ids = {name: person.wait_for_letter(words)["id"] for name, words in _LETTERS.items()}
    page.goto(person.stack.mailbox_url)
    seen.look(page, "mailbox")
    for name, id in ids.items():
        page.goto(f"{person.stack.mailbox_url}/messages/{id}")
        seen.look(page, name)


_LETTERS = {"mailbox-sign-in": "/auth/confirm/", "mailbox-installed": "is installed"}


def _other_types(seen: Walk, person: Visitor, _: Path) -> None:
    person.reach_request("Device")
    seen.look(person.page, "request-device")
    person.page.goto(person.form("Server"))
    person.sees("Enter your access code")
    person.page.get_by_label("Access code").fill("SERVER2026")
    person.press("Continue")
    person.sees("Request a certificate")
    seen.look(person.page, "request-ssl")


def _computers(seen: Walk, person: Visitor, _: Path) -> None:
    page = person.page
    add_computers(person.stack, person.email)
    person.reach_request()
    assert page.get_by_role("radio", name="laptop-042 Connected").is_checked()
    seen.look(page, "request-computers")
    page.get_by_label("lab-workstation-7").check()
    page.get_by_label("I accept these terms").check()
    page.clock.install()
    person.press("Request certificate")
    person.sees("Getting your certificate")
    seen.look(page, "live-computer")
    page.clock.fast_forward(20_000)
    page.get_by_role("button", name="Use a link instead").wait_for()
    seen.look(page, "live-computer-late")
    person.press("Use a link instead")
    page.get_by_role("link", name="Open the Keystead Agent").wait_for()
    assert person.link()
    seen.look(page, "live-link-instead")


def _troubles(seen: Walk, person: Visitor, folder: Path) -> None:
    page = person.page
    person.reach_request()
    person.submit()
    expire_links(person.stack, page.url)
    page.reload()
    page.get_by_role("button", name="Get a new link").wait_for()
    seen.look(page, "live-expired")
    page.get_by_text("Cancel this request").click()
    person.press("Yes, cancel it")
    person.sees("Your request was cancelled")
    seen.look(page, "cancelled")
    person.press("Make a new request")
    with Swtpm(folder / "tpm") as tpm:
        tpm.fill()
        with Agent(person.stack, folder, person.submit(), KEYSTEAD_AGENT_TCTI=tpm.tcti):
            person.sees("Your certificate could not be installed")
    seen.look(page, "failed")


def add_computers(stack: Stack, owner: str) -> None:
    """Registers computers of `owner`; two share a name, one of them is connected."""
    now, before = datetime.now(UTC), "2026-03-02 09:30:00.000000"
    soon = (now + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    rows = (
        ("laptop-042", "tpm2", "x" * 32, soon),
        ("laptop-042", "software", None, None),
        ("lab-workstation-7", "tpm2", None, None),
    )
    with sqlite3.connect(f"{stack.folder}/data/enroll.db", timeout=10) as database:
        [(organization,)] = database.execute("SELECT id FROM organizations").fetchall()
        for name, keys, holder, seen in rows:
            id = secrets.token_hex(16)
            database.execute(
                "INSERT INTO devices (id, organization_id, name, platform, public_key_pem, spki_sha256, owner,"
                " registered_at, last_seen_at, machine, stream_holder, stream_seen_at)"
                " VALUES (?, ?, ?, 'linux', '', ?, ?, ?, ?, ?, ?, ?)",
                (id, organization, name, id, owner, before, before, json.dumps({"key_provider": keys}), holder, seen),
            )


def expire_links(stack: Stack, order_address: str) -> None:
    """Ends the time of the order's links."""
    order = order_address.rsplit("/", 1)[1]
    with sqlite3.connect(f"{stack.folder}/data/enroll.db", timeout=10) as database:
        moved = database.execute(
            "UPDATE enrollment_claims SET expires_at = '2026-01-01 00:00:00.000000' WHERE order_id = ?", [order]
        )
        assert moved.rowcount == 1


def mistakes(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: each for name, each in found.items() if each}


def test_the_walk_sees_every_page(walk: Walk) -> None:
    assert set(walk.weight) == PAGES


def test_every_control_has_an_accessible_name(walk: Walk) -> None:
    assert mistakes(walk.unnamed) == {}


def test_every_page_has_one_title_the_landmarks_and_sound_references(walk: Walk) -> None:
    assert mistakes(walk.structure) == {}


def test_every_text_stands_out_in_light_and_dark(walk: Walk) -> None:
    assert mistakes(walk.contrast) == {}


def test_no_page_scrolls_sideways_even_on_a_small_phone(walk: Walk) -> None:
    assert mistakes(walk.sideways) == {}


def test_every_page_is_light(walk: Walk) -> None:
    assert {name: size for name, size in walk.weight.items() if size > page_audit.MOST_BYTES} == {}


def test_the_browser_finds_no_fault_with_any_page(walk: Walk) -> None:
    assert walk.faults == []


def test_progress_is_announced_to_screen_readers(walk: Walk) -> None:
    assert walk.live_region == "polite"
