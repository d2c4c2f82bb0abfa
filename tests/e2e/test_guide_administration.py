"""The guide's chapters for administrators: sign in, set up organizations and forms, look after persons."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.support.gallery import Gallery, gallery
from tests.support.guide import MASTER, OFFICER, PASSWORD, Administrator, Enrollee, MasterApi, guide_stack

from keystead_local.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

_names = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with guide_stack(tmp_path_factory.mktemp("guide")) as running:
        yield running


@pytest.fixture(scope="module")
def seen(stack: Stack) -> Iterator[Gallery]:
    with gallery("administration") as pages:
        yield pages


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[MasterApi]:
    api = MasterApi(stack)
    yield api
    api.close()


@pytest.fixture(scope="module")
def grace(browser: Browser, stack: Stack) -> Iterator[Administrator]:
    """The master, at the console; in the end she met no fault."""
    with Administrator(browser, stack, MASTER) as administrator:
        administrator.settle()
        yield administrator
        assert administrator.faults == []


@pytest.fixture
def person(browser: Browser, stack: Stack) -> Iterator[Enrollee]:
    with Enrollee(browser, stack, f"person{next(_names)}@example.org") as visitor:
        yield visitor
        assert visitor.faults == []


def add_account(grace: Administrator, form: str, name: str, *, profile: str, code: str = "", made: bool = True) -> None:
    """Adds an account of Northwind's on the form's page."""
    page = grace.page
    page.goto(f"{form}/accounts")
    page.get_by_role("region").get_by_role("link", name="Add an account").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Organization or department").select_option(label="Northwind")
    page.get_by_label(profile).check()
    if code:
        page.get_by_role("radio", name="Access code").check()
        page.locator("#f-access_code").fill(code)
    grace.press("Create the account")
    if made:
        expect(page.get_by_role("rowheader", name=name)).to_be_visible()


def form_id(grace: Administrator, name: str) -> str:
    """Where the list leads from the form's name."""
    grace.open("/forms")
    found = grace.row(name).get_by_role("link", name=name).get_attribute("href")
    assert found is not None
    return found.rsplit("/", 1)[-1]


def arrive(person: Enrollee, address: str) -> None:
    """Opens a new address, of which auth hears by a fact."""
    ends = time.monotonic() + 15
    while (answer := person.page.goto(address)) is None or answer.status != 200:
        assert time.monotonic() < ends, f"auth does not know {address}"


def test_an_invited_administrator_signs_in_with_password_and_code(
    browser: Browser, stack: Stack, seen: Gallery
) -> None:
    with Administrator(browser, stack, OFFICER) as emmy:
        emmy.open("")
        emmy.sees("Sign in to the console")
        seen.look(emmy.page, "sign-in")
        emmy.accept_invitation()
        seen.look(emmy.page, "authenticator")
        emmy.set_up_authenticator()
        seen.look(emmy.page, "recovery-codes")
        emmy.press("I have kept them: go on")
        expect(emmy.page).to_have_url(f"{stack.origin}/console")
        emmy.press("Sign out")
        emmy.sees("You are signed out")
        emmy.press("Sign in again")
        emmy.page.get_by_label("Your e-mail address").fill(OFFICER)
        emmy.page.get_by_label("Your password").fill("three calm horses swim")
        emmy.press("Sign in")
        expect(emmy.page.get_by_role("alert")).to_be_visible()
        seen.look(emmy.page, "sign-in-wrong")
        emmy.page.get_by_label("Your password").fill(PASSWORD)
        emmy.press("Sign in")
        emmy.sees("Type the code from your app")
        emmy.page.get_by_label("Code", exact=True).fill("000000")
        emmy.press("Go on")
        assert emmy.error_beside("code")
        seen.look(emmy.page, "code-wrong")
        emmy.page.get_by_label("Code", exact=True).fill(emmy.totp.at(int(time.time()) + emmy.totp.interval))
        emmy.press("Go on")
        expect(emmy.page).to_have_url(f"{stack.origin}/console")
        assert emmy.faults == []


