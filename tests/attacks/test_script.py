"""Script, formulas and line breaks in every text that administrators and persons can give."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from tests.support.administrators import Console, administrator, administrator_identity, console, master
from tests.support.enroll_app import PAGE, EnrollApp, enroll_app
from tests.support.every_route import console_routes, operations
from tests.support.servers import RedisServer
from tests.support.tenants import Tenant, tenant

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "=cmd|' /C calc'!A0")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, _redis: RedisServer) -> Iterator[EnrollApp]:
    with enroll_app(f"sqlite:///{tmp_path_factory.mktemp('script')}/test.db", _redis.url) as app:
        yield app


@pytest.fixture(scope="module")
def full(app: EnrollApp) -> Tenant:
    """An organization with a script in every text that may hold one."""
    made, api = tenant(app, "Aldebaran"), master(app)
    for kind, change in {
        "organizations": {"name": f"Org {SCRIPT}"},
        "departments": {"name": f"Dep {SCRIPT}", "organization_id": made.organization},
        "profiles": {"name": f"Profile {SCRIPT}", "description": SCRIPT},
        "forms": {"name": f"Form {SCRIPT}", "help_text": SCRIPT, "help_link": "https://x.example/\"'><script>x"},
        "accounts": {"name": f"Account {SCRIPT}"},
        "persons": {"name": f"Person {SCRIPT}"},
        "administrators": {"name": f"Administrator {SCRIPT}"},
        "identity-providers": {"name": f"Provider {SCRIPT}", "attributes": {"displayname": SCRIPT}},
    }.items():
        answer = api("PATCH", f"/{kind}/{made.ids[kind]}", json=change)
        assert answer.status_code == 200, (kind, answer.text)
    revoked = api(
        "POST", f"/certificates/{made.ids['certificates']}/revocation", json={"reason": "unspecified", "note": SCRIPT}
    )
    assert revoked.status_code == 200
    more = {"name": f"Registration {SCRIPT}", "organization_id": made.organization}
    assert api("POST", "/registration-tokens", json=more).status_code == 201
    assert api("POST", "/requests/{}/rejection".format(made.ids["requests"]), json={"note": SCRIPT}).status_code == 200
    return made


class Elements(HTMLParser):
    """What of a page a browser would run: scripts that stand in it, handlers, images and addresses of the script's."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at one element."""
        has = dict(attrs)
        run = [name for name in has if name.startswith("on") or name == "style"]
        run += [f"{name}={value}" for name, value in attrs if (value or "").lower().startswith("javascript:")]
        if run or (tag == "script" and not (has.get("src") or "").startswith("/static/")) or has.get("src") == "x":
            self.found.append(f"{tag} {attrs}")


def safe(page: str) -> bool:
    """Whether nothing runs in a page."""
    return not page.startswith("<!doctype html>") or not Elements(page).found


def test_what_is_stored_is_escaped_on_every_page(app: EnrollApp, full: Tenant) -> None:
    visit, seen = Console(app), 0
    visit.arrive(administrator_identity(app, administrator(app, name=f"Grace {SCRIPT}")))
    for method, path in console_routes(app.web):
        if method != "GET":
            continue
        kind = (path + "//").split("/")[2]
        response = visit.get(path.removeprefix("/console").replace("{id}", full.ids.get(kind, "")))
        assert safe(response.text), (path, Elements(response.text).found)
        seen += "&lt;script&gt;alert" in response.text
    assert seen > 20, "the script stands on most pages, as text"


def test_what_is_stored_is_escaped_in_the_portal(app: EnrollApp, full: Tenant) -> None:
    browser = app.browser("Aldebaran issuing", f"ada@{full.domain}")
    for path in ("", "/request", "/certificates", "/account", "/code", "/nothing"):
        page = browser.get(path).text
        assert safe(page), path
    assert "&lt;script&gt;alert" in browser.get("/request").text + browser.get("").text


