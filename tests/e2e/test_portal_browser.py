"""What a person does with the portal in a real browser, against the real services and a real agent."""

from __future__ import annotations

import itertools
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.browser import Agent, Desktop, Visitor
from tests.support.page_audit import focus_is_visible
from tests.support.swtpm import Swtpm

from keystead_local.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.tpm, pytest.mark.browser]

LINES = ["agent", "key", "request", "issued", "installed"]
_people = itertools.count(1)
_WATCH = """() => {
  const note = (line) => window.noted(`${line.dataset.key} ${line.dataset.state}`);
  new MutationObserver((changes) => changes.forEach((change) => note(change.target)))
    .observe(document.querySelector(".steps"), { subtree: true, attributeFilter: ["data-state"] });
}"""

NewPerson = Callable[..., Visitor]


@pytest.fixture
def new_person(browser: Browser, stack: Stack) -> Iterator[NewPerson]:
    """Makes people, each with a browser profile of their own; in the end none of them met a fault."""
    made: list[Visitor] = []

    def make(*, script: bool = True) -> Visitor:
        made.append(Visitor(browser, stack, f"visitor{next(_people)}@example.org", script=script))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert [fault for each in made for fault in each.faults] == []


@pytest.fixture
def person(new_person: NewPerson) -> Visitor:
    return new_person()


def watch(page: Page) -> list[str]:
    """Every change of a progress line from now on, as "key state"; it outlives the page."""
    noted: list[str] = []
    page.expose_function("noted", lambda change: noted.append(change))
    page.evaluate(_WATCH)
    return noted


def download(person: Visitor, folder: Path) -> dict[str, Path]:
    """The files that the card offers."""
    files = {}
    for label in ("Certificate", "Chain", "Root"):
        with person.page.expect_download() as coming:
            person.page.get_by_role("link", name=f"{label} (PEM)").click()
        files[label] = folder / coming.value.suggested_filename
        coming.value.save_as(files[label])
    return files


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_person_enrolls_and_sees_each_step_without_a_reload(person: Visitor, stack: Stack, tmp_path: Path) -> None:
    person.reach_request()
    link = person.submit()
    noted = watch(person.page)
    navigations: list[str] = []
    person.page.on("framenavigated", lambda frame: navigations.append(frame.url))
    with Agent(stack, tmp_path, link) as agent:
        person.sees("Your certificate is installed")
        assert agent.wait() == 0, agent.said()
    assert [key for key in LINES if f"{key} done" in noted] == LINES
    assert navigations == [person.page.url]  # one: the card's own page, at the end
    expect(person.page.locator(".certificate")).to_contain_text("cannot be copied")
    expect(person.page.locator(".certificate h2")).to_have_text(person.email)

    files = download(person, tmp_path)
    verified = openssl(
        "verify", "-x509_strict", "-CAfile", files["Root"], "-untrusted", files["Chain"], files["Certificate"]
    )
    assert verified.strip().endswith(": OK"), verified
    assert f"email:{person.email}" in openssl("x509", "-in", files["Certificate"], "-noout", "-ext", "subjectAltName")
    person.wait_for_letter("certificate is installed")


def test_the_page_opens_the_agent_once(person: Visitor, desktop: Desktop) -> None:
    person.reach_request()
    link = person.submit()
    desktop.wait_until_opened(link)
    person.page.reload()
    person.sees("Getting your certificate")
    person.press("Open the Keystead Agent")
    desktop.wait_until_opened(link, times=2)
    assert desktop.times_opened(link) == 2  # the reload opened nothing, the button did


@pytest.mark.parametrize(
    ("form", "label", "wrong", "complaint", "right", "name"),
    [
        ("Server", "DNS names of the server", "www.example.net", "not in a domain", "www.example.org", "dns_names"),
        ("Device", "Device name", "pump-7.example.net", "not in a domain", "pump-7.example.org", "device_name"),
    ],
)
def test_a_wrong_name_is_told_beside_its_field_and_put_right(
    person: Visitor, tmp_path: Path, form: str, label: str, wrong: str, complaint: str, right: str, name: str
) -> None:
    person.reach_request(form)
    box = person.page.get_by_label(label)
    box.fill(wrong)
    person.page.get_by_label("RSA 2048").check()
    person.press("Request certificate")  # and the terms are not accepted
    assert complaint in person.error_beside(name)
    assert "accept" in person.error_beside("licence")
    expect(box).to_have_value(wrong)
    expect(person.page.get_by_label("RSA 2048")).to_be_checked()
    expect(person.page.get_by_role("alert")).to_be_focused()

    box.fill(right)
    with Agent(person.stack, tmp_path, person.submit()) as agent:
        person.sees("Your certificate is installed")
        assert agent.wait() == 0, agent.said()
    certificate = download(person, tmp_path)["Certificate"]
    described = openssl("x509", "-in", certificate, "-noout", "-text")
    assert f"DNS:{right}" in described
    assert "2048 bit" in described


