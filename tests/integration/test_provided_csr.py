"""Accounts that take a certificate signing request which the person brings along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.administrators import master
from tests.support.enroll_app import ADA, BOB, Browser, EnrollApp, enroll_app

from keystead_enroll.domain.orders import OrderState

OWN: dict[str, Any] = {
    "forms": [
        {
            "name": f"Own {kind}{waits}",
            "type": kind,
            "accounts": [
                {
                    "name": f"Own {kind}{waits}",
                    "organization": "Example Hospital",
                    "profiles": profiles,
                    "csr_method": "provided_csr",
                    "automatic_approval": not waits,
                }
            ],
        }
        for kind, profiles, waits in (
            ("client", ["Person", "Person in TPM"], ""),
            ("ssl", ["Server"], ""),
            ("ssl", ["Server"], " approved"),
        )
    ]
}


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(database_url, redis_url) as app:
        app.uris |= app.apply(OWN)
        yield app


def csr(key: Any = None, subject: str = "CN=anything", names: list[str] | None = None) -> str:
    """A request as OpenSSL would make it."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name.from_rfc4514_string(subject))
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def ask(browser: Browser, text: str, profile: str = "Server", **fields: str) -> Any:
    """Sends the request page with a pasted request."""
    return browser.request(profile, csr=text, **({"dns_names": "www.example.org"} | fields))


