"""The product as the tests of the enrollment guide find it, and the people in them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyotp
from playwright.sync_api import Locator, expect
from tests.support.browser import TIMEOUT_MS, Agent, Visitor
from tests.support.person import UNHURRIED

from keystead_local.stack import Stack

SEED = Path(__file__).parents[1] / "e2e/guide.yaml"
MASTER, OFFICER = "grace.hopper@example.org", "emmy.noether@example.org"
"""Administrators of the seed: of everything, and of Northwind."""
PASSWORD = "four calm horses swim"
_INVITATION = re.compile(r"https?://[^\s\"<>]+/auth/administrators/invitation/[\w-]+")
_SETTINGS = UNHURRIED | {"KEYSTEAD_AUTH_ADMINISTRATOR_SECOND_FACTOR": "required"}


@contextmanager
def guide_stack(folder: Path) -> Iterator[Stack]:
    """The whole product with the guide's set-up and a software TPM; administrators need a second factor."""
    with Stack(folder, seed=SEED, tpm=True, environment=_SETTINGS) as running:
        yield running


class MasterApi:
    """The API with a token of the master's, for what comes before a test's own procedure."""

    def __init__(self, stack: Stack) -> None:
        command = ("keystead", "bootstrap", "token", "--administrator", MASTER, "--name", "tests", "--json")
        token = json.loads(stack.run(*command).splitlines()[-1])["token"]
        self._http = httpx.Client(
            base_url=f"{stack.origin}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=TIMEOUT_MS / 1000
        )

    def create(self, path: str, **body: Any) -> str:
        """Creates a thing; its id."""
        answer = self._http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def show(self, path: str) -> Any:
        """What is there."""
        answer = self._http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def id_of(self, path: str, name: str) -> str:
        """The id of the thing with this name in a list."""
        items = self.show(f"{path}?limit=200")["items"]
        return str(next(item["id"] for item in items if item["name"] == name))

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()


@dataclass
class Enrollee(Visitor):
    """Somebody who wants a certificate, and comes in by one way or another."""

    def open_form(self, word: str) -> None:
        """Opens the form's address, as the administrator gave it out."""
        self.page.goto(self.form(word))

    def by_email(self, word: str) -> None:
        """Signs in by the link in a letter."""
        self.sign_in(word)

    def by_saml(self, word: str, user: str, password: str) -> None:
        """Signs in at the identity provider's own page."""
        self.open_form(word)
        self.press("Sign in with Northwind sign-in")
        self.page.locator("input[name=username]").fill(user)
        self.page.locator("input[name=password]").fill(password)
        self.page.keyboard.press("Enter")

    def by_secret_id(self, word: str, secret_id: str) -> None:
        """Signs in with what the administrator gave them by another way."""
        self.open_form(word)
        self.page.locator("#f-secret_email").fill(self.email)
        self.page.get_by_label("Your Secret ID").fill(secret_id)
        self.press("Sign in with Secret ID")

    def install(self, folder: Path, **answers: str) -> None:
        """From the request's page to the certificate's card."""
        with Agent(self.stack, folder, self.submit(**answers)) as agent:
            self.sees("Your certificate is installed")
            assert agent.wait() == 0, agent.said()


@dataclass
class Administrator(Visitor):
    """Somebody at the console."""

    totp: pyotp.TOTP = field(init=False)

    def accept_invitation(self) -> None:
        """Follows the letter's link and chooses a password; the page of the authenticator comes."""
        found = _INVITATION.search(json.dumps(self.wait_for_letter("/auth/administrators/invitation/")))
        assert found is not None
        self.page.goto(found[0])
        self.sees("Choose a password")
        self.page.get_by_label("New password").fill(PASSWORD)
        self.page.get_by_label("The same again").fill(PASSWORD)
        self.press("Set the password")
        self.sees("Set up your authenticator")

    def set_up_authenticator(self) -> None:
        """Puts the secret into an app and types its first code; the recovery codes come. The code is the last one
        that counts, so that there is one left at once."""
        self.page.get_by_text("Type it in instead").click()
        secret = self.page.locator("details code").inner_text()
        self.totp = pyotp.TOTP(secret.replace(" ", ""))
        self.page.get_by_label("Code", exact=True).fill(self.totp.at(int(time.time()) - self.totp.interval))
        self.press("Go on")
        self.sees("Keep your recovery codes")

    def settle(self) -> None:
        """From the invitation to the console."""
        self.accept_invitation()
        self.set_up_authenticator()
        self.press("I have kept them: go on")
        expect(self.page).to_have_url(f"{self.stack.origin}/console")

    def go(self, place: str) -> None:
        """Follows the navigation."""
        self.page.get_by_role("navigation", name="Console").get_by_role("link", name=place, exact=True).click()
        self.sees(place if place != "Forms" else "Enrollment forms")

    def open(self, path: str) -> None:
        """Opens a page of the console by its address."""
        self.page.goto(f"{self.stack.origin}/console{path}")

    def row(self, name: str) -> Locator:
        """The row of a list's table that begins with this name."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("rowheader", name=name))
