"""Whatever is sent to the OCSP responder: it answers in its own words, and never with a fault of ours."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from tests.integration.api.test_certificates import installed
from tests.integration.test_ocsp import asked, question
from tests.integration.test_revocation_lists import certificate_of
from tests.support.enroll_app import EnrollApp, enroll_app

from keystead_enroll.domain.ocsp import MOST_REQUEST_OCTETS, issuer_hashes
from keystead_enroll.domain.tbs import INTEGER, OCTET_STRING, SEQUENCE, encode, encode_oid
from keystead_enroll.web.ocsp import Together

Refused = ocsp.OCSPResponseStatus
NONCE, MADE_UP = encode_oid("1.3.6.1.5.5.7.48.1.2"), encode_oid("1.3.6.1.4.1.32473.1")
CRITICAL, EXTENSIONS, VERSION = bytes.fromhex("0101ff"), 0xA2, 0xA0
SHA1, MD5 = (encode(SEQUENCE, encode_oid(oid) + b"\5\0") for oid in ("1.3.14.3.2.26", "1.2.840.113549.2.5"))


@pytest.fixture
def app(sqlite_url: str, redis_url: str) -> Iterator[EnrollApp]:
    with enroll_app(sqlite_url, redis_url) as app:
        app.publish()
        yield app


def status(response: httpx.Response) -> Refused:
    assert response.status_code == 200, response.status_code
    assert response.headers["content-type"] == "application/ocsp-response"
    return ocsp.load_der_ocsp_response(response.content).response_status


def single(app: EnrollApp, serial: bytes = b"\1", algorithm: bytes = SHA1, octets: int = 20) -> bytes:
    """A Request (RFC 6960 section 4.1.1) about a certificate of the CA."""
    issuer = issuer_hashes(app.ca.issuer_certificate)[0]
    hashed = encode(OCTET_STRING, issuer.name[:octets]) + encode(OCTET_STRING, issuer.key[:octets])
    return encode(SEQUENCE, encode(SEQUENCE, algorithm + hashed + encode(INTEGER, serial)))


def whole(*requests: bytes, extensions: bytes = b"", version: bytes = b"") -> bytes:
    """An OCSPRequest."""
    told = encode(EXTENSIONS, encode(SEQUENCE, extensions)) if extensions else b""
    return encode(SEQUENCE, encode(SEQUENCE, version + encode(SEQUENCE, b"".join(requests)) + told))


def extension(oid: bytes, content: bytes, critical: bytes = b"") -> bytes:
    return encode(SEQUENCE, oid + critical + encode(OCTET_STRING, content))


def nonce(octets: int) -> bytes:
    return extension(NONCE, encode(OCTET_STRING, b"n" * octets))


def test_what_is_no_request_is_malformed(app: EnrollApp) -> None:
    one = single(app)
    good = whole(one)
    wrong = {
        "nothing": b"",
        "text": b"hello",
        "cut off": good[:-1],
        "more after it": good + b"\0",
        "about nobody": whole(),
        "about two": whole(one, one),
        "about a thousand": whole(*[single(app)] * 40),
        "no length": b"\x30\x80" + good[2:] + b"\0\0",
        "a length of 4 GiB": b"\x30\x84\xff\xff\xff\xff" + good[2:],
        "a certificate": app.ca.issuer_certificate.public_bytes(Encoding.DER),
        "a negative serial number": whole(single(app, b"\xff")),
        "a serial number of 21 octets": whole(single(app, b"\x01" * 21)),
        "an unknown critical extension": whole(one, extensions=extension(MADE_UP, b"\5\0", CRITICAL)),
        "an extension twice": whole(one, extensions=nonce(16) + nonce(16)),
        "a nonce of no octet": whole(one, extensions=nonce(0)),
        "a nonce of 129 octets": whole(one, extensions=nonce(129)),
        "nested a thousand times": nested(1000),
    }
    client = app.client()
    told = {what: status(client.post("/ocsp", content=raw)) for what, raw in wrong.items()}
    assert told == dict.fromkeys(wrong, Refused.MALFORMED_REQUEST)
    old_nonce = whole(one, extensions=extension(NONCE, b"without a tag, as in RFC 2560"))
    for raw in (good, old_nonce, whole(one, extensions=extension(MADE_UP, b"\5\0"))):
        assert status(client.post("/ocsp", content=raw)) is Refused.SUCCESSFUL


def nested(times: int) -> bytes:
    inner = b""
    for _ in range(times):
        inner = encode(SEQUENCE, inner)
    return inner


def test_what_is_too_large_is_not_read(app: EnrollApp) -> None:
    client = app.client()
    assert status(client.post("/ocsp", content=b"0" * MOST_REQUEST_OCTETS)) is Refused.MALFORMED_REQUEST
    for content in (b"0" * (MOST_REQUEST_OCTETS + 1), b"0" * 10_000_000, iter([b"0" * 3000] * 3)):
        assert client.post("/ocsp", content=content).status_code == 413


def test_another_ca_s_certificates_are_none_of_our_business(app: EnrollApp) -> None:
    right, issuer = whole(single(app)), issuer_hashes(app.ca.issuer_certificate)[0]
    strangers = (right.replace(issuer.name, b"x" * 20), right.replace(issuer.key, b"x" * 20))
    for raw in (*strangers, whole(single(app, algorithm=MD5, octets=16)), whole(single(app, octets=19))):
        assert status(app.client().post("/ocsp", content=raw)) is Refused.UNAUTHORIZED


def test_an_address_may_write_base64_in_every_usual_way(app: EnrollApp) -> None:
    client, certificate = app.client(), certificate_of(app, installed(app))
    raw = next(
        each
        for each in (question(app, certificate, nonce=bytes([turn]) * 32) for turn in range(256))
        if {"+", "/"} <= set(base64.b64encode(each).decode())
    )
    text = base64.b64encode(raw).decode()
    spellings = (
        quote(text, safe=""), quote(text, safe="/+="), text, text.rstrip("="), base64.urlsafe_b64encode(raw).decode(),
        text.replace("+", "%20"),
    )  # fmt: skip
    answers = {spelling: status(client.get(f"/ocsp/{spelling}")) for spelling in spellings}
    assert set(answers.values()) == {Refused.SUCCESSFUL}, answers


def test_an_address_that_holds_no_request_is_malformed(app: EnrollApp) -> None:
    client = app.client()
    for text in ("", "%00", "%GG", "!", "a", "MA", "é", "%FF", "%2E%2E", "MEE%3D%3D%3D%3D", "A" * 9000):
        assert status(client.get(f"/ocsp/{text}")) is Refused.MALFORMED_REQUEST, text


def test_other_methods_are_told_which_there_are(app: EnrollApp) -> None:
    client = app.client()
    for method, path, allowed in (
        ("GET", "/ocsp", "POST"), ("DELETE", "/ocsp", "POST"), ("PUT", "/ocsp/MA", "GET, HEAD"),
        ("POST", "/ocsp/MA", "GET, HEAD"),
    ):  # fmt: skip
        response = client.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)


def test_a_request_with_changed_octets_is_answered_whatever_they_are(app: EnrollApp) -> None:
    good, chance, client = whole(single(app), extensions=nonce(32)), random.Random(6960), app.client()
    for _ in range(300):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        status(client.post("/ocsp", content=bytes(raw)))


def test_what_others_may_see_has_no_nonce_of_somebody(app: EnrollApp) -> None:
    certificate = certificate_of(app, installed(app))
    asked(app, question(app, certificate, nonce=b"n" * 32))
    answer = asked(app, question(app, certificate))
    with pytest.raises(x509.ExtensionNotFound):
        answer.extensions.get_extension_for_class(x509.OCSPNonce)


def test_who_comes_when_too_many_wait_is_to_try_later(app: EnrollApp) -> None:
    async def crowd() -> list[Refused]:
        together = Together(app.enroll.ocsp_answers().answer, most=5)
        raw = whole(single(app))
        answers = await asyncio.gather(*(together.ask(raw) for _ in range(8)))
        return [ocsp.load_der_ocsp_response(each.der).response_status for each in answers]

    assert asyncio.run(crowd()) == [Refused.SUCCESSFUL] * 5 + [Refused.TRY_LATER] * 3
