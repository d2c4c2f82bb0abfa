"""A certificate signing request in, a certificate out, through the API."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from tests.support.administrators import Api, administrator, api_token
from tests.support.enroll_app import EnrollApp, http, problem_code, served

from keystead_contracts.base import CertificateType
from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import tables as t
from keystead_enroll.domain.administration import ALL_TYPES, Administrator, Grant, Role
from keystead_enroll.domain.orders import Channel, OrderState


def csr(key: ec.EllipticCurvePrivateKey | None = None, *names: str, subject: str = "ignored") -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def organization(app: EnrollApp) -> str:
    with app.enroll.transactions.read() as tx:
        return tx.organizations()[0].id


def wanted(app: EnrollApp, profile: str = "Machine", **changes: Any) -> dict[str, Any]:
    body = {"organization_id": organization(app), "profile_id": app.profile(profile), "csr": csr()}
    asked: dict[str, dict[str, Any]] = {
        "Machine": {"device_name": "pump-1.example.org"}, "Server": {"dns_names": ["www.example.org"]},
        "Person": {"owner": "ada@example.org", "owner_name": "Ada Lovelace"},
        "Person in TPM": {"owner": "ada@example.org"},
    }  # fmt: skip
    return body | asked[profile] | changes


@contextmanager
def working(app: EnrollApp) -> Iterator[None]:
    """A worker that looks for work again and again."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            app.work()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[EnrollApp]:
    """An enroll behind a real HTTP server, so that requests meet each other and wake-ups reach them."""
    with served(database_url, redis_url) as running:
        yield running


@pytest.fixture
def api(app: EnrollApp) -> Iterator[Api]:
    """A master's program."""
    with program(app, administrator(app)) as master:
        yield master


@contextmanager
def program(app: EnrollApp, owner: Administrator) -> Iterator[Api]:
    """A program with a token of this administrator's."""
    with http(app) as client:
        yield Api(app, api_token(app, owner), client)


def ask(api: Api, body: dict[str, Any], **headers: str) -> httpx.Response:
    return api("POST", "/certificates", json=body, headers=headers)


def rows(app: EnrollApp, table: Any) -> list[Any]:
    with app.enroll.database.read() as session:
        return list(session.execute(select(table)))


@pytest.mark.parametrize("profile", ["Machine", "Server", "Person"])
def test_a_request_becomes_a_certificate_of_every_type(app: EnrollApp, api: Api, profile: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with working(app):
        answer = ask(api, wanted(app, profile, csr=csr(key)))
    assert answer.status_code == 201, answer.text
    told = answer.json()
    certificate = x509.load_pem_x509_certificate(told["certificate"].encode())
    assert certificate.public_key() == key.public_key()
    issuing = x509.load_pem_x509_certificate(told["chain"][0].encode())
    certificate.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(x509.load_pem_x509_certificate(told["root"].encode()))
    assert "ignored" not in certificate.subject.rfc4514_string()
    [row] = app.certificates()
    assert (row.id, row.serial, row.assurance) == (told["id"], told["serial"], "software")
    assert api("GET", answer.headers["location"].removeprefix("/api/v1")).json()["serial"] == told["serial"]


def test_the_order_is_one_like_any_other(app: EnrollApp, api: Api) -> None:
    with working(app):
        told = ask(api, wanted(app)).json()
    order = app.order(told["request_id"])
    assert (order.channel, order.state, order.form_id) == (Channel.API, OrderState.ISSUED, None)
    assert [line.target.value for line in order.log] == ["submitted", "csr_accepted", "signing", "issued"]
    audit = [(row.action, row.actor_kind.value) for row in rows(app, a.audit_entries) if row.target_id == order.id]
    assert audit == [("request.submit", "token")]
    assert "(test)" in order.requested_by
    assert app.facts("certificate_issued") == []
    shown = api("GET", f"/requests/{order.id}").json()
    assert (shown["channel"], shown["certificate_id"]) == ("api", told["id"])


def test_many_at_once_have_one_certificate_each(app: EnrollApp, api: Api) -> None:
    bodies = [wanted(app, device_name=f"pump-{n}.example.org") for n in range(24)]
    with working(app), ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: ask(api, body), bodies))
    assert {answer.status_code for answer in answers} == {201}
    names = [
        x509.load_pem_x509_certificate(answer.json()["certificate"].encode()).subject.rfc4514_string()
        for answer in answers
    ]
    assert all(f"CN=pump-{n}.example.org" in name for n, name in enumerate(names))
    assert len({answer.json()["serial"] for answer in answers}) == len(app.certificates()) == 24


