"""Certificates through the API."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from sqlalchemy import select, text, update
from tests.integration.test_enroll_devices import register, signed_in
from tests.support.administrators import master, officer
from tests.support.enroll_app import ADA, BOB, EnrollApp, issued, problem_code, started

from keystead_contracts.agent import Failed, Report
from keystead_contracts.base import CertificateType
from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.administration import Grant, Role
from keystead_enroll.domain.issuance import LEASE
from keystead_enroll.domain.orders import OrderState

COMPROMISED = {"reason": "key_compromise", "note": "The laptop was stolen."}


def installed(app: EnrollApp, email: str = ADA) -> str:
    """The id of a certificate that a person's agent installed."""
    _, order_id, agent, job = issued(app, email)
    assert agent.report(agent.installed_report(job)).status_code == 200
    with app.enroll.transactions.read() as tx:
        certificate = tx.certificate_of(order_id)
        assert certificate is not None
        return certificate.id


def strangers(app: EnrollApp) -> list[Grant]:
    """A role elsewhere, and one for another certificate type in the right place."""
    elsewhere = master(app).create("/organizations", {"name": "Physics"})
    hospital = next(o["id"] for o in master(app).items("/organizations") if o["id"] != elsewhere)
    return [
        Grant(Role.RAO, elsewhere),
        Grant(Role.RAO, hospital, certificate_types=frozenset({CertificateType.SSL})),
    ]


def test_a_certificate_shows_what_it_is_and_why_its_key_is_believed(app: EnrollApp) -> None:
    certificate = master(app)("GET", f"/certificates/{installed(app)}").json()
    assert (certificate["owner"], certificate["state"], certificate["assurance"]) == (ADA, "valid", "software")
    assert (certificate["organization"], certificate["department"]) == ("Example Hospital", "Radiology")
    assert certificate["evidence"] and all(reason["text"] for reason in certificate["evidence"])
    assert certificate["revocation"] is None


@pytest.mark.parametrize("field", ["serial", "sha1", "sha256"])
def test_a_certificate_is_found_by_its_numbers_however_they_are_written(app: EnrollApp, field: str) -> None:
    api, made = master(app), installed(app)
    number = str(api("GET", f"/certificates/{made}").json()[field])
    pairs = ":".join(number[at : at + 2] for at in range(0, len(number), 2))
    for written in (number.lower(), number.upper(), pairs):
        assert [c["id"] for c in api.items("/certificates", q=f"{field}:{written}")] == [made]
    assert api.items("/certificates", q=f"{field}:00") == []


def test_the_list_keeps_to_what_a_search_asks_for(app: EnrollApp) -> None:
    api = master(app)
    first, second = installed(app), installed(app, BOB)
    assert [c["id"] for c in api.items("/certificates", q="bob state:valid type:client")] == [second]
    assert [c["id"] for c in api.items("/certificates", sort="issued")] == [first, second]
    assert api.items("/certificates", q="state:revoked") == []


def test_a_certificate_is_downloaded_in_every_form(app: EnrollApp) -> None:
    api, made = master(app), installed(app)

    def file(wanted: str) -> bytes:
        answer = api("GET", f"/certificates/{made}/file", params={"format": wanted})
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        return answer.content

    leaf = x509.load_pem_x509_certificate(file("pem"))
    issuing, root = (x509.load_pem_x509_certificate(file(name)) for name in ("chain", "root"))
    assert x509.load_der_x509_certificate(file("der")) == leaf
    assert leaf.issuer == issuing.subject and issuing.issuer == root.subject
    assert set(pkcs7.load_der_pkcs7_certificates(file("p7b"))) == {leaf, issuing, root}
    assert api("GET", f"/certificates/{made}/file", params={"format": "pfx"}).status_code == 422


def test_a_certificate_is_revoked_once_and_keeps_its_first_reason(app: EnrollApp) -> None:
    api, made = master(app), installed(app)
    first = api("POST", f"/certificates/{made}/revocation", json=COMPROMISED)
    assert first.status_code == 200, first.text
    assert first.json()["state"] == "revoked"
    assert first.json()["revocation"]["note"] == "The laptop was stolen."
    app.clock.shift = timedelta(hours=1)
    assert api("POST", f"/certificates/{made}/revocation", json=COMPROMISED).json() == first.json()
    other = api("POST", f"/certificates/{made}/revocation", json={"reason": "superseded"})
    assert (other.status_code, problem_code(other)) == (409, "conflict")
    assert "key_compromise" in other.json()["detail"]
    (line,) = api.items("/certificates", q="state:revoked")
    assert line["id"] == made


def test_a_revocation_is_one_line_of_the_audit_log(app: EnrollApp) -> None:
    api, made = master(app), installed(app)
    for _ in range(2):
        api("POST", f"/certificates/{made}/revocation", json=COMPROMISED)
    lines = audited(app, made)
    assert [line.action for line in lines] == ["certificate.issue", "certificate.install", "certificate.revoke"]
    assert lines[-1].details == COMPROMISED


def test_an_issuance_is_in_the_audit_log_of_its_organization(app: EnrollApp) -> None:
    made = installed(app)
    shown = master(app)("GET", f"/certificates/{made}").json()
    line = audited(app, made)[0]
    assert (line.action, line.actor_kind, line.organization_id) == (
        "certificate.issue",
        "system",
        shown["organization_id"],
    )
    told = line.details
    assert (told["asked for by"], told["account"], told["serial"]) == (ADA, "Staff", shown["serial"])
    assert line.trace_id == app.order(told["request"]).trace_id