def test_a_wrong_access_code_is_told_beside_its_field_and_kept(person: Visitor) -> None:
    person.sign_in()
    box = person.page.get_by_label("Access code")
    box.fill("HEART2025")
    person.press("Continue")
    assert "not the access code" in person.error_beside("access_code")
    expect(box).to_have_value("HEART2025")
    assert person.page.title().startswith("Error:")


def test_going_back_after_a_mistake_shows_pages_and_sends_nothing_again(person: Visitor, desktop: Desktop) -> None:
    person.sign_in()
    page = person.page
    page.get_by_label("Access code").fill("HEART2025")
    person.press("Continue")
    assert person.error_beside("access_code")
    assert "HEART2025" not in page.url
    page.reload()
    expect(page.get_by_label("Access code")).to_have_value("HEART2025")
    page.get_by_label("Access code").fill("HEART2026")
    person.press("Continue")
    person.sees("Request a certificate")
    person.press("Request certificate")  # the terms are not accepted
    assert person.error_beside("licence")
    desktop.wait_until_opened(person.submit())  # going back while the browser opens the link would be aborted
    page.go_back()
    person.sees("Request a certificate")
    page.go_back()
    person.sees("Request a certificate")
    for _ in range(2):
        page.go_back()
        person.sees("Your certificates")  # where the code's pages lead now


def test_the_sites_own_address_leads_to_the_forms_and_the_mailbox(person: Visitor) -> None:
    person.page.goto(person.stack.origin)
    person.sees("Enrollment forms")
    person.press("Open the development mailbox")
    person.sees("Development mailbox")
    person.page.goto(person.stack.origin)
    person.page.get_by_role("link", name="Staff certificates").click()
    person.sees("Sign in to Staff certificates")


def test_a_malformed_address_is_told_beside_its_field_and_kept(person: Visitor) -> None:
    person.page.goto(person.form("Staff"))
    person.page.get_by_label("e-mail address at").fill("ada.example.org")
    person.press("Send me a link")
    assert person.error_beside("email")
    expect(person.page.get_by_label("e-mail address at")).to_have_value("ada.example.org")


def test_progress_survives_a_reload_and_shows_in_a_second_tab(
    person: Visitor, desktop: Desktop, stack: Stack, tmp_path: Path
) -> None:
    person.reach_request()
    link = person.submit()
    desktop.wait_until_opened(link)  # a reload while the browser opens the link would be aborted
    person.page.reload()
    expect(person.step("agent")).to_have_attribute("data-state", "active")
    second = person.new_tab()
    second.goto(person.page.url)
    expect(second.locator("h1")).to_have_text("Getting your certificate")
    with Agent(stack, tmp_path, link):
        for tab in (person.page, second):
            expect(tab.locator("h1")).to_have_text("Your certificate is installed")
    person.page.reload()
    person.sees("Your certificate is installed")


def test_without_script_everything_works_and_progress_comes_with_each_refresh(
    new_person: NewPerson, stack: Stack, tmp_path: Path
) -> None:
    person = new_person(script=False)
    person.reach_request()
    link = person.submit()
    expect(person.step("agent")).to_have_attribute("data-state", "active")
    expect(person.page.get_by_text("keystead-agent enroll")).to_be_visible()
    with Agent(stack, tmp_path, link) as agent:
        assert agent.wait() == 0, agent.said()
    person.sees("Your certificate is installed")


def test_a_failure_says_why_what_to_do_and_leads_on(person: Visitor, stack: Stack, tmp_path: Path) -> None:
    person.reach_request()
    with Swtpm(tmp_path / "tpm") as tpm:
        tpm.fill()
        with Agent(stack, tmp_path, person.submit(), KEYSTEAD_AGENT_TCTI=tpm.tcti):
            person.sees("Your certificate could not be installed")
    box = person.page.locator("#failure")
    expect(box).to_contain_text("TPM")
    assert box.locator("h2").inner_text() and box.locator("p").first.inner_text()
    assert re.search(r"[0-9a-f]{32}", box.inner_text())
    expect(person.page.locator('.step[data-state="failed"]')).to_have_count(1)
    person.press("Ask again")
    person.sees("Request a certificate")


