"""A person at a real browser: Chromium on this machine, driven through the pages as they are drawn."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect, sync_playwright

from keystead_local.stack import Stack, executable

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
TIMEOUT_MS = 60_000
CODES = {"Staff": "HEART2026", "Device": "DEVICE2026", "Server": "SERVER2026"}
"""Access codes of deploy/local/seed.yaml, by the first word of the form's name."""
_CONFIRM = re.compile(r"https?://[^\s\"<>]+/auth/confirm/[\w-]+")


class Desktop:
    """The folder of a desktop whose program for `keystead:` links notes each link that the browser opens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = folder / "opened"
        self._opened.touch()
        program = folder / "xdg-open"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> "{self._opened}"\n')
        program.chmod(0o700)

    def times_opened(self, link: str) -> int:
        """How often the browser has opened this link."""
        return self._opened.read_text().splitlines().count(link)

    def wait_until_opened(self, link: str, times: int = 1) -> None:
        """Waits until that has happened so many times."""
        ends = time.monotonic() + TIMEOUT_MS / 1000
        while self.times_opened(link) < times:
            assert time.monotonic() < ends, "the browser did not open the keystead: link"
            time.sleep(0.02)


@contextmanager
def chromium(origin: str, desktop: Desktop) -> Iterator[Browser]:
    """A browser without a window, its time-outs set, whose user once let `origin` open `keystead:` links always.

    (Without that the question would cover the page and take its clicks.) While the browser lives, this thread cannot
    run another event loop.
    """
    expect.set_options(timeout=TIMEOUT_MS)
    allowed = {"protocol_handler": {"allowed_origin_protocol_pairs": {origin: {"keystead": True}}}}
    with TemporaryDirectory(prefix="chromium-") as profile, sync_playwright() as playwright:
        preferences = Path(profile) / "Default/Preferences"
        preferences.parent.mkdir()
        preferences.write_text(json.dumps(allowed))
        first = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            env={**os.environ, "PATH": f"{desktop.folder}:{os.environ['PATH']}"},
        )
        browser = first.browser
        assert browser is not None
        try:
            yield browser
        finally:
            first.close()


@dataclass
class Visitor:
    """A person with a browser profile of their own; `page` is its first tab.

    `faults` gathers what the browser complains of: script errors, refused content (CSP), missing files, answers above
    499. What a refusal's own status makes the console say, and the unknown `keystead:` scheme, are no faults.
    """

    browser: Browser
    stack: Stack
    email: str
    script: bool = True
    width: int = 1100
    faults: list[str] = field(default_factory=list)
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        self._context = self.browser.new_context(
            java_script_enabled=self.script,
            viewport={"width": self.width, "height": 900},
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="Europe/Berlin",
            accept_downloads=True,
        )
        self._context.set_default_timeout(TIMEOUT_MS)
        self.page = self.new_tab()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every tab and forgets the profile."""
        self._context.close()

    def cookies(self) -> list[Any]:
        """Every cookie of the profile, for `put_cookies`."""
        return self._context.cookies()

    def put_cookies(self, cookies: list[Any]) -> None:
        """Brings cookies back."""
        self._context.add_cookies(cookies)

    def new_tab(self) -> Page:
        """Another tab of the same browser profile."""
        page = self._context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on("response", self._answered)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        own_status = "Failed to load resource" in message.text and message.location["url"] == self.page.url
        # a letter's frame runs no script on purpose: the complaint is about the one that drives the browser
        letter = "frame is sandboxed" in message.text and "/messages/" in message.text
        if message.type in ("error", "warning") and not (own_status or letter) and "keystead://" not in message.text:
            self.faults.append(f"{self.page.url}: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500 or (response.status >= 400 and "/static/" in response.url):
            self.faults.append(f"{response.status} {response.url}")

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def heading(self) -> Locator:
        """The page's h1."""
        return self.page.locator("h1")

    def sees(self, heading: str) -> None:
        """Waits for the page with this heading."""
        expect(self.heading).to_have_text(heading)

    def press(self, name: str) -> None:
        """Presses the button, or the link that looks like one, with this name."""
        button = self.page.get_by_role("button", name=name, exact=True)
        button.or_(self.page.get_by_role("link", name=name, exact=True)).click()

    def step(self, key: str) -> Locator:
        """The live page's line `key`: agent, key, request, issued, installed."""
        return self.page.locator(f'.step[data-key="{key}"]')

    def error_beside(self, name: str) -> str:
        """The sentence at the field `name`, which the field itself points at."""
        box = self.page.locator(f"#f-{name}")
        expect(box).to_have_attribute("aria-invalid", "true")
        assert f"f-{name}-error" in (box.get_attribute("aria-describedby") or "").split()
        return self.page.locator(f"#f-{name}-error").inner_text()

    # -- the way to a certificate --------------------------------------------------------------------------------

    def form(self, word: str) -> str:
        """The address of the form whose name begins with `word`."""
        return next(url for name, url in self.stack.forms.items() if name.startswith(word))

    def letters(self) -> list[dict[str, Any]]:
        """Every letter to this person, oldest first."""
        found: list[dict[str, Any]] = httpx.get(f"{self.stack.mailbox_url}/messages", params={"to": self.email}).json()
        return found

    def wait_for_letter(self, words: str, count: int = 1) -> dict[str, Any]:
        """The newest letter that holds `words`, once there are `count` of them."""
        ends = time.monotonic() + TIMEOUT_MS / 1000
        while True:
            found = [letter for letter in self.letters() if words in json.dumps(letter)]
            if len(found) >= count:
                return found[-1]
            assert time.monotonic() < ends, f"no letter with “{words}” to {self.email}"
            time.sleep(0.02)

    def wait_for_link(self, count: int = 1) -> str:
        """The sign-in link of the newest letter."""
        found = _CONFIRM.search(json.dumps(self.wait_for_letter("/auth/confirm/", count)))
        assert found is not None
        return found[0]

    def sign_in(self, word: str = "Staff") -> None:
        """From the form's address through the letter to the page behind the button."""
        self.page.goto(self.form(word))
        self.page.get_by_label("e-mail address at").fill(self.email)
        self.press("Send me a link")
        self.sees("Check your mail")
        self.page.goto(self.wait_for_link())
        self.sees("Confirm that it is you")
        self.page.locator("main").get_by_role("button", name="Sign in").click()

    def reach_request(self, word: str = "Staff") -> None:
        """Signs in and gives the access code."""
        self.sign_in(word)
        self.sees("Enter your access code")
        self.page.get_by_label("Access code").fill(CODES[word])
        self.press("Continue")
        self.sees("Request a certificate")

    def submit(self, **answers: str) -> str:
        """Accepts the terms and submits; the `keystead:` link of the live page."""
        for label, value in answers.items():
            self.page.get_by_label(label.replace("_", " ")).fill(value)
        self.page.get_by_label("I accept these terms").check()
        self.press("Request certificate")
        self.sees("Getting your certificate")
        return self.link()

    def link(self) -> str:
        """The `keystead:` link of the live page."""
        found = self.page.get_by_role("link", name="Open the Keystead Agent").get_attribute("href")
        assert found is not None and found.startswith("keystead://enroll?")
        return found

    def enroll(self, folder: Path, word: str = "Staff", **answers: str) -> None:
        """The whole way to the certificate's card."""
        self.reach_request(word)
        with Agent(self.stack, folder, self.submit(**answers)) as agent:
            self.sees("Your certificate is installed")
            assert agent.wait() == 0


class Agent:
    """`keystead-agent enroll LINK --yes` under way; ended with the block."""

    def __init__(self, stack: Stack, folder: Path, link: str, **environment: str) -> None:
        self._log = folder / "agent.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [executable("keystead-agent"), "enroll", link, "--yes"],
                env={**stack.agent_environment(folder / "agent"), **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(TIMEOUT_MS / 1000)

    def said(self) -> str:
        """What it printed."""
        return self._log.read_text()
