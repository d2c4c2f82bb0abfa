"""The portal's page that says why it is believed where a key is: what it says, and to whom."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator

import httpx
import pytest
from cryptography import x509
from tests.integration.test_enroll_attestation import PROVEN, linked, list_key, ordered, roots
from tests.support.attesting_machine import AGES, AttestingMachine
from tests.support.enroll_app import BOB, EnrollApp, enroll_app
from tests.support.enroll_people import issued
from tests.support.tpm_maker import Authority, ek_extensions, replaced

from keystead_enroll.domain.endorsement_keys import Ruling
from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_again
from keystead_enroll.web.evidence_words import firmware, manufacturer

MANUFACTURER = x509.ObjectIdentifier("2.23.133.2.1")


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url, ek_roots_folder=roots()) as app:
        app.uris |= app.apply(PROVEN)
        yield app


def text_of(page: httpx.Response) -> str:
    """What a reader sees of a page."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


def proven(app: EnrollApp, machine: AttestingMachine, profile: str = "Attested") -> str:
    """An order whose key the machine proved, installed."""
    order_id, agent, job, challenge = linked(app, machine, profile)
    assert agent.report(machine.report(agent, job, challenge)).status_code == 200
    app.work()
    [job] = agent.jobs()
    assert agent.report(agent.installed_report(job)).status_code == 200
    return order_id


def with_wrong_nonce(app: EnrollApp) -> str:
    """An order whose evidence was refused."""
    machine = AttestingMachine.made(app)
    order_id, agent, job, challenge = linked(app, machine)
    wrong = machine.certify(base64.b64encode(bytes(32)).decode(), job.order_id)
    assert agent.report(machine.report(agent, job, challenge, key=machine.key, certification=wrong)).status_code == 422
    return order_id


def test_the_done_page_and_the_certificate_lead_to_the_page(app: EnrollApp) -> None:
    order_id, browser = proven(app, AttestingMachine.made(app)), app.browser("Proven")
    address = f'href="/e/{browser.uri}/orders/{order_id}/evidence"'
    assert address in browser.get(f"/orders/{order_id}").text
    certificate_id = app.certificates()[0].id
    assert address in browser.get(f"/certificates/{certificate_id}").text
    assert f"/certificates/{certificate_id}" in browser.get(f"/orders/{order_id}/evidence").text