def test_the_keyboard_alone_is_enough(person: Visitor) -> None:
    page = person.page

    def tab_to(name: str) -> None:
        """Tabs on until the control with this label or text has the focus; each stop on the way shows it."""
        for _ in range(40):
            page.keyboard.press("Tab")
            assert focus_is_visible(page), page.evaluate("document.activeElement.outerHTML")
            words = "(e) => `${[...(e.labels ?? [])].map((l) => l.textContent).join()} ${e.textContent}`"
            if name in page.evaluate(f"({words})(document.activeElement)"):
                return
        raise AssertionError(f"no Tab leads to {name}")

    page.goto(person.form("Staff"))
    tab_to("e-mail address at")
    page.keyboard.type(person.email)
    page.keyboard.press("Enter")
    person.sees("Check your mail")
    page.goto(person.wait_for_link())
    tab_to("Skip to the content")
    page.keyboard.press("Enter")
    tab_to("Sign in")
    page.keyboard.press("Space")
    person.sees("Enter your access code")
    tab_to("Access code")
    page.keyboard.type("HEART2026")
    tab_to("Continue")
    page.keyboard.press("Enter")
    person.sees("Request a certificate")
    tab_to("ECDSA P-256")
    page.keyboard.press("ArrowDown")
    tab_to("I accept these terms")
    page.keyboard.press("Space")
    tab_to("Request certificate")
    page.keyboard.press("Enter")
    person.sees("Getting your certificate")
    tab_to("Open the Keystead Agent")


def test_signing_out_ends_both_sessions(person: Visitor) -> None:
    person.reach_request()
    kept = person.cookies()
    inside = person.page.url
    person.press("Sign out")
    person.sees("You are signed out")
    for cookies in ([], kept):  # whoever copied the cookies before is out too
        person.put_cookies(cookies)
        person.page.goto(inside)
        expect(person.page.get_by_text(person.email)).to_have_count(0)
        person.press("Sign in again")
        person.sees("Sign in to Staff certificates")


def test_an_expired_link_is_replaced_by_a_new_one_that_works(
    person: Visitor, desktop: Desktop, stack: Stack, tmp_path: Path
) -> None:
    person.reach_request()
    old = person.submit()
    desktop.wait_until_opened(old)  # a reload while the browser opens the link would be aborted
    with sqlite3.connect(f"{stack.folder}/data/enroll.db", timeout=10) as database:
        expired = database.execute(
            "UPDATE enrollment_claims SET expires_at = '2026-01-01 00:00:00.000000' WHERE order_id = ?",
            [person.page.url.rsplit("/", 1)[1]],
        )
        assert expired.rowcount == 1
    person.page.reload()
    person.press("Get a new link")
    person.sees("Getting your certificate")
    new = person.link()
    assert new != old
    with Agent(stack, tmp_path, old) as agent:
        assert agent.wait() != 0
    expect(person.step("agent")).to_have_attribute("data-state", "active")
    with Agent(stack, tmp_path, new) as agent:
        person.sees("Your certificate is installed")
        assert agent.wait() == 0, agent.said()


def test_my_certificates_lists_mine_and_add_begins_another(new_person: NewPerson, stack: Stack, tmp_path: Path) -> None:
    owner, stranger = new_person(), new_person()
    owner.enroll(tmp_path)
    order = owner.page.url
    owner.page.goto(owner.form("Staff"))
    owner.sees("Your certificates")
    expect(owner.page.locator(".row")).to_have_count(1)
    owner.page.locator(".row").click()
    owner.sees("Certificate")
    certificate = owner.page.url
    owner.page.get_by_role("link", name="Your certificates").click()
    owner.press("Add")
    owner.sees("Request a certificate")

    stranger.reach_request()  # the list is skipped: there is nothing on it
    stranger.page.goto(f"{stranger.form('Staff')}/certificates")
    expect(stranger.page.locator(".row")).to_have_count(0)
    for address in (order, certificate, f"{certificate}/certificate.pem"):
        answer = stranger.page.goto(address)
        assert answer is not None and answer.status == 404
        expect(stranger.page.get_by_text(owner.email)).to_have_count(0)
    stranger.page.goto(order)
    stranger.press("Go to the form")
    stranger.sees("Request a certificate")


def test_a_link_from_the_mailbox_page_signs_in(person: Visitor, stack: Stack) -> None:
    page = person.page
    page.goto(person.form("Staff"))
    page.get_by_label("e-mail address at").fill(person.email)
    person.press("Send me a link")
    letter = person.wait_for_letter("/auth/confirm/")
    person.press("Open the development mailbox")
    person.sees("Development mailbox")
    page.locator(f'a[href="/messages/{letter["id"]}"]').click()
    person.sees(letter["subject"])
    expect(page.frame_locator("iframe").get_by_text(person.email).first).to_be_visible()
    for width in (360, 1100):
        page.set_viewport_size({"width": width, "height": 900})
        frame = page.locator("iframe").bounding_box()
        last = page.frame_locator("iframe").get_by_text("Sent by Keystead").bounding_box()
        assert frame and last
        assert last["y"] + last["height"] <= frame["y"] + frame["height"], f"the letter scrolls inside at {width} px"
    person.press("Open the letter's link")
    person.sees("Confirm that it is you")