def text_of(page: str) -> str:
    """What a reader sees of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))


def test_the_certificate_has_the_request_s_key_and_the_order_s_names(app: EnrollApp) -> None:
    key, browser = ec.generate_private_key(ec.SECP256R1()), app.browser("Own ssl")
    page = browser.get("/request").text
    assert 'name="csr"' in page and 'name="csr_file"' in page and 'name="target"' not in page
    answer = ask(browser, csr(key, "CN=admin,O=Elsewhere"))
    order_id = answer.headers["location"].rsplit("/", 1)[1]
    assert app.order(order_id).state is OrderState.CSR_ACCEPTED
    assert app.work() == 1
    assert app.order(order_id).state is OrderState.ISSUED
    (row,) = app.certificates()
    made = x509.load_der_x509_certificate(row.der)
    assert made.public_key() == key.public_key()
    assert made.subject.rfc4514_string() == "CN=www.example.org"
    assert (row.assurance, row.key_algorithm, row.machine) == ("software", "ec-p256", "")


def test_a_request_may_come_as_a_file(app: EnrollApp) -> None:
    browser = app.browser("Own ssl")
    browser.get("/request")
    data = {
        "form_token": browser.form_token, "profile": app.profile("Server"), "term_days": "90", "licence": "on",
        "licence_version": "2026-11", "dns_names": "www.example.org", "csr": "",
    }  # fmt: skip
    files = {"csr_file": ("request.pem", csr().encode(), "application/octet-stream")}
    answer = browser.client.post(
        f"/e/{browser.uri}/request", data=data, files=files, headers={"origin": app.origin, "accept": "text/html"}
    )
    assert answer.status_code == 303 and "/orders/" in answer.headers["location"], answer.text


def test_the_page_shows_the_certificate_once_it_is_issued_and_a_letter_says_so(app: EnrollApp) -> None:
    browser = app.browser("Own ssl")
    order_id = ask(browser, csr()).headers["location"].rsplit("/", 1)[1]
    waiting = browser.get(f"/orders/{order_id}").text
    assert re.findall(r'data-key="(\w+)" data-state="(\w+)"', waiting) == [("request", "done"), ("issued", "active")]
    app.work()
    page = browser.get(f"/orders/{order_id}").text
    assert "Your certificate is ready</h1>" in page
    assert re.findall(r'data-key="(\w+)" data-state="(\w+)"', page) == [("request", "done"), ("issued", "done")]
    assert "/certificate.pem" in page and "data-events" not in page
    (letter,) = app.facts("certificate_issued")
    assert (letter["email"], letter["subject"]) == (ADA, "www.example.org")
    assert app.facts("certificate_installed") == []
    listed = browser.get("/certificates").text
    assert "Under way" not in listed and "Earlier requests" not in listed


def test_an_issued_request_is_over_and_makes_room_for_another(database_url: str, redis_url: str) -> None:
    with enroll_app(database_url, redis_url, open_orders_limit=1) as app:
        app.uris |= app.apply(OWN)
        browser = app.browser("Own ssl")
        order_id = ask(browser, csr()).headers["location"].rsplit("/", 1)[1]
        assert ask(browser, csr()).status_code == 409
        app.work()
        assert "/orders/" in ask(browser, csr()).headers["location"]
        assert browser.post(f"/orders/{order_id}/cancel").status_code == 409
        assert master(app)("POST", f"/requests/{order_id}/cancellation", json={}).status_code == 409


def test_a_provided_request_may_wait_for_approval(app: EnrollApp) -> None:
    browser = app.browser("Own ssl approved")
    order_id = ask(browser, csr()).headers["location"].rsplit("/", 1)[1]
    assert app.work() == 0
    page = browser.get(f"/orders/{order_id}").text
    assert [key for key, _ in re.findall(r'data-key="(\w+)" data-state="(\w+)"', page)] == [
        "request", "approval", "issued",
    ]  # fmt: skip
    approved = master(app)("POST", f"/requests/{order_id}/approval", json={})
    assert approved.json()["state"] == "csr_accepted"
    assert app.work() == 1


def _too_weak() -> str:
    return csr(rsa.generate_private_key(65537, 1024))  # noqa: S505 which is the point


def _not_its_own_key() -> str:
    good = csr()
    body = good.splitlines()
    at = len(body) - 2
    body[at] = body[at][:4] + ("AAAA" if body[at][4:8] != "AAAA" else "BBBB") + body[at][8:]
    return "\n".join(body)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (lambda: "", "Paste a certificate signing request"),
        (lambda: "hello", "not exactly one PEM block"),
        (lambda: csr() + csr(), "not exactly one PEM block"),
        (lambda: csr() + " " * 17000, "more than 16384 characters"),
        (_too_weak, "RSA with 1024 bits"),
        (lambda: csr(ec.generate_private_key(ec.SECP384R1())), "This certificate takes: ec-p256."),
        (lambda: csr(names=["www.example.org", "admin.example.org"]), "admin.example.org"),
    ],
    ids=["empty", "no PEM", "two", "too long", "weak", "other algorithm", "other names"],
)
def test_what_is_wrong_with_a_request_is_said_beside_it(app: EnrollApp, text: Any, told: str) -> None:
    browser = app.browser("Own ssl")
    page = browser.mistakes(ask(browser, text()))
    assert told in text_of(page)
    assert 'id="f-csr-error"' in page
    assert app.work() == 0


def test_every_mistake_of_a_request_is_told_at_once(app: EnrollApp) -> None:
    browser = app.browser("Own ssl")
    text = csr(ec.generate_private_key(ec.SECP384R1()), names=["evil.example.com"])
    page = text_of(browser.mistakes(ask(browser, text)))
    assert "This certificate takes: ec-p256." in page and "evil.example.com" in page


def test_a_request_that_another_key_signed_is_refused(app: EnrollApp) -> None:
    browser = app.browser("Own ssl")
    page = text_of(browser.mistakes(ask(browser, _not_its_own_key())))
    assert "not signed by the key" in page or "does not contain a PKCS#10 request" in page


def test_a_private_key_is_neither_taken_nor_shown_again(app: EnrollApp) -> None:
    key, browser = ec.generate_private_key(ec.SECP256R1()), app.browser("Own ssl")
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    page = browser.mistakes(ask(browser, secret + csr(key)))
    assert "That holds a private key" in text_of(page)
    assert secret.splitlines()[1] not in page


def test_a_profile_that_demands_a_tpm_takes_no_request_of_one_s_own(app: EnrollApp) -> None:
    browser = app.browser("Own client")
    page = text_of(browser.mistakes(ask(browser, csr(), "Person in TPM", dns_names="")))
    assert "demands proof that the key is in a TPM" in page
    assert "/orders/" in ask(browser, csr(), "Person", dns_names="").headers["location"]


def test_one_key_gets_one_certificate(app: EnrollApp) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    assert "/orders/" in ask(app.browser("Own ssl"), csr(key)).headers["location"]
    other = app.browser("Own ssl", BOB)
    assert "belongs to a certificate or request already" in text_of(other.mistakes(ask(other, csr(key))))


def test_an_account_whose_agent_makes_keys_takes_no_request(app: EnrollApp) -> None:
    browser = app.browser()
    order = app.order(browser.order(csr=csr()))
    assert (order.state, order.csr_pem) == (OrderState.OFFERED, None)