def test_a_proven_key_is_told_with_its_tpm_its_authorities_and_every_check(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    page = app.browser("Proven").get(f"/orders/{proven(app, machine)}/evidence")
    shown = text_of(page)
    assert "its manufacturer vouches that it is a genuine TPM" in shown
    for part in ("KEYS", "CN=Chips Root", "The root, which is trusted here", "key.fixed_tpm", "certificate.chain"):
        assert part in shown
    assert "nobody trusted here vouches" not in shown
    headings = re.findall(r'<h3 id="g-\d">([^<]+)</h3>', page.text)
    assert headings == ["Key", "Attestation key", "Endorsement key", "Endorsement certificate"]
    assert page.text.count('class="missing"') == 1 and "It is not on the organization's list." in shown
    assert 'class="failed"' not in page.text


def test_what_a_certificate_says_of_its_tpm_is_not_taken_for_proven(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app, Authority.root("Nobody", **AGES))
    shown = text_of(app.browser("Proven").get(f"/orders/{proven(app, machine)}/evidence"))
    for part in (
        "Nobody vouches for this TPM.",
        "KEYS",
        "nobody trusted here vouches for that",
        "No manufacturer whose",
    ):
        assert part in shown


def test_what_nobody_trusted_says_of_a_genuine_tpm_is_not_shown(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    lie = x509.SubjectAlternativeName([x509.DirectoryName(x509.Name([x509.NameAttribute(MANUFACTURER, "LIES")]))])
    liar = Authority.root("Nobody", which=92, **AGES)
    lies = liar.certify(machine.tpm.endorsement.key, replaced(ek_extensions(), (lie, True)), **AGES)
    machine.certificates = [lies, *machine.certificates]
    shown = text_of(app.browser("Proven").get(f"/orders/{proven(app, machine)}/evidence"))
    assert ("Genuine TPM" in shown, "KEYS" in shown, "LIES" in shown) == (True, True, False)


def test_a_listed_tpm_is_told_as_such(app: EnrollApp) -> None:
    machine = AttestingMachine(app)
    machine.attest()
    with app.enroll.transactions.read() as tx:
        device = tx.device(machine.device_id)
    assert device is not None and device.ek_sha256
    list_key(app, device.ek_sha256)
    order_id, agent, job = ordered(app, machine, "Listed")
    agent.report(machine.report(agent, job))
    shown = text_of(app.browser("Proven").get(f"/orders/{order_id}/evidence"))
    assert "the organization knows this TPM" in shown and device.ek_sha256 in shown


def test_a_claimed_key_is_told_to_be_the_agents_word(app: EnrollApp) -> None:
    machine, browser = AttestingMachine(app), app.browser()
    order_id = browser.order()
    agent, _ = machine.redeem(browser.link(order_id).claim, attestation=None)
    [job] = agent.jobs()
    agent.report(machine.report(agent, job, certification=None))
    page = browser.get(f"/orders/{order_id}/evidence")
    assert "nothing proves it" in text_of(page) and "The TPM</h2>" not in page.text


def test_a_key_in_a_file_is_told_to_be_one(app: EnrollApp) -> None:
    browser, order_id, _, _ = issued(app)
    shown = text_of(browser.get(f"/orders/{order_id}/evidence"))
    assert "The key is a file on the computer" in shown and "There is nothing to prove." in shown


def test_before_there_is_a_key_the_page_says_so(app: EnrollApp) -> None:
    browser = app.browser("Proven")
    order_id = browser.order("Attested")
    assert "There is no key yet." in text_of(browser.get(f"/orders/{order_id}/evidence"))
    assert "/evidence" not in browser.get(f"/orders/{order_id}").text
    assert browser.get(f"/orders/{order_id}/evidence.json").status_code == 404


def test_the_file_judges_itself_again(app: EnrollApp) -> None:
    order_id, browser = proven(app, AttestingMachine.made(app)), app.browser("Proven")
    file = browser.get(f"/orders/{order_id}/evidence.json")
    name = f"{order_id}.evidence.json"
    assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
    given = EvidenceRecord.model_validate_json(file.text)
    assert judge_again(given).record == given
    assert f"keystead evidence verify {name}" in browser.get(f"/orders/{order_id}/evidence").text


def test_refused_evidence_is_told_as_the_agent_heard_it_and_no_check_besides(app: EnrollApp) -> None:
    order_id, browser = with_wrong_nonce(app), app.browser("Proven")
    told = browser.get(f"/orders/{order_id}")
    for part in ("did not prove where the key is", "another request or another key", "Tell your administrator"):
        assert part in text_of(told)
    assert f"/orders/{order_id}/evidence" in told.text
    page = browser.get(f"/orders/{order_id}/evidence")
    shown = text_of(page)
    assert "The evidence was refused" in shown and "another request or another key" in shown
    assert app.order(order_id).trace_id in shown
    for part in ("key.nonce", "What was checked", "Chips Root", "evidence.json", "The signature is right."):
        assert part not in page.text
    assert browser.get(f"/orders/{order_id}/evidence.json").status_code == 404


def test_a_level_that_is_too_low_is_told_with_what_to_do_and_no_check_besides(app: EnrollApp) -> None:
    machine, browser = AttestingMachine(app), app.browser("Proven")
    order_id, agent, job, challenge = linked(app, machine, "Vendor")
    agent.report(machine.report(agent, job, challenge))
    for path in (f"/orders/{order_id}", f"/orders/{order_id}/evidence"):
        shown = text_of(browser.get(path))
        assert "needs a key in a TPM that its manufacturer vouches for" in shown
        assert "ask the administrator for another certificate profile" in shown
        assert "certificate.chain" not in shown
    assert browser.get(f"/orders/{order_id}/evidence.json").status_code == 404


def test_a_tpm_on_the_deny_list_is_told_its_reason_alone(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id, agent, job = ordered(app, machine, "Attested")
    with app.enroll.transactions.read() as tx:
        device = tx.device(machine.device_id)
    assert device is not None and device.ek_sha256
    list_key(app, device.ek_sha256, Ruling.DENY)
    agent.report(machine.report(agent, job))
    page = app.browser("Proven").get(f"/orders/{order_id}/evidence")
    assert "on the list of those that are refused" in text_of(page) and 'class="checks"' not in page.text


@pytest.mark.parametrize("page", ["evidence", "evidence.json"])
def test_nobody_else_and_no_other_form_has_the_page(app: EnrollApp, page: str) -> None:
    order_id = proven(app, AttestingMachine.made(app))
    stranger, elsewhere = app.browser("Proven", email=BOB), app.browser()
    for browser in (stranger, elsewhere):
        answer = browser.get(f"/orders/{order_id}/{page}")
        assert answer.status_code == 404
        assert "There is no such request." in answer.text and "TPM" not in answer.text
    assert app.client().get(f"/e/{elsewhere.uri}/orders/{order_id}/{page}").status_code in (401, 404)


def test_manufacturers_are_named_where_they_are_known() -> None:
    assert manufacturer("id:49465800") == "Infineon"
    assert manufacturer("id:494E5443") == "Intel"
    assert manufacturer("id:4B455953") == "KEYS"
    assert manufacturer("id:3C623E00") == "id:3C623E00"
    assert manufacturer("Chips <b>") == "Chips <b>"
    assert (firmware("id:00070055"), firmware("7.85")) == ("00070055", "7.85")
