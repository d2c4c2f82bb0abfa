"""What relying parties are answered by OCSP, and who answers."""

from __future__ import annotations

import base64
import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from sqlalchemy import select
from tests.integration.api.test_certificates import installed, rename
from tests.integration.test_revocation_lists import certificate_of, revoke
from tests.support.enroll_app import EnrollApp, served
from tests.support.status import access, openssl, refused_answer

from keystead_enroll.adapters import status_tables as s
from keystead_enroll.adapters.sealed_keys import SealedKeys
from keystead_enroll.domain.errors import SealBroken
from keystead_enroll.usecases.renew_responder import LIFE, renew_responder

Status = ocsp.OCSPCertStatus
SHA1 = hashes.SHA1()  # noqa: S303 nearly everybody's requests have it
ACCEPTED = 200
OCSP_HOURS = timedelta(hours=4)


@pytest.fixture
def answering(app: EnrollApp) -> EnrollApp:
    app.publish()
    return app


@pytest.fixture
def lightly(lite: EnrollApp) -> EnrollApp:
    lite.publish()
    return lite


def question(
    app: EnrollApp,
    certificate: x509.Certificate,
    algorithm: hashes.HashAlgorithm | None = None,
    nonce: bytes | None = None,
) -> bytes:
    """A request, with SHA-1 as nearly everybody's has."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, app.ca.issuer_certificate, algorithm or SHA1)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def asked(app: EnrollApp, raw: bytes) -> ocsp.OCSPResponse:
    """What a POST of this request is answered."""
    response = app.client().post("/ocsp", content=raw, headers={"content-type": "application/ocsp-request"})
    assert response.status_code == ACCEPTED
    assert response.headers["content-type"] == "application/ocsp-response"
    assert response.headers["cache-control"] == "no-store" and "set-cookie" not in response.headers
    return ocsp.load_der_ocsp_response(response.content)


def got(app: EnrollApp, raw: bytes) -> httpx.Response:
    """What a GET of this request is answered."""
    return app.client().get("/ocsp/" + quote(base64.b64encode(raw), safe=""))


def test_an_answer_says_what_the_database_says_at_that_moment(answering: EnrollApp) -> None:
    made = installed(answering)
    certificate = certificate_of(answering, made)
    good = asked(answering, question(answering, certificate))
    assert (good.certificate_status, good.serial_number) == (Status.GOOD, certificate.serial_number)
    assert good.next_update_utc == good.this_update_utc + OCSP_HOURS
    revoke(answering, made, "key_compromise")
    bad = asked(answering, question(answering, certificate))
    assert (bad.certificate_status, bad.revocation_reason) == (Status.REVOKED, x509.ReasonFlags.key_compromise)


def test_what_was_never_issued_is_unknown_not_good(lightly: EnrollApp) -> None:
    certificate = certificate_of(lightly, installed(lightly))
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        *hashed(lightly, certificate), certificate.serial_number + 1, SHA1
    )
    answer = asked(lightly, builder.build().public_bytes(Encoding.DER))
    assert answer.certificate_status is Status.UNKNOWN


def hashed(app: EnrollApp, certificate: x509.Certificate) -> tuple[bytes, bytes]:
    request = ocsp.load_der_ocsp_request(question(app, certificate))
    return request.issuer_name_hash, request.issuer_key_hash


@pytest.mark.parametrize("algorithm", [SHA1, hashes.SHA256(), hashes.SHA384(), hashes.SHA512()],
                         ids=lambda each: each.name)  # fmt: skip
def test_the_issuer_may_be_named_by_any_usual_hash(lightly: EnrollApp, algorithm: hashes.HashAlgorithm) -> None:
    answer = asked(lightly, question(lightly, certificate_of(lightly, installed(lightly)), algorithm))
    assert answer.certificate_status is Status.GOOD
    assert answer.hash_algorithm.name == algorithm.name


@pytest.mark.parametrize("octets", [1, 16, 32, 128])
def test_a_nonce_comes_back(lightly: EnrollApp, octets: int) -> None:
    nonce, certificate = os.urandom(octets), certificate_of(lightly, installed(lightly))
    raw = question(lightly, certificate, nonce=nonce)
    answer = asked(lightly, raw)
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert got(lightly, raw).headers["cache-control"] == "no-store"


def test_openssl_and_pkilint_agree(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    with served(sqlite_url, redis_url) as app:
        app.publish()
        with httpx.Client(base_url=app.origin) as client:
            made = installed(app)
            certificate = certificate_of(app, made)
            url = access(certificate, AuthorityInformationAccessOID.OCSP)
            (tmp_path / "trusted.pem").write_text(app.ca.root)
            (tmp_path / "issuing.pem").write_text(app.ca.chain[0])
            (tmp_path / "one.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
            command = (
                "ocsp", "-issuer", tmp_path / "issuing.pem", "-cert", tmp_path / "one.pem", "-url", url,
                "-CAfile", tmp_path / "trusted.pem", "-verify_other", tmp_path / "issuing.pem",
            )  # fmt: skip
            said = openssl(*command)
            assert "Response verify OK" in said and "one.pem: good" in said and "nonce" not in said.lower()
            revoke(app, made)
            said = openssl(*command, "-no_nonce")
            assert "Response verify OK" in said and "one.pem: revoked" in said and "Reason: superseded" in said
            for nonce in (None, os.urandom(32)):
                content = client.post("/ocsp", content=question(app, certificate, nonce=nonce)).content
                assert refused_answer(content) == []


def test_the_responder_has_a_certificate_of_its_own(lightly: EnrollApp) -> None:
    answer = asked(lightly, question(lightly, certificate_of(lightly, installed(lightly))))
    [responder] = answer.certificates
    responder.verify_directly_issued_by(lightly.ca.issuer_certificate)
    usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(responder.public_key()).digest


def test_answers_without_a_nonce_are_cached_as_rfc_5019_says(lightly: EnrollApp) -> None:
    raw = question(lightly, certificate_of(lightly, installed(lightly)))
    response = got(lightly, raw)
    answer = ocsp.load_der_ocsp_response(response.content)
    assert response.headers["cache-control"] == "max-age=300, public, no-transform, must-revalidate"
    assert response.headers["expires"] == f"{answer.next_update_utc:%a, %d %b %Y %H:%M:%S GMT}"
    assert response.headers["last-modified"] == f"{answer.this_update_utc:%a, %d %b %Y %H:%M:%S GMT}"
    assert got(lightly, raw).headers["etag"] == response.headers["etag"], "it is signed once"
    lightly.clock.shift += OCSP_HOURS / 2
    assert got(lightly, raw).content != response.content


def test_a_kept_answer_is_not_given_after_a_revocation(lightly: EnrollApp) -> None:
    made = installed(lightly)
    raw = question(lightly, certificate_of(lightly, made))
    assert ocsp.load_der_ocsp_response(got(lightly, raw).content).certificate_status is Status.GOOD
    revoke(lightly, made)
    assert ocsp.load_der_ocsp_response(got(lightly, raw).content).certificate_status is Status.REVOKED


def responders(app: EnrollApp) -> list[int]:
    with app.enroll.database.read() as session:
        return sorted(session.scalars(select(s.responders.c.number)))


def test_a_responder_is_certified_in_time_and_the_next_one_answers(answering: EnrollApp) -> None:
    raw = question(answering, certificate_of(answering, installed(answering)))
    [first] = asked(answering, raw).certificates
    answering.publish()
    assert responders(answering) == [1]
    answering.clock.shift += LIFE / 2
    answering.publish()
    [second] = asked(answering, raw).certificates
    assert second != first and responders(answering) == [1, 2]
    answering.clock.shift += LIFE
    answering.publish()
    assert responders(answering) == [2, 3], "those that are over go, but for the one before"


def test_a_responder_whose_certificate_ended_answers_nothing(lightly: EnrollApp) -> None:
    raw = question(lightly, certificate_of(lightly, installed(lightly)))
    lightly.clock.shift += LIFE - timedelta(hours=1)
    answer = asked(lightly, raw)
    [responder] = answer.certificates
    assert answer.next_update_utc == responder.not_valid_after_utc
    lightly.clock.shift += timedelta(hours=1)
    assert asked(lightly, raw).response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_a_key_that_was_sealed_under_another_secret_is_replaced(lightly: EnrollApp) -> None:
    other = SealedKeys(b"another secret that somebody chose")
    assert renew_responder(lightly.enroll.transactions, lightly.clock, lightly.ca, lightly.linter, other) == 1
    raw = question(lightly, certificate_of(lightly, installed(lightly)))
    assert asked(lightly, raw).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL, "the one before still answers"
    lightly.publish()
    assert responders(lightly) == [1, 2, 3]


@pytest.mark.parametrize("changed", [lambda sealed: sealed[:-1], lambda sealed: b"\0" + sealed[1:], lambda _: b""],
                         ids=["cut", "changed", "empty"])  # fmt: skip
def test_a_sealed_key_opens_as_it_was_and_for_what_it_was_sealed(changed: object) -> None:
    box = SealedKeys(b"a secret")
    sealed = box.seal(b"key", "ocsp x 1")
    assert box.open(sealed, "ocsp x 1") == b"key" and b"key" not in sealed
    for content, context in ((sealed, "ocsp x 2"), (changed(sealed), "ocsp x 1")):  # type: ignore[operator]
        with pytest.raises(SealBroken):
            box.open(content, context)


def test_no_answer_while_the_database_is_away_says_try_later(lightly: EnrollApp) -> None:
    raw = question(lightly, certificate_of(lightly, installed(lightly)))
    rename(lightly, "certificates", "taken_away")
    assert asked(lightly, raw).response_status is ocsp.OCSPResponseStatus.TRY_LATER
    rename(lightly, "taken_away", "certificates")
    assert asked(lightly, raw).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
