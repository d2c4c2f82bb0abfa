"""The live page in Chromium, against a server that tells an order's progress and can be cut off."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.support.page_sample_data import CERTIFICATE, LINK, PROGRESS, STATIC, Sample, render
from tests.support.page_samples import order_pages
from tests.support.preview_pages import chromium

from keystead_kit.edge import CSP

pytestmark = pytest.mark.browser


class Order:
    """One order: its page at /order and its stream at /events, changed by the test."""

    def __init__(self) -> None:
        self.state = "waiting"
        self.age = timedelta()
        self.page_loads = 0
        self.streams = 0
        self.refuse_streams = False
        self._cuts = 0
        self._changed = threading.Condition()

    def tell(self, state: str) -> None:
        """Moves the order on and tells every open stream."""
        with self._changed:
            self.state = state
            self._changed.notify_all()

    def cut(self) -> None:
        """Closes every open stream."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def page(self) -> str:
        """The page as the server draws it now."""
        self.page_loads += 1
        sample: Sample = next(each for each in order_pages() if each.name == "order-waiting")
        since = datetime.now(UTC) - self.age
        order = sample.context["order"] | {
            "events_url": "/events",
            "done_url": "/order",
            "waiting_since": since,
            "machine": None if self.state in ("waiting", "approval") else "laptop-042",
            "launch_url": LINK if self.state == "waiting" else None,
        }
        certificate = CERTIFICATE if self.state == "installed" else None
        changed = {"order": order, "progress": PROGRESS[self.state], "certificate": certificate}
        return render(replace(sample, context=sample.context | changed))

    def stream(self) -> Iterator[str]:
        """The state now and at each change, until cut or terminal."""
        with self._changed:
            self.streams += 1
            cuts = self._cuts
            while True:
                told = self.state
                yield f"event: progress\ndata: {json.dumps(PROGRESS[told])}\n\n"
                if PROGRESS[told]["terminal"]:
                    return
                while self._cuts == cuts and self.state == told:
                    self._changed.wait()
                if self._cuts != cuts:
                    return


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, order: Order, *args: Any) -> None:
        self.order = order
        super().__init__(*args, directory=str(STATIC))

    def do_GET(self) -> None:
        if self.path.rstrip("?") == "/order":
            self._begin("text/html; charset=utf-8")
            self.wfile.write(self.order.page().encode())
        elif self.path == "/ask":
            self._begin("text/html")
            self.wfile.write(b"<form action=/order><button>Ask</button></form>")
        elif self.path == "/events" and not self.order.refuse_streams:
            self._begin("text/event-stream")
            for event in self.order.stream():
                self.wfile.write(event.encode())
                self.wfile.flush()
        elif self.path.startswith("/static/"):
            self.path = self.path.removeprefix("/static")
            super().do_GET()
        else:
            self.send_error(503)

    def _begin(self, media_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", media_type)
        self.send_header("content-security-policy", CSP)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def order() -> Order:
    return Order()


@pytest.fixture
def origin(order: Order) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, order)) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        order.cut()
        server.shutdown()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", timezone_id="Asia/Tokyo")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def _launches(page: Page) -> list[str]:
    """The agent links that the page's script opens, whether or not Chromium lets it."""
    opened: list[str] = []

    def hear(event: dict[str, Any]) -> None:
        if event["url"].startswith("keystead:"):
            opened.append(event["url"])

    devtools = page.context.new_cdp_session(page)
    devtools.send("Page.enable")
    devtools.on("Page.frameRequestedNavigation", hear)
    return opened


def _settle(page: Page) -> None:
    expect(page.locator("[data-key=agent]")).to_be_visible()
    page.wait_for_timeout(300)


