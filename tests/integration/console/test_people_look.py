"""The pages about people in Chromium, on a real server: axe-core's rules, a phone's width, no script where none is
needed. Leaves a picture of each in var/screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.support import page_audit
from tests.support.administrators import administrator, administrator_identity, master
from tests.support.enroll_app import EnrollApp, served
from tests.support.preview_pages import chromium

pytestmark = pytest.mark.browser
PICTURES = Path(__file__).parents[3] / "var/screenshots"
WIDE, NARROW = 1280, 360
PAGES = [
    "persons", "persons/new", "persons/import", "{person}", "{person}/change", "{person}/secret-id", "{person}/invite",
    "administrators", "administrators/new", "{administrator}", "{administrator}/change", "{administrator}/deactivate",
    "identity-providers", "identity-providers/new", "identity-providers/new?kind=oidc", "{provider}",
    "{provider}/change",
    "tokens", "tokens/new",
    "{token}", "audit", "{line}",
]  # fmt: skip


class People:
    """A server with one of each, and an administrator's browser in front of it."""

    def __init__(self, app: EnrollApp, browser: Browser) -> None:
        self.app, self.browser = app, browser
        self.api = master(app)
        with app.enroll.transactions.read() as tx:
            organization, department = tx.organizations()[0].id, tx.departments()[0].id
        place = {"organization_id": organization, "department_id": department}
        person = self.api.create("/persons", place | {"email": "ada@example.org", "name": "Ada Lovelace"})
        role = {"role": "drao", **place, "certificate_types": ["client"]}
        body = {"email": "alan@example.org", "name": "Alan Turing", "grants": [role]}
        saml = {"name": "University", "kind": "saml", "metadata_url": "https://idp.example.org/metadata"}
        self.paths = {
            "person": f"persons/{person}",
            "administrator": f"administrators/{self.api.create('/administrators', body)}",
            "provider": f"identity-providers/{self.api.create('/identity-providers', saml)}",
            "token": f"tokens/{self.api.items('/tokens')[0]['id']}",
            "line": f"audit/{self.api.items('/audit')[0]['id']}",
        }

    def page(self, **options: Any) -> Page:
        """A page of a browser that has signed in."""
        context = self.browser.new_context(viewport={"width": WIDE, "height": 900}, reduced_motion="reduce", **options)
        cookie = {"name": "keystead_administrator", "value": administrator_identity(self.app, administrator(self.app))}
        context.add_cookies([cookie | {"url": self.app.origin}])  # type: ignore[list-item]
        page = context.new_page()
        page.goto(f"{self.app.origin}/console/arrive")
        return page

    def url(self, path: str) -> str:
        """The whole address of one of `PAGES`."""
        return f"{self.app.origin}/console/{path.format_map(self.paths)}"


@pytest.fixture(scope="module")
def people(_redis: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    database = f"sqlite:///{tmp_path_factory.mktemp('people')}/test.db"
    with served(database, _redis.url) as app, chromium() as browser:
        yield People(app, browser)


@pytest.fixture(scope="module")
def page(people: People) -> Page:
    return people.page()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_read_and_used_by_everybody(people: People, page: Page, path: str) -> None:
    page.set_viewport_size({"width": WIDE, "height": 900})
    answer = page.goto(people.url(path))
    assert answer is not None
    assert answer.status == 200
    assert len(answer.body()) < 150_000
    mistakes = {"names": page_audit.unnamed_controls(page), "structure": page_audit.structure_mistakes(page)}
    name = path.replace("{", "one-").replace("}", "").replace("/", "-")
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        mistakes[f"sideways at {width}"] = page_audit.sideways(page)
        mistakes[f"axe at {width}"] = page_audit.axe_mistakes(page)
        page.screenshot(path=PICTURES / f"console-{name}-{width}.png", full_page=True)
    assert {what: found for what, found in mistakes.items() if found} == {}


def test_roles_are_given_without_script(people: People) -> None:
    page = people.page(java_script_enabled=False)
    page.goto(people.url("administrators/new"))
    page.get_by_label("Name").fill("Kurt Gödel")
    page.get_by_label("E-mail address").fill("kurt@example.org")
    page.get_by_label("Where").select_option(label="Example Hospital (organization administrator)")
    page.get_by_role("button", name="Another role").click()
    assert page.get_by_label("Name").input_value() == "Kurt Gödel"
    page.get_by_label("Where").nth(1).select_option(label="Everything (master administrator)")
    page.get_by_role("button", name="Add the administrator").last.click()
    assert page.get_by_text("Created.").is_visible()
    assert page.get_by_text("Master administrator").last.is_visible()


def test_a_file_is_checked_and_then_imported_without_script(people: People, tmp_path: Path) -> None:
    file = tmp_path / "persons.csv"
    file.write_text("email;name;organization\nmia@example.org;Mia;Example Hospital\nnobody;;Example Hospital\n")
    page = people.page(java_script_enabled=False)
    page.goto(people.url("persons/import"))
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Check only").click()
    assert page.get_by_text("Nothing was changed").is_visible()
    page.screenshot(path=PICTURES / "console-persons-import-checked.png", full_page=True)
    assert page.get_by_text("Left out is line 3").is_visible()
    page.get_by_role("button", name="Import 1 person").click()
    assert page.get_by_text("The file was imported: 1 person added or changed.").is_visible()


def test_a_new_token_can_be_copied_on_the_one_page_that_shows_it(people: People) -> None:
    page = people.page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(people.url("tokens/new"))
    page.get_by_label("Name").fill("Night job")
    page.get_by_role("button", name="Make the token").last.click()
    page.get_by_role("button", name="Copy").click()
    page.screenshot(path=PICTURES / "console-tokens-made.png", full_page=True)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert str(copied).startswith("ksa_")