def test_an_organization_and_a_department_are_made(grace: Administrator, seen: Gallery) -> None:
    page = grace.page
    grace.open("/organizations")
    seen.look(page, "organizations")
    grace.press("New organization")
    page.get_by_label("Name", exact=True).fill("Contoso")
    page.get_by_label("E-mail domains").fill("contoso.example\nnot a domain")
    grace.press("Create the organization")
    assert grace.error_beside("email_domains")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Contoso")
    seen.look(page, "organization-wrong")
    page.get_by_label("E-mail domains").fill("contoso.example")
    grace.press("Create the organization")
    grace.sees("Contoso")
    expect(page.get_by_role("status")).to_contain_text("Created")
    grace.press("New department")
    page.get_by_label("Name", exact=True).fill("Research")
    grace.press("Create the department")
    grace.sees("Contoso")
    expect(page.get_by_role("rowheader", name="Research")).to_be_visible()
    seen.look(page, "organization")


def test_a_certificate_profile_is_made_and_a_mistake_in_it_is_told(grace: Administrator, seen: Gallery) -> None:
    page = grace.page
    grace.open("/profiles")
    seen.look(page, "profiles")
    grace.press("New certificate profile")
    page.get_by_label("Name", exact=True).fill("Badge certificate")
    page.get_by_label("Client", exact=True).check()
    page.locator("#f-subject").fill("CN={nickname}")
    page.get_by_label("Alternative names").fill("email:{email}")
    page.get_by_label("ECDSA P-256").check()
    page.get_by_label("Terms in days").fill("365, 90")
    page.get_by_label("All organizations").check()
    grace.press("Create the profile")
    assert "nickname" in grace.error_beside("subject")
    seen.look(page, "profile-wrong")
    page.locator("#f-subject").fill("CN={name|email}, O={organization}")
    grace.press("Create the profile")
    grace.sees("Badge certificate")
    seen.look(page, "profile")


def test_a_form_is_made_configured_and_its_address_is_copied(
    grace: Administrator, person: Enrollee, seen: Gallery
) -> None:
    page = grace.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    grace.open("/forms")
    seen.look(page, "forms")
    grace.press("New enrollment form")
    page.get_by_label("Name", exact=True).fill("Badges")
    page.get_by_label("Device", exact=True).check()
    page.get_by_label("All organizations").check()
    page.get_by_label("Secret ID").check()
    page.get_by_label("Help text").fill("For everyone with a badge.")
    grace.press("Create the form")
    expect(page.locator("#f-methods-error")).to_contain_text("client forms only")
    seen.look(page, "form-wrong")
    page.get_by_label("Client", exact=True).check()
    grace.press("Create the form")
    grace.sees("Badges")
    seen.look(page, "form-details")
    own = page.url.partition("?")[0]
    page.get_by_role("button", name="Copy address of the form").click()
    old = page.evaluate("navigator.clipboard.readText()")
    assert old.startswith(f"{grace.stack.origin}/e/")
    page.get_by_role("link", name="Configuration").click()
    expect(page.locator("main")).to_contain_text("Secret ID")
    seen.look(page, "form-configuration")

    add_account(grace, own, "Badges of Northwind", profile="Staff certificate")
    seen.look(page, "form-accounts")
    arrive(person, old)
    person.sees("Sign in to Badges")
    expect(person.page.get_by_text("For everyone with a badge.")).to_be_visible()

    page.goto(own)
    grace.press("Generate a new address")
    seen.look(page, "form-generate")
    page.locator("main").get_by_role("button", name="Generate a new address").click()
    grace.sees("Badges")
    page.get_by_role("button", name="Copy address of the form").click()
    new = page.evaluate("navigator.clipboard.readText()")
    assert new != old
    arrive(person, new)
    person.sees("Sign in to Badges")
    answer = person.page.goto(old)
    assert answer is not None and answer.status == 404


