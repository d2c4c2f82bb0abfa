"""A person at a browser, without the browser: what the demo, the tests and the benchmark have in common.

It follows redirects, sends the Origin header and form tokens as a browser does, and reads what the pages say.
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

_FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
_FIELD = r'name="{}"[^>]*value="([^"]*)"'
_LINK = re.compile(r"keystead://[^\"'<\s]+")
_CONFIRM = re.compile(r"/auth/confirm/[\w-]+")


class StepFailed(Exception):
    """A page did not do what a person would expect. The message says which and what it showed."""


@dataclass
class Person:
    """One person with one browser, at one origin, with a mailbox that can be read."""

    origin: str
    mailbox_url: str
    email: str
    timeout: float = 30.0
    browser: httpx.Client = field(init=False)
    order_path: str = ""

    def __post_init__(self) -> None:
        self.browser = httpx.Client(
            base_url=self.origin, headers={"accept": "text/html", "origin": self.origin}, timeout=self.timeout
        )

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
        ends = time.monotonic() + self.timeout
        page = self._get(f"/e/{form}", accept_errors=True)
        while page.status_code == 404 and time.monotonic() < ends:
            time.sleep(0.05)
            page = self._get(f"/e/{form}", accept_errors=True)
        self.post(str(page.url.path), page, email=self.email)

    def letters(self) -> list[dict[str, Any]]:
        """Every letter to this person, oldest first."""
        with httpx.Client(timeout=self.timeout) as client:
            found: list[dict[str, Any]] = client.get(f"{self.mailbox_url}/messages", params={"to": self.email}).json()
        return found

    def wait_for_letter(self, words: str, count: int = 1) -> dict[str, Any]:
        """The newest letter whose text holds `words`, once `count` of them are there."""
        ends = time.monotonic() + self.timeout
        while time.monotonic() < ends:
            try:
                found = [letter for letter in self.letters() if words in json.dumps(letter)]
            except httpx.TransportError:
                found = []  # the mailbox is being started again
            if len(found) >= count:
                return found[-1]
            time.sleep(0.02)
        raise StepFailed(f"no letter with “{words}” came within {self.timeout:.0f} s")

    def wait_for_link(self, count: int = 1) -> str:
        """The path of the newest sign-in link in the mailbox."""
        letter = self.wait_for_letter("/auth/confirm/", count)
        found = _CONFIRM.search(json.dumps(letter))
        if found is None:
            raise StepFailed("the sign-in letter holds no link")
        return found[0]

    def confirm(self, path: str) -> httpx.Response:
        """Opens the link and presses the button; the page where that leads."""
        return self.post(path, self._get(path))

    def give_access_code(self, form: str, code: str) -> httpx.Response:
        """Types the access code."""
        path = f"/e/{form}/code"
        return self.post(path, self._get(path), access_code=code)

    def submit(self, form: str, **answers: str) -> str:
        """Asks for a certificate with the page's own suggestions, changed by `answers`; the order's path."""
        path = f"/e/{form}/request"
        page = self._get(path)
        values = {name: _value(page.text, name) for name in ("profile", "key_algorithm", "term_days", "licence_version")}
        filled = {"target": "link", "licence": "on", **values, **answers}
        done = self.post(path, page, **filled)
        if "/orders/" not in str(done.url):
            raise StepFailed(f"the request was not taken: {_said(done.text)}")
        self.order_path = done.url.path
        return self.order_path

    def link(self) -> str:
        """The keystead: link on the order's page."""
        found = _LINK.search(html.unescape(self._get(self.order_path).text))
        if found is None:
            raise StepFailed("the order's page shows no enrollment link")
        return found[0]

    def progress(self) -> Iterator[dict[str, Any]]:
        """What the live page is told, as it happens, until the order ends."""
        with self.browser.stream("GET", f"{self.order_path}/events") as stream:
            if stream.status_code != httpx.codes.OK:
                raise StepFailed(f"the live page's stream answered {stream.status_code}")
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def state(self) -> str:
        """The order's state now."""
        return str(next(self.progress())["state"])

    def wait_until_over(self) -> dict[str, Any]:
        """The last progress of the order. Raises StepFailed if it does not end in time; survives server restarts."""
        ends = time.monotonic() + self.timeout
        while time.monotonic() < ends:
            try:
                for progress in self.progress():
                    if progress["terminal"]:
                        return progress
            except (httpx.TransportError, StepFailed, json.JSONDecodeError):
                time.sleep(0.1)
        raise StepFailed(f"the order did not end within {self.timeout:.0f} s")

    def certificate_files(self) -> dict[str, str]:
        """certificate.pem, chain.pem and root.pem of the newest certificate, from the order's page."""
        page = self._get(self.order_path).text
        paths = sorted(set(re.findall(r"/e/[\w-]+/certificates/\w+/(?:certificate|chain|root)\.pem", page)))
        if not paths:
            raise StepFailed("the order's page offers no certificate")
        return {path.rsplit("/", 1)[1]: self._get(path).text for path in paths}

    def post(self, path: str, page: httpx.Response, **values: str) -> httpx.Response:
        """Sends the form on `page` to `path` and follows where it leads."""
        token = _FORM_TOKEN.search(page.text)
        if token is None:
            raise StepFailed(f"{page.url.path} shows no form: {_said(page.text)}")
        done = self.browser.post(path, data={"form_token": token[1], **values}, follow_redirects=True)
        if done.status_code >= httpx.codes.BAD_REQUEST:
            raise StepFailed(f"{path} answered {done.status_code}: {_said(done.text)}")
        return done

    def _get(self, path: str, *, accept_errors: bool = False) -> httpx.Response:
        page = self.browser.get(path, follow_redirects=True)
        if page.status_code >= httpx.codes.BAD_REQUEST and not accept_errors:
            raise StepFailed(f"{path} answered {page.status_code}: {_said(page.text)}")
        return page


def _value(page: str, name: str) -> str:
    found = re.search(_FIELD.format(name), page)
    return html.unescape(found[1]) if found else ""


def _said(page: str) -> str:
    body = re.sub(r"<(head|script|style)[\s\S]*?</\1>", " ", page)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).strip()[:300]
