"""The way to a certificate in Firefox. Not part of `make test`: `make test-browsers`, which builds geckodriver."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.browser import Agent, Desktop
from tests.support.firefox import Firefox, firefox
from tests.support.person import UNHURRIED

from keystead_local.stack import SEED, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.tpm, pytest.mark.browser]

EMAIL, ACCESS_CODE = "ada@example.org", "HEART2026"
PICTURES = Path(__file__).parents[2] / "var/screenshots"
LINES = ["agent", "key", "request", "issued", "installed"]
_CONFIRM = re.compile(r"https?://[^\s\"<>]+/auth/confirm/[\w-]+")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), seed=SEED, tpm=True, environment=UNHURRIED) as running:
        yield running


@pytest.fixture
def desktop(tmp_path: Path) -> Desktop:
    (tmp_path / "desktop").mkdir()
    return Desktop(tmp_path / "desktop")


@pytest.fixture
def browser(tmp_path: Path, desktop: Desktop) -> Iterator[Firefox]:
    with firefox(tmp_path / "profile", desktop) as running:
        yield running
        assert running.faults == []


def wait_for_link(stack: Stack) -> str:
    """The sign-in link of the letter to EMAIL."""
    ends = time.monotonic() + 30
    while True:
        letters = httpx.get(f"{stack.mailbox_url}/messages", params={"to": EMAIL}).json()
        if found := _CONFIRM.search(json.dumps(letters)):
            return found[0]
        assert time.monotonic() < ends, "no letter with a sign-in link"
        time.sleep(0.05)


def test_a_person_enrolls_in_firefox(browser: Firefox, desktop: Desktop, stack: Stack, tmp_path: Path) -> None:
    browser.open(next(address for name, address in stack.forms.items() if name.startswith("Staff")))
    browser.sees("Sign in to Staff certificates")
    browser.picture(PICTURES / "firefox-sign-in.png")
    browser.fill("email", EMAIL)
    browser.press("Send me a link")
    browser.sees("Check your mail")
    browser.open(wait_for_link(stack))
    browser.sees("Confirm that it is you")
    browser.press("Sign in")
    browser.sees("Enter your access code")
    browser.fill("access_code", ACCESS_CODE)
    browser.press("Continue")
    browser.sees("Request a certificate")
    browser.picture(PICTURES / "firefox-request.png")
    browser.check("licence")
    browser.press("Request certificate")
    browser.sees("Getting your certificate")
    link = browser.address_of("Open the Keystead Agent")
    assert link.startswith("keystead://enroll?")
    desktop.wait_until_opened(link)  # by the page itself: nothing was pressed
    browser.picture(PICTURES / "firefox-live.png")
    with Agent(stack, tmp_path, link) as agent:
        browser.sees("Your certificate is installed")  # without a reload
        assert agent.wait() == 0, agent.said()
    assert browser.text(".certificate h2") == EMAIL
    browser.picture(PICTURES / "firefox-installed.png")