def test_licence_terms_with_script_are_text(app: EnrollApp, full: Tenant) -> None:
    assert master(app)("POST", "/licences", json={"version": "x", "text": SCRIPT}).status_code == 201
    page = app.browser("Aldebaran issuing", f"ada@{full.domain}").get("/request").text
    assert safe(page) and "&lt;script&gt;alert" in page


@pytest.mark.parametrize("parameter", ["q", "sort", "limit", "after", "done", "draft", "organization", "form", "back"])
def test_what_an_address_says_is_escaped_on_every_page(app: EnrollApp, full: Tenant, parameter: str) -> None:
    visit = console(app)
    for method, path in console_routes(app.web):
        if method == "GET" and "{" not in path:
            response = visit.client.get(path, params={parameter: SCRIPT}, headers=PAGE)
            assert safe(response.text), path
            assert response.status_code < 500, path


def test_what_was_typed_is_escaped_when_it_is_shown_again(app: EnrollApp, full: Tenant) -> None:
    """Changes what it can: what needs the samples as they were stands above."""
    visit = console(app)
    visit.get("/organizations")
    names = ("name", "email", "note", "days", "reason", "place", "grant-0", "email_domains", "subject", "uri", "q")
    for method, path in console_routes(app.web):
        if method != "POST" or path.endswith(("/sign-out", "/delete")):
            continue
        address = path.removeprefix("/console").replace("{id}", full.ids.get(path.split("/")[2], "0"))
        response = visit.post(address, **dict.fromkeys(names, SCRIPT))
        if response.status_code == 303 and "draft=" in response.headers["location"]:
            response = visit.get(response.headers["location"].removeprefix("/console"))
        assert safe(response.text), path


def test_no_name_breaks_a_line(app: EnrollApp, full: Tenant) -> None:
    """It stands in letters' headers, in files and in logs."""
    api = master(app)
    for kind in ("organizations", "departments", "profiles", "forms", "accounts", "persons", "administrators"):
        for odd in ("A\r\nBcc: eve@evil.example", "A\nB", "A\tB", "A\x85B", "A\u2028B"):
            change = {"name": odd} | ({"organization_id": full.organization} if kind == "departments" else {})
            answer = api("PATCH", f"/{kind}/{full.ids[kind]}", json=change)
            assert (kind, odd, answer.status_code) == (kind, odd, 422)
            assert list(answer.json()["fields"]) == ["name"]


def test_no_cell_of_a_file_is_a_formula(app: EnrollApp, full: Tenant) -> None:
    api = master(app)
    for number, formula in enumerate(FORMULAS):
        person = {"organization_id": full.organization, "email": f"p{number}@{full.domain}", "name": formula.strip()}
        assert api("POST", "/persons", json=person).status_code == 201
        assert api("POST", "/organizations", json={"name": formula.strip() + str(number)}).status_code == 201
    files = [
        each
        for each in operations(app.web)
        if any("csv" in kind for kind in each.described.get("responses", {}).get("200", {}).get("content", {}))
    ]
    assert len(files) >= 3
    for operation in files:
        answer = api("GET", operation.path.replace("{id}", full.ids.get(operation.kind, "")))
        cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
        assert len(cells) > 10
        assert not [cell for cell in cells if re.match(r"[=+@\t\r\n-]", cell)], operation
        assert re.fullmatch(r'attachment; filename="[a-z_]+\.csv"', answer.headers["content-disposition"])


def test_the_name_of_a_downloaded_certificate_is_plain(app: EnrollApp, full: Tenant) -> None:
    for kind in ("pem", "der", "chain", "p7b", "root"):
        answer = master(app)("GET", f"/certificates/{full.ids['certificates']}/file", params={"format": kind})
        assert re.fullmatch(r'attachment; filename="[0-9A-Fa-f]+[a-z.0-9-]*"', answer.headers["content-disposition"])
