"""The guide's approvals and what comes after: decisions in the console, own requests, renewal, revocation, scope."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.support.browser import Agent
from tests.support.gallery import Gallery, gallery
from tests.support.guide import OFFICER, Administrator, Enrollee, guide_stack

from keystead_local.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.tpm, pytest.mark.browser]

_people = itertools.count(1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with guide_stack(tmp_path_factory.mktemp("guide")) as running:
        yield running


@pytest.fixture(scope="module")
def seen(stack: Stack) -> Iterator[Gallery]:
    with gallery("approval") as pages:
        yield pages


@pytest.fixture(scope="module")
def emmy(browser: Browser, stack: Stack) -> Iterator[Administrator]:
    """Northwind's administrator, at the console; in the end she met no fault."""
    with Administrator(browser, stack, OFFICER) as administrator:
        administrator.settle()
        yield administrator
        assert administrator.faults == []


@pytest.fixture
def arrives(browser: Browser, stack: Stack) -> Iterator[Callable[..., Enrollee]]:
    """Makes people; in the end none of them met a fault."""
    made: list[Enrollee] = []

    def make(domain: str = "example.org") -> Enrollee:
        made.append(Enrollee(browser, stack, f"person{next(_people)}@{domain}"))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert [fault for each in made for fault in each.faults] == []


@pytest.fixture
def person(arrives: Callable[..., Enrollee]) -> Enrollee:
    return arrives()


def ask(person: Enrollee) -> None:
    """Asks for a certificate that somebody is to approve."""
    person.by_email("Careful")
    person.sees("Request a certificate")
    person.page.get_by_label("I accept these terms").check()
    person.press("Request certificate")
    person.sees("Waiting for approval")


def find(emmy: Administrator, person: Enrollee) -> None:
    """Opens the person's request from the list of those that wait."""
    emmy.open("/requests")
    emmy.press("Waiting for approval")
    emmy.row(person.email).get_by_role("link").first.click()
    expect(emmy.page.get_by_role("link", name="Approve…")).to_be_visible()


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_request_waits_and_goes_on_when_it_is_approved(
    person: Enrollee, emmy: Administrator, stack: Stack, seen: Gallery, tmp_path: Path
) -> None:
    ask(person)
    seen.look(person.page, "waiting")
    find(emmy, person)
    seen.look(emmy.page, "request")
    emmy.press("Approve…")
    seen.look(emmy.page, "approve")
    emmy.page.get_by_label("Note").fill("Known to me.")
    emmy.press("Approve the request")
    expect(emmy.page.get_by_role("status")).to_contain_text("Approved")
    person.sees("Getting your certificate")  # without a reload
    person.wait_for_letter("approved")
    with Agent(stack, tmp_path, person.link()) as agent:
        person.sees("Your certificate is installed")
        assert agent.wait() == 0, agent.said()
    emmy.page.reload()
    expect(emmy.page.get_by_text("Known to me.")).to_be_visible()
    seen.look(emmy.page, "request-installed")
    emmy.go("Certificates")
    seen.look(emmy.page, "console-certificates")
    emmy.row(person.email).get_by_role("link").first.click()
    expect(emmy.page.locator("main")).to_contain_text(person.email)
    seen.look(emmy.page, "console-certificate")


def test_a_request_is_declined_with_a_note_that_the_person_reads(
    person: Enrollee, emmy: Administrator, seen: Gallery
) -> None:
    ask(person)
    find(emmy, person)
    emmy.press("Decline…")
    emmy.press("Decline the request")  # and does not say why
    assert emmy.error_beside("note")
    seen.look(emmy.page, "decline-wrong")
    emmy.page.get_by_label("Reason").fill("Use the staff form, please.")
    emmy.press("Decline the request")
    expect(emmy.page.get_by_role("status")).to_contain_text("Declined")
    person.sees("Your organization refused this request")
    expect(person.page.locator("main")).to_contain_text("Use the staff form, please.")
    seen.look(person.page, "declined")
    person.wait_for_letter("Use the staff form, please.")
    person.press("Ask again")
    person.sees("Request a certificate")


def test_an_administrator_of_one_organization_sees_nothing_of_another(
    arrives: Callable[..., Enrollee], emmy: Administrator, seen: Gallery
) -> None:
    ours, theirs = arrives(), arrives("fabrikam.example")
    ask(ours)
    ask(theirs)
    emmy.open("/requests?q=state:awaiting_approval")
    expect(emmy.row(ours.email)).to_have_count(1)
    expect(emmy.page.get_by_text(theirs.email)).to_have_count(0)
    seen.look(emmy.page, "requests")
    answer = emmy.page.goto(f"{emmy.stack.origin}/console/requests/{theirs.page.url.rsplit('/', 1)[-1]}")
    assert answer is not None and answer.status == 404
    seen.look(emmy.page, "not-found")
    emmy.open("/organizations")
    expect(emmy.row("Northwind")).to_have_count(1)
    expect(emmy.page.get_by_text("Fabrikam")).to_have_count(0)


def test_a_person_brings_a_request_of_their_own(
    person: Enrollee, emmy: Administrator, seen: Gallery, tmp_path: Path
) -> None:
    key, request = tmp_path / "key.pem", tmp_path / "request.pem"
    openssl(
        "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=any",
        "-keyout", key, "-out", request,
    )  # fmt: skip
    page = person.page
    person.by_email("Own")
    person.sees("Request a certificate")
    page.get_by_label("DNS names of the server").fill("www.example.org")
    page.get_by_label("Certificate signing request").fill("no request at all")
    page.get_by_label("I accept these terms").check()
    person.press("Request certificate")
    assert person.error_beside("csr")
    seen.look(page, "csr-wrong")
    page.get_by_label("Certificate signing request").fill("")
    page.get_by_label("Or its file").set_input_files(request)
    person.press("Request certificate")
    person.sees("Your certificate is ready")
    seen.look(page, "csr-ready")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Certificate (PEM)").click()
    certificate = tmp_path / "certificate.pem"
    coming.value.save_as(certificate)
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")
    assert "DNS:www.example.org" in openssl("x509", "-in", certificate, "-noout", "-ext", "subjectAltName")


def test_a_person_renews_a_certificate_and_revokes_the_old_one(
    person: Enrollee, emmy: Administrator, seen: Gallery, tmp_path: Path
) -> None:
    page = person.page
    person.by_email("Staff")
    person.sees("Request a certificate")
    page.get_by_label("RSA 2048").check()
    person.install(tmp_path)
    person.press("Your certificates")
    page.locator(".row").click()
    person.sees("Certificate")
    old = page.url
    seen.look(page, "certificate")
    person.press("Renew")
    person.sees("Renew a certificate")
    expect(page.get_by_label("RSA 2048")).to_be_checked()
    seen.look(page, "renew")
    person.install(tmp_path)

    page.goto(old)
    person.press("Revoke this certificate")
    person.sees("Revoke this certificate?")
    person.press("Revoke the certificate")  # and does not say why
    expect(page.get_by_text("Choose one of these.")).to_be_visible()
    seen.look(page, "revoke-wrong")
    page.get_by_role("radio").first.check()
    person.press("Revoke the certificate")
    person.sees("Certificate")
    expect(page.locator(".certificate")).to_contain_text("Revoked")
    seen.look(page, "revoked")
    person.open_form("Staff")
    person.sees("Your certificates")
    expect(page.locator(".row").filter(has_text="Revoked")).to_have_count(1)
    expect(page.locator(".row").filter(has_text="Valid until")).to_have_count(2)