def test_lines_change_as_events_arrive_and_the_end_is_drawn_once(order: Order, origin: str, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{origin}/order")
    expect(page.locator("[data-key=agent]")).to_have_attribute("data-state", "active")
    expect(page.get_by_role("link", name="Open the Keystead Agent")).to_be_visible()
    order.tell("working")
    for key, state in (("agent", "done"), ("key", "done"), ("request", "done"), ("issued", "active")):
        expect(page.locator(f"[data-key={key}]")).to_have_attribute("data-state", state)
    expect(page.locator("[data-key=agent] .step-label")).to_have_text("This computer answered")
    at = datetime.fromisoformat(PROGRESS["working"]["lines"][1]["at"]) + timedelta(hours=9)
    expect(page.locator("[data-key=key] time")).to_have_text(f"{at:%H:%M:%S}")
    expect(page.locator("[data-announce]")).to_have_text("Certificate issued: in progress. The CA signs it now.")
    expect(page.get_by_role("link", name="Open the Keystead Agent")).to_be_hidden()
    assert order.page_loads == 1
    order.tell("installed")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your certificate is installed")
    expect(page.get_by_role("heading", level=2)).to_have_text("Ada Lovelace")
    page.wait_for_timeout(300)
    assert order.page_loads == 2
    assert errors == []


def test_the_agent_is_opened_once_whatever_is_reloaded(order: Order, origin: str, context: BrowserContext) -> None:
    page = context.new_page()
    opened = _launches(page)
    page.goto(f"{origin}/order")
    _settle(page)
    page.reload()
    _settle(page)
    second = context.new_page()
    opened_in_second = _launches(second)
    second.goto(f"{origin}/order")
    _settle(second)
    assert (opened, opened_in_second) == ([LINK], [])


def test_times_are_written_as_in_letters_whatever_the_browsers_language(
    order: Order, origin: str, browser: Browser
) -> None:
    context = browser.new_context(locale="en-US", timezone_id="Asia/Tokyo", viewport={"width": 360, "height": 700})
    page = context.new_page()
    page.goto(f"{origin}/order")
    expect(page.locator("p.muted time").first).to_have_text(
        re.compile(r"^\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d GMT\+9$")
    )
    context.close()


def test_the_command_is_there_at_once(order: Order, origin: str, page: Page) -> None:
    page.goto(f"{origin}/order")
    expect(page.get_by_text("keystead-agent enroll")).to_be_visible()
    expect(page.get_by_text("Nothing happens?")).to_be_hidden()


def test_help_comes_after_ten_seconds_without_an_agent(order: Order, origin: str, page: Page) -> None:
    order.age = timedelta(seconds=8)
    page.goto(f"{origin}/order")
    expect(page.get_by_text("Nothing happens?")).to_be_hidden()
    expect(page.get_by_text("Nothing happens?")).to_be_visible(timeout=4000)
    order.tell("working")
    expect(page.get_by_text("Nothing happens?")).to_be_hidden()


def test_a_cut_stream_is_opened_again_and_misses_nothing(order: Order, origin: str, page: Page) -> None:
    page.goto(f"{origin}/order")
    _settle(page)
    order.refuse_streams = True
    order.cut()
    expect(page.get_by_text("Reconnecting…")).to_be_visible(timeout=8000)
    order.tell("working")
    order.refuse_streams = False
    expect(page.locator("[data-key=issued]")).to_have_attribute("data-state", "active", timeout=15_000)
    expect(page.get_by_text("Reconnecting…")).to_be_hidden()
    assert order.page_loads == 1
    assert order.streams >= 2


def test_approval_brings_the_link(order: Order, origin: str, page: Page) -> None:
    order.tell("approval")
    page.goto(f"{origin}/order")
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for approval")
    _settle(page)
    expect(page.locator("[data-key=approval]")).to_have_attribute("data-state", "active")
    page.get_by_text("Cancel this request").click()
    expect(page.get_by_role("button", name="Yes, cancel it")).to_be_visible()
    order.tell("waiting")
    expect(page.get_by_role("link", name="Open the Keystead Agent")).to_be_visible()


def test_without_script_the_page_refreshes_itself(order: Order, origin: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{origin}/order")
    expect(page.get_by_text("Nothing happens?")).to_be_visible()
    order.tell("failed")
    expect(page.get_by_text("It can make RSA 2048 and ECDSA P-256.")).to_be_visible(timeout=8000)
    context.close()