def test_no_certificate_without_its_line_in_the_audit_log(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    agent.report(agent.csr_report(job))
    rename(app, "audit_entries", "taken_away")
    app.work()
    assert app.certificates() == []
    rename(app, "taken_away", "audit_entries")
    app.clock.shift += 2 * LEASE
    app.work()
    assert len(app.certificates()) == 1 and app.order(order_id).state is OrderState.ISSUED


def rename(app: EnrollApp, table: str, name: str) -> None:
    """Calls a table otherwise."""
    with app.enroll.database.write() as session:
        session.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_a_request_that_fails_is_in_the_audit_log(app: EnrollApp) -> None:
    _, order_id, agent, job = started(app)
    agent.report(Report(job_id=job.job_id, body=Failed(code="tpm_full", detail="No slot.")))
    line = audited(app, order_id)[-1]
    assert (line.action, line.actor_kind) == ("request.fail", "system")
    assert line.details["reason"] == app.order(order_id).failure_reason.partition("\n")[0]


def audited(app: EnrollApp, target_id: str) -> list[Any]:
    """The lines of the audit log about a thing, oldest first."""
    table = a.audit_entries
    with app.enroll.database.read() as session:
        return list(session.execute(select(table).where(table.c.target_id == target_id).order_by(table.c.id)).all())


@pytest.mark.parametrize(
    "body", [{}, {"reason": "remove_from_crl"}, {"reason": "superseded", "revoked_at": "2020-01-01T00:00:00Z"}]
)
def test_only_a_reason_and_a_note_revoke(app: EnrollApp, body: dict[str, str]) -> None:
    api, made = master(app), installed(app)
    assert api("POST", f"/certificates/{made}/revocation", json=body).status_code == 422
    assert api("GET", f"/certificates/{made}").json()["state"] == "valid"


def test_a_registered_device_removes_what_was_revoked(app: EnrollApp) -> None:
    device = register(app, app.client())
    agent, browser = signed_in(app, device, app.client()), app.browser()
    order_id = browser.order(target=device.id)
    agent.report(agent.csr_report(agent.jobs()[0]))
    app.work()
    agent.report(agent.installed_report(agent.jobs()[0]))
    api = master(app)
    (made,) = api.items("/certificates")
    api("POST", f"/certificates/{made['id']}/revocation", json=COMPROMISED)
    [job] = agent.jobs()
    assert (job.payload.kind, job.order_id) == ("remove", order_id)
    assert app.order(order_id).state is OrderState.INSTALLED


def test_an_agent_that_came_by_link_and_is_done_gets_no_further_job(app: EnrollApp) -> None:
    made = installed(app)
    master(app)("POST", f"/certificates/{made}/revocation", json=COMPROMISED)
    with app.enroll.database.read() as session:
        kinds = session.execute(t.jobs.select()).all()
    assert {job.kind for job in kinds} == {"make_key_and_csr", "install"}


def test_a_certificate_that_is_revoked_before_it_is_installed_ends_its_request(app: EnrollApp) -> None:
    browser, order_id, agent, _ = issued(app)
    (made,) = master(app).items("/certificates")
    assert master(app)("POST", f"/certificates/{made['id']}/revocation", json=COMPROMISED).status_code == 200
    assert app.order(order_id).state is OrderState.CANCELLED
    assert [job.payload.kind for job in agent.jobs()] == ["remove"]
    assert "The certificate was revoked" in browser.get(f"/orders/{order_id}").text
    assert master(app)("GET", f"/certificates/{made['id']}").json()["revocation"]["reason"] == "key_compromise"


def test_what_is_outside_of_the_scope_does_not_exist(app: EnrollApp) -> None:
    made = installed(app)
    for grant in strangers(app):
        api = officer(app, grant)
        assert api.items("/certificates") == []
        assert api("GET", f"/certificates/{made}").status_code == 404
        assert api("GET", f"/certificates/{made}/file").status_code == 404
        assert api("POST", f"/certificates/{made}/revocation", json=COMPROMISED).status_code == 404
        assert len(api("GET", "/certificates/export.csv").text.splitlines()) == 1
    assert master(app)("GET", f"/certificates/{made}").json()["state"] == "valid"


def test_the_export_has_every_row_that_fits_and_no_formulas(app: EnrollApp) -> None:
    api, made = master(app), installed(app)
    installed(app, BOB)
    with app.enroll.database.write() as session:
        session.execute(update(t.certificates).where(t.certificates.c.id == made).values(subject="=1+1"))
    answer = api("GET", "/certificates/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["owner"] for row in rows} == {ADA, BOB}
    assert next(row["subject"] for row in rows if row["id"] == made) == "'=1+1"
    only = api("GET", "/certificates/export.csv", params={"q": "email:bob"}).text.splitlines()
    assert len(only) == 2 and BOB in only[1]
    assert api("GET", "/certificates/export.csv", params={"q": "colour:red"}).status_code == 422


def test_the_export_goes_on_after_a_page(app: EnrollApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        installed(app)
    monkeypatch.setattr("keystead_enroll.usecases.admin.export_certificates.AT_ONCE", 2)
    rows = master(app)("GET", "/certificates/export.csv").text.splitlines()
    assert len(rows) == len(set(rows)) == 4


def test_an_order_that_the_document_does_not_name_is_refused_an_empty_one_too(app: EnrollApp) -> None:
    for order in ("", "colour", "-"):
        assert master(app)("GET", "/certificates", params={"sort": order}).status_code == 422
