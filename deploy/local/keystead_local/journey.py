"""What a person does to get a certificate, from the form's address to the installed certificate, step by step."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from keystead_local.browser import Browser, Page
from keystead_local.steps import StepFailed, Steps

LETTER_SECONDS = 20.0
LIVE_LINES = {
    "agent": "Page: this computer answered",
    "key": "Page: key made in the TPM",
    "request": "Page: request checked",
    "issued": "Page: certificate issued",
    "installed": "Page: installed",
}

Letters = Callable[[], list[dict[str, Any]]]
"""Every letter to the person, oldest first: `subject`, `text`, `links`."""
RunAgent = Callable[[str], str]
"""Runs `keystead-agent enroll --yes` with a link; what it printed. Raises StepFailed."""


@dataclass(frozen=True)
class Person:
    """Who asks, at which form, and for what."""

    form_address: str
    email: str
    access_code: str
    key_algorithm: str = "ec-p256"


@dataclass
class Outcome:
    """What came of it. `progress` is the last one that the live page got; files are PEM."""

    order_id: str = ""
    reference: str = ""
    progress: dict[str, Any] = field(default_factory=dict)
    certificate: bytes = b""
    chain: bytes = b""
    root: bytes = b""
    agent_output: str = ""
    submit_to_installed_ms: float = 0.0


class Journey:
    """One enrollment. Every method is one or more printed steps and raises StepFailed, PageUnexpected or
    httpx.HTTPError if it does not come out."""

    def __init__(self, steps: Steps, browser: Browser, person: Person, letters: Letters) -> None:
        self.steps, self.browser, self.person, self.letters = steps, browser, person, letters
        self.outcome = Outcome()

    def sign_in(self) -> Page:
        """From the form's address to the first page after the e-mail link was confirmed."""
        person, browser = self.person, self.browser
        known = len(self.letters())
        with self.steps.step("Open the form's address"):
            front_door = browser.get(person.form_address)
            form = front_door.form_with("email")
        with self.steps.step("Give the e-mail address") as step:
            page = browser.submit(form, email=person.email)
            if page.status != 200 or not httpx.URL(page.url).path.endswith("/check-mail"):
                raise page.unexpected("“Check your mail”")
            step.note = person.email
        with self.steps.step("Read the link in the mailbox") as step:
            letter = self._letter(known, lambda each: any("/auth/confirm/" in link for link in each["links"]))
            link = next(link for link in letter["links"] if "/auth/confirm/" in link)
            step.note = f"“{letter['subject']}”"
        with self.steps.step("Confirm by the button"):
            page = browser.submit(browser.get(link).form_with())
            if "/e/" not in page.url:
                raise page.unexpected("signed-in page")
        return page

    def enter_access_code(self, page: Page) -> Page:
        """The access code; the page behind it."""
        with self.steps.step("Type the access code"):
            if not any("access_code" in form.names for form in page.forms):
                page = self.browser.get(page.link_to("/request"))  # who was here before sees their certificates first
            form = page.form_with("access_code")
            page = self.browser.submit(form, access_code=self.person.access_code)
            if page.status != 200 or httpx.URL(page.url).path.endswith("/code"):
                raise page.unexpected("page behind the access code")
        return page

    def ask(self, page: Page) -> str:
        """Submits the request; the `keystead:` link that the page then offers."""
        with self.steps.step("Submit the request") as step:
            if not any("key_algorithm" in form.names for form in page.forms):
                page = self.browser.get(page.link_to("/request"))
            form = page.form_with("key_algorithm")
            values = {"key_algorithm": self.person.key_algorithm}
            values |= {"licence": "on"} if "licence" in form.names else {}
            values |= {"target": "link"} if "target" in form.names else {}
            self._submitted = time.perf_counter()
            page = self.browser.submit(form, **values)
            link = page.data.get("launch", "")
            if not link.startswith("keystead:"):
                raise page.unexpected("link for the agent")
            self.outcome.order_id, self._events = page.data["order"], page.data["events"]
            self._page = page.url
            step.note = f"order {self.outcome.order_id[:8]}…"
        return link

    def run_agent(self, link: str, run: RunAgent) -> None:
        """Runs the agent while the live page is watched; prints the page's lines with their times since the
        request was submitted."""
        seen: dict[str, float] = {}
        ended: list[BaseException | None] = []

        def watch() -> None:
            try:
                self._watch(seen)
                ended.append(None)
            except BaseException as error:
                ended.append(error)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        with self.steps.step("keystead-agent enroll --yes keystead://…") as step:
            self.outcome.agent_output = run(link)
            watcher.join(20)
            step.note = self._last_line(self.outcome.agent_output)
        progress = self.outcome.progress
        if progress.get("state") != "installed":
            failure = progress.get("failure") or {}
            reason = failure.get("title") or (f"{ended[0]}" if ended and ended[0] else "the live page did not end")
            raise StepFailed(
                f"the order is {progress.get('state', 'unknown')}: {reason}", hint=failure.get("advice", "")
            )
        for key, title in LIVE_LINES.items():
            self.steps.passed(title, seen[key], "since the request" if key == "agent" else "")
        self.outcome.submit_to_installed_ms = round(seen["installed"] * 1000, 1)

    def collect(self) -> None:
        """Downloads the certificate, its chain and the root from the finished page."""
        with self.steps.step("Download certificate, chain and root") as step:
            page = self.browser.get(self._page)
            for name in ("certificate", "chain", "root"):
                setattr(self.outcome, name, self.browser.download(page.link_to(f"/{name}.pem")))
            step.note = page.title.split(" – ")[0]

    def confirmation(self) -> None:
        """The letter that says that the certificate is installed."""
        with self.steps.step("The confirmation letter arrived") as step:
            letter = self._letter(0, lambda each: "/auth/confirm/" not in each["text"] and "install" in each["text"])
            step.note = f"“{letter['subject']}”"

    def _watch(self, seen: dict[str, float]) -> None:
        for name, progress in self.browser.events(self._events):
            if name != "progress":
                continue
            now = time.perf_counter() - self._submitted
            for line in progress["lines"]:
                if line["state"] == "done":
                    seen.setdefault(line["key"], now)
            self.outcome.progress = progress
            if progress["terminal"]:
                return

    def _letter(self, known: int, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + LETTER_SECONDS
        while time.monotonic() < deadline:
            for letter in reversed(self.letters()[known:]):
                if wanted(letter):
                    return letter
            time.sleep(0.02)
        raise StepFailed(f"no letter within {LETTER_SECONDS:.0f} s", hint="Is the address's domain delegated?")

    @staticmethod
    def _last_line(text: str) -> str:
        try:
            done = json.loads(text.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return ""
        return f"{done['provider']}" if isinstance(done, dict) else ""