def test_who_does_not_get_it_in_time_is_told_where_to_look(database_url: str, redis_url: str) -> None:
    with (
        served(database_url, redis_url, issue_patience_seconds=0.05) as app,
        program(app, administrator(app)) as api,
    ):
        answer = ask(api, wanted(app))
        assert (answer.status_code, answer.json()["state"]) == (202, "csr_accepted")
        app.work()
        request = api("GET", answer.headers["location"].removeprefix("/api/v1")).json()
        assert (request["state"], request["id"]) == ("issued", answer.json()["request_id"])


def test_an_idempotency_key_makes_one_certificate(app: EnrollApp, api: Api) -> None:
    body = wanted(app)
    with working(app):
        first, again = (ask(api, body, **{"idempotency-key": "k1"}) for _ in range(2))
        other = ask(api, wanted(app), **{"idempotency-key": "k1"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert (other.status_code, problem_code(other)) == (409, "conflict")
    assert len(app.certificates()) == 1


def test_a_key_is_certified_once(app: EnrollApp, api: Api) -> None:
    body = wanted(app)
    with working(app):
        assert ask(api, body).status_code == 201
        for headers in ({}, {"idempotency-key": "k2"}):
            again = ask(api, body, **headers)
            assert (again.status_code, list(again.json()["fields"])) == (422, ["csr"])
    assert len(app.certificates()) == 1
    assert rows(app, a.idempotency_keys) == [], "a key that made nothing stands for nothing"


def test_the_same_key_twice_at_one_moment_is_one_order(app: EnrollApp, api: Api) -> None:
    body = wanted(app)
    with working(app), ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: ask(api, body).status_code, range(6)))
    assert sorted(answers) == [201, 422, 422, 422, 422, 422]
    assert len(app.certificates()) == len(rows(app, t.orders)) == 1


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no CSR": ({"csr": "none"}, "csr"),
    "another's name in the CSR": ({"csr": csr(None, "evil.example.com")}, "csr"),
    "a foreign domain": ({"device_name": "pump.example.com"}, "device_name"),
    "no name": ({"device_name": ""}, "device_name"),
    "a term that the profile has not": ({"term_days": 366}, "term_days"),
    "an owner of elsewhere": ({"owner": "eve@example.com"}, "owner"),
    "a field that there is not": ({"approved": True}, "approved"),
}


def test_what_is_wrong_is_named(app: EnrollApp, api: Api) -> None:
    for mistake, (changes, blamed) in MISTAKES.items():
        answer = ask(api, wanted(app) | changes)
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [blamed]), (mistake, answer.text)
    assert rows(app, t.orders) == []


def test_a_request_without_its_key_is_refused(app: EnrollApp, api: Api) -> None:
    good, other = (x509.load_pem_x509_csr(csr().encode()).public_bytes(Encoding.DER) for _ in range(2))
    stolen = good[:-20] + other[-20:]
    text = base64.encodebytes(stolen).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"
    assert ask(api, wanted(app, csr=pem)).status_code == 422


def test_a_profile_that_demands_a_tpm_takes_none(app: EnrollApp, api: Api) -> None:
    answer = ask(api, wanted(app, "Person in TPM"))
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["csr"])
    assert "TPM" in answer.json()["fields"]["csr"]


def test_a_token_asks_within_its_role_alone(app: EnrollApp) -> None:
    place = organization(app)
    with app.enroll.transactions.read() as tx:
        department = tx.departments()[0].id
    with program(app, administrator(app, Grant(Role.RAO, place, None, frozenset({CertificateType.SSL})))) as servers:
        assert problem_code(ask(servers, wanted(app))) == "not-found"
    with program(app, administrator(app, Grant(Role.DRAO, place, department))) as radiology, working(app):
        assert problem_code(ask(radiology, wanted(app))) == "forbidden"
        assert ask(radiology, wanted(app, department_id=department)).status_code == 201
    with program(app, administrator(app, Grant(Role.RAO, "0" * 32, None, ALL_TYPES))) as stranger:
        assert problem_code(ask(stranger, wanted(app))) == "not-found"


def test_bad_tokens_are_refused_and_counted(database_url: str, redis_url: str) -> None:
    with served(database_url, redis_url, token_limit_address="2/minute") as app, http(app) as client:
        stranger = Api(app, "ksa_wrong", client)
        answers = [ask(stranger, wanted(app)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert rows(app, t.orders) == []


def test_one_s_mistake_is_nobody_else_s(app: EnrollApp, api: Api) -> None:
    bodies = [wanted(app, csr="none" if n % 3 == 0 else csr()) for n in range(12)]
    with working(app), ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: ask(api, body).status_code, bodies))
    assert answers == [422 if n % 3 == 0 else 201 for n in range(12)]