def test_a_code_that_is_in_use_is_refused_without_saying_where(grace: Administrator, seen: Gallery) -> None:
    page = grace.page
    own = f"{grace.stack.origin}/console/forms/{form_id(grace, 'Web servers')}"
    add_account(grace, own, "More servers", profile="Server certificate", code="DEVICE2026", made=False)
    told = grace.error_beside("access_code")
    assert "Another account has this access code" in told
    for elsewhere in ("Device certificates", "Northwind devices", "DEVICE2026"):
        assert elsewhere not in told
    expect(page.get_by_text("Device certificates")).to_have_count(0)
    seen.look(page, "access-code-in-use")
    page.locator("#f-access_code").fill("SERVER2026")
    grace.press("Create the account")
    expect(page.get_by_role("rowheader", name="More servers")).to_be_visible()


def test_a_person_gets_a_secret_id_and_an_invitation_and_signs_in(
    grace: Administrator, person: Enrollee, seen: Gallery
) -> None:
    page = grace.page
    grace.open("/persons")
    seen.look(page, "persons")
    page.get_by_role("link", name="New person").first.click()
    page.get_by_label("Name", exact=True).fill("Sam Vimes")
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_label("Organization or department").select_option(label="Northwind")
    grace.press("Add the person")
    grace.sees("Sam Vimes")
    own = page.url.partition("?")[0]
    grace.press("Make a Secret ID")
    seen.look(page, "secret-id-confirm")
    page.locator("main").get_by_role("button", name="Make a Secret ID").click()
    secret_id = page.locator("main code").first.inner_text()
    seen.look(page, "secret-id")
    page.goto(own)
    expect(page.get_by_text(secret_id)).to_have_count(0)
    grace.press("Invite")
    page.get_by_label("Enrollment form").select_option(label="Staff certificates")
    grace.press("Send the invitation")
    expect(page.get_by_role("status")).to_contain_text("invitation")
    seen.look(page, "person")
    letter = person.wait_for_letter("Staff certificates")
    address = next(link for link in letter["links"] if "/e/" in link)
    assert address == person.form("Staff")
    person.by_secret_id("Staff", secret_id)
    person.sees("Request a certificate")


def test_an_import_takes_the_good_rows_and_names_what_is_wrong_with_the_others(
    grace: Administrator, seen: Gallery, tmp_path: Path
) -> None:
    page, file = grace.page, tmp_path / "persons.csv"
    file.write_text(
        "email,name,organization,secret_id\n"
        "carl@example.org,Carl Gauss,Northwind,nine green newts\n"
        "nobody,No Body,Northwind,nine green newts\n"
        "leo@example.org,Leonhard Euler,Westwind,\n"
    )
    grace.open("/persons/import")
    page.get_by_label("File").set_input_files(file)
    grace.press("Check only")
    grace.sees("Check of the file")
    seen.look(page, "import-check")
    page.locator("main").get_by_role("button", name=re.compile("^Import")).click()
    grace.sees("Import of the file")
    mistakes = page.get_by_role("table").get_by_role("row")
    expect(mistakes.filter(has_text="email")).to_contain_text("3")
    expect(mistakes.filter(has_text="organization")).to_contain_text("4")
    seen.look(page, "import")
    grace.open("/persons?q=carl")
    expect(page.get_by_role("rowheader", name="Carl Gauss")).to_be_visible()
    expect(page.get_by_text("Leonhard Euler")).to_have_count(0)


def test_every_place_of_the_console_can_be_reached_and_used_by_everybody(grace: Administrator, seen: Gallery) -> None:
    page = grace.page
    grace.open("")
    places = page.get_by_role("navigation", name="Console").get_by_role("link")
    addresses = [f"{grace.stack.origin}{href}" for each in places.all() if (href := each.get_attribute("href"))]
    more = ("administrators/new", "tokens/new", "identity-providers/new", "licence-terms/new")
    for address in [*addresses, *(f"{grace.stack.origin}/console/{path}" for path in more)]:
        answer = page.goto(address)
        assert answer is not None and answer.status == 200, address
        seen.look(page, "place-" + address.partition("/console")[2].strip("/").replace("/", "-"))
