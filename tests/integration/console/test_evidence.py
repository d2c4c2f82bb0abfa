"""Why it is believed where a key is, in the console: of certificates, requests and devices, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.api.test_certificates import strangers
from tests.integration.console.test_records import text_of
from tests.integration.test_enroll_attestation import PROVEN, roots
from tests.integration.test_enroll_devices import register
from tests.integration.test_evidence_page import proven, with_wrong_nonce
from tests.support.administrators import console
from tests.support.attesting_machine import AttestingMachine
from tests.support.enroll_app import EnrollApp, enroll_app

from keystead_enroll.domain.evidence_record import EvidenceRecord, judge_again


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url, ek_roots_folder=roots()) as app:
        app.uris |= app.apply(PROVEN)
        yield app


def test_a_certificate_and_its_request_lead_to_every_check_with_its_code(app: EnrollApp) -> None:
    order_id, visit = proven(app, AttestingMachine.made(app)), console(app)
    certificate_id = app.certificates()[0].id
    for own in (f"/certificates/{certificate_id}", f"/requests/{order_id}"):
        told = visit.get(own).text
        assert f'href="/console{own}/evidence"' in told and "Genuine TPM, proven" in told
        page = visit.get(f"{own}/evidence").text.replace("<wbr>", "")
        for part in ("Chips Root", "key.fixed_tpm", "certificate.chain", "endorsement_key.listed.failed"):
            assert part in page
        assert f'href="/console{own}/evidence/file"' in page and f'href="/console{own}"' in page
        given = EvidenceRecord.model_validate_json(visit.get(f"{own}/evidence/file").text)
        assert judge_again(given).record == given


def test_refused_evidence_is_shown_with_the_code_and_the_file(app: EnrollApp) -> None:
    own, visit = f"/requests/{with_wrong_nonce(app)}", console(app)
    assert "key.nonce.failed" in visit.get(own).text
    shown = text_of(visit.get(f"{own}/evidence").text)
    for part in ("As the computer sent it", "key.nonce.failed", "Does not hold", "Tell your administrator", "key.name"):
        assert part in shown
    assert visit.get(f"{own}/evidence/file").status_code == 200


def test_a_request_without_a_key_has_nothing_to_show(app: EnrollApp) -> None:
    own, visit = f"/requests/{app.browser('Proven').order('Attested')}", console(app)
    assert "/evidence" not in visit.get(own).text
    assert "There is no key yet." in text_of(visit.get(f"{own}/evidence").text)
    assert visit.get(f"{own}/evidence/file").status_code == 404


def test_a_device_shows_its_tpm_and_its_level(app: EnrollApp) -> None:
    machine, visit = AttestingMachine.made(app), console(app)
    machine.attest()
    page = visit.get(f"/devices/{machine.device_id}").text
    for part in ("Genuine TPM, proven", "KEYS", "Chips Root", f"/console/devices/{machine.device_id}/evidence"):
        assert part in page
    assert "key.fixed_tpm" in visit.get(f"/devices/{machine.device_id}/evidence").text


def test_a_device_that_proved_nothing_says_so(app: EnrollApp) -> None:
    device, visit = register(app, app.client()), console(app)
    assert "Software key" in visit.get(f"/devices/{device.id}").text
    assert "There is nothing to prove." in text_of(visit.get(f"/devices/{device.id}/evidence").text)


def test_nobody_sees_the_evidence_of_what_is_not_theirs(app: EnrollApp) -> None:
    machine = AttestingMachine.made(app)
    machine.attest()
    order_id = proven(app, machine)
    paths = [f"/devices/{machine.device_id}/evidence"]
    for own in (f"/certificates/{app.certificates()[0].id}", f"/requests/{order_id}"):
        paths += [f"{own}/evidence", f"{own}/evidence/file"]
    elsewhere, other_type = strangers(app)
    for grant, hidden in ((elsewhere, paths), (other_type, paths[1:])):
        visit = console(app, grant)
        assert {visit.get(path).status_code for path in hidden} == {404}
