"""A person at a browser without a screen, for tests and benchmarks: patient, and able to stop between any two steps."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import httpx

from keystead_local.browser import Browser, Page, PageUnexpected

T = TypeVar("T")
UNHURRIED = {
    "KEYSTEAD_AUTH_LIMIT_SIGN_IN_PER_CLIENT": "1000/15 minutes",
    "KEYSTEAD_ENROLL_ACCESS_CODE_LIMIT_ADDRESS": "1000/15 minutes",
    "KEYSTEAD_ENROLL_ACCESS_CODE_LIMIT_FORM": "1000/15 minutes",
}
"""For a stack that a whole file of tests uses: all its persons come from one address."""
_CONFIRM = re.compile(r"/auth/confirm/[\w-]+")


class StepFailed(Exception):
    """A page did not do what a person would expect."""


@dataclass
class Person:
    """One person with one browser, at one origin, with a mailbox that can be read."""

    origin: str
    mailbox_url: str
    email: str
    timeout: float = 60.0
    browser: Browser = field(init=False)
    order_path: str = ""

    def __post_init__(self) -> None:
        self.browser = Browser(self.origin, timeout=self.timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()

    def sign_in(self, form: str) -> None:
        """Opens the form's address (`form`: its URI extension), asks for the link and confirms it."""
        self.ask_for_link(form)
        self.confirm(self.wait_for_link())

    def ask_for_link(self, form: str) -> None:
        """Gives the e-mail address on the sign-in page. The form may take a moment to be known to auth."""
        page = self._patiently(lambda: self.browser.get(f"/e/{form}"), lambda page: page.status == httpx.codes.OK)
        self._submit(page, "email", email=self.email)

    def letters(self) -> list[dict[str, Any]]:
        """Every letter to this person, oldest first."""
        found: list[dict[str, Any]] = httpx.get(f"{self.mailbox_url}/messages", params={"to": self.email}).json()
        return found

    def wait_for_letter(self, words: str, count: int = 1) -> dict[str, Any]:
        """The newest letter whose text holds `words`, once `count` of them are there."""

        def matching() -> list[dict[str, Any]]:
            try:
                return [letter for letter in self.letters() if words in json.dumps(letter)]
            except httpx.TransportError:
                return []  # the mailbox is being started again

        return self._patiently(matching, lambda found: len(found) >= count)[-1]

    def wait_for_link(self, count: int = 1) -> str:
        """The path of the newest sign-in link in the mailbox."""
        found = _CONFIRM.search(json.dumps(self.wait_for_letter("/auth/confirm/", count)))
        if found is None:
            raise StepFailed("the sign-in letter holds no link")
        return found[0]

    def confirm(self, path: str) -> Page:
        """Opens the link and presses the button; the page where that leads."""
        return self._submit(self.browser.get(path), "")

    def give_access_code(self, form: str, code: str) -> Page:
        """Types the access code."""
        return self._submit(self.browser.get(f"/e/{form}/code"), "access_code", access_code=code)

    def submit(self, form: str, **answers: str) -> str:
        """Asks for a certificate with the page's own suggestions, changed by `answers`; the order's path."""
        page = self.browser.get(f"/e/{form}/request")
        done = self._submit(page, "key_algorithm", **{"target": "link", "licence": "on", **answers})
        if "/orders/" not in done.url:
            raise StepFailed(f"the request was not taken: {done.text[:300]}")
        self.order_path = httpx.URL(done.url).path
        return self.order_path

    def link(self) -> str:
        """The keystead: link on the order's page."""
        page = self.browser.get(self.order_path)
        if not page.data.get("launch", "").startswith("keystead:"):
            raise StepFailed(f"the order's page shows no enrollment link: {page.text[:300]}")
        return page.data["launch"]

    def progress(self) -> Iterator[dict[str, Any]]:
        """What the live page is told, as it happens, until the order ends."""
        for name, data in self.browser.events(f"{self.order_path}/events"):
            if name == "progress":
                yield data

    def state(self) -> str:
        """The order's state now."""
        return str(next(self.progress())["state"])

    def wait_until_over(self) -> dict[str, Any]:
        """The last progress of the order. Survives server restarts; raises StepFailed if it does not end in time."""

        def last() -> dict[str, Any] | None:
            try:
                return next((progress for progress in self.progress() if progress["terminal"]), None)
            except (httpx.HTTPError, json.JSONDecodeError):
                return None

        over = self._patiently(last, lambda progress: progress is not None)
        assert over is not None
        return over

    def certificate_files(self) -> dict[str, bytes]:
        """certificate.pem, chain.pem and root.pem of the order's certificate."""
        page = self.browser.get(self.order_path)
        names = ("certificate.pem", "chain.pem", "root.pem")
        return {name: self.browser.download(page.link_to(f"/{name}")) for name in names}

    def _submit(self, page: Page, field_name: str, **values: str) -> Page:
        try:
            done = self.browser.submit(page.form_with(field_name), **values)
        except PageUnexpected as error:
            raise StepFailed(str(error)) from error
        if done.status >= httpx.codes.BAD_REQUEST or done.title.startswith("Error:"):
            raise StepFailed(f"{page.url} answered {done.status}: {done.text[:300]}")
        return done

    def _patiently(self, look: Callable[[], T], good: Callable[[T], bool]) -> T:
        ends = time.monotonic() + self.timeout
        while not good(found := look()):
            if time.monotonic() > ends:
                raise StepFailed(f"not within {self.timeout:.0f} s: {found!r}"[:500])
            time.sleep(0.02)
        return found
