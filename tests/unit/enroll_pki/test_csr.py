import base64
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.enroll_pki.samples import ADA, WEB, close_primes_key, csr, csr_pem, key_of, pem_of, roca_key

from keystead_contracts.base import KeyAlgorithm
from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.csr import MAX_CSR_CHARACTERS, CheckedCsr, check_csr
from keystead_enroll.domain.errors import (
    CsrMalformed,
    CsrNamesDiffer,
    CsrSignatureInvalid,
    KeyAlgorithmNotAllowed,
    KeyTooWeak,
)
from keystead_enroll.domain.keys import spki_sha256
from keystead_enroll.domain.names import CertificateNames

P256 = KeyAlgorithm.EC_P256
KEY = key_of(P256)
GOOD = csr_pem(KEY, ADA.x509_name())
GOOD_DER = csr(KEY, ADA.x509_name()).public_bytes(Encoding.DER)


def _check(pem: str, expected: CertificateNames = ADA, allowed: KeyAlgorithm = P256) -> CheckedCsr:
    return check_csr(pem, expected, allowed)


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_a_request_by_the_agent_passes(algorithm: KeyAlgorithm) -> None:
    key = key_of(algorithm)
    subject = x509.Name.from_rfc4514_string(ADA.rfc4514())
    checked = _check(csr_pem(key, subject), allowed=algorithm)
    assert checked.key_algorithm == algorithm
    assert checked.spki_sha256 == spki_sha256(key.public_key())


def test_order_and_string_type_of_the_subject_do_not_matter() -> None:
    attributes = [
        x509.NameAttribute(attribute.oid, str(attribute.value), _ASN1Type.PrintableString)
        if attribute.oid == x509.NameOID.COMMON_NAME
        else attribute
        for attribute in ADA.x509_name()
    ]
    _check(csr_pem(KEY, x509.Name(reversed(attributes))))


def test_openssl_s_request_with_the_older_label_passes(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    pem = subprocess.run(
        ["openssl", "req", "-new", "-newhdr", "-key", key, "-subj", "/O=Example Ltd/CN=www.example.org"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "NEW CERTIFICATE REQUEST" in pem
    _check(pem, WEB)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        GOOD + GOOD,
        GOOD + "trailing",
        "leading\n" + GOOD,
        GOOD.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        GOOD.replace("-----BEGIN CERTIFICATE REQUEST-----\n", "-----BEGIN CERTIFICATE REQUEST-----\nProc-Type: 4\n\n"),
        GOOD.replace("END CERTIFICATE", "END NEW CERTIFICATE"),
        GOOD[: len(GOOD) // 2],
        GOOD.replace("\nM", "\n*", 1),
        pem_of(GOOD_DER + b"\x00"),
        pem_of(GOOD_DER[:-1]),
        pem_of(b"\x30\x80" + GOOD_DER[4:] + b"\x00\x00"),
        pem_of(b""),
        GOOD + " " * MAX_CSR_CHARACTERS,
        GOOD + "\x00",
    ],
    ids=["empty", "two blocks", "garbage after", "garbage before", "certificate label", "PEM headers", "labels differ",
         "half", "not base64", "octet after DER", "DER cut", "indefinite length", "no DER", "too large", "NUL after"],
)  # fmt: skip
def test_anything_but_one_request_in_one_block_is_malformed(pem: str) -> None:
    with pytest.raises(CsrMalformed):
        _check(pem)


def test_a_request_whose_key_was_exchanged_has_no_proof_of_possession() -> None:
    def point(key: ec.EllipticCurvePublicKey) -> bytes:
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    own = KEY.public_key()
    assert isinstance(own, ec.EllipticCurvePublicKey)
    victim = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(CsrSignatureInvalid):
        _check(pem_of(GOOD_DER.replace(point(own), point(victim))))


def test_a_request_whose_names_were_changed_after_signing_is_refused() -> None:
    forged = GOOD_DER.replace(b"Ada Lovelace", b"Bob Lovelace")
    bob = CertificateNames(subject=(*ADA.subject[:-1], ("CN", "Bob Lovelace")))
    with pytest.raises(CsrSignatureInvalid):
        _check(pem_of(forged), bob)


def test_a_request_signed_with_sha1_is_refused(tmp_path: Path) -> None:
    pem = subprocess.run(
        ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "k", "-sha1",
         "-subj", "/CN=x"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    with pytest.raises(CsrSignatureInvalid, match="algorithm"):
        _check(pem, CertificateNames(subject=(("CN", "x"),)), KeyAlgorithm.RSA_2048)


def test_another_key_algorithm_than_the_order_s_is_refused() -> None:
    pem = csr_pem(key_of(KeyAlgorithm.EC_P384), ADA.x509_name())
    with pytest.raises(KeyAlgorithmNotAllowed) as refused:
        _check(pem)
    assert refused.value.advice == "The order asks for ec-p256."


def test_key_algorithms_that_no_profile_may_allow_are_refused() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 meant to be refused
    with pytest.raises(KeyAlgorithmNotAllowed):
        _check(csr_pem(short, ADA.x509_name()), allowed=KeyAlgorithm.RSA_2048)
    edwards = x509.CertificateSigningRequestBuilder().subject_name(ADA.x509_name())
    pem = edwards.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM).decode()
    with pytest.raises(KeyAlgorithmNotAllowed):
        _check(pem)


@pytest.mark.parametrize("key", [roca_key(), close_primes_key(), rsa.generate_private_key(3, 2048)])
def test_weak_rsa_keys_are_refused_even_with_a_good_signature(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(KeyTooWeak):
        _check(csr_pem(key, ADA.x509_name()), allowed=KeyAlgorithm.RSA_2048)


def _subject(*pairs: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


_BASE = [(attribute.oid, str(attribute.value)) for attribute in ADA.x509_name()]
_CN = x509.NameOID.COMMON_NAME


@pytest.mark.parametrize(
    "subject",
    [
        _subject(),
        _subject(*_BASE[:-1]),
        _subject(*_BASE[:-1], (_CN, "Grace Hopper")),
        _subject(*_BASE[:-1], (_CN, "ada lovelace")),
        _subject(*_BASE, (_CN, "Ada Lovelace")),
        _subject(*_BASE, (x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "Administrators")),
        _subject(*_BASE[:-1], (x509.NameOID.SURNAME, "Ada Lovelace")),
    ],
    ids=["none", "no CN", "other CN", "other case", "CN twice", "OU added", "CN as SN"],
)
def test_a_subject_other_than_the_order_s_is_refused(subject: x509.Name) -> None:
    with pytest.raises(CsrNamesDiffer):
        _check(csr_pem(KEY, subject))


def test_the_refusal_names_the_attribute_and_not_its_value() -> None:
    with pytest.raises(CsrNamesDiffer, match=r"differs from the order's in CN$"):
        _check(csr_pem(KEY, _subject(*_BASE[:-1], (_CN, "Grace Hopper"))))


def test_the_order_s_own_alternative_names_may_be_requested_in_any_case() -> None:
    request = x509.SubjectAlternativeName([x509.DNSName("WWW.Example.org")])
    _check(csr_pem(KEY, WEB.x509_name(), request), WEB)
    _check(csr_pem(KEY, ADA.x509_name(), x509.SubjectAlternativeName(ADA.general_names())))


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("evil.example.org"),
        x509.DNSName("*.example.org"),
        x509.RFC822Name("root@example.org"),
        x509.UniformResourceIdentifier("https://www.example.org"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(_CN, "www.example.org")])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05admin"),
    ],
    ids=lambda name: type(name).__name__,
)
def test_a_further_alternative_name_is_refused(name: x509.GeneralName) -> None:
    request = x509.SubjectAlternativeName([x509.DNSName("www.example.org"), name])
    with pytest.raises(CsrNamesDiffer):
        _check(csr_pem(KEY, WEB.x509_name(), request), WEB)


def test_a_request_for_a_ca_certificate_yields_no_more_than_its_key() -> None:
    checked = _check(csr_pem(KEY, ADA.x509_name(), x509.BasicConstraints(ca=True, path_length=None)))
    assert checked.public_key == KEY.public_key()


@given(position=st.integers(0, len(GOOD_DER) - 1), value=st.integers(1, 255))
def test_no_changed_octet_passes_or_raises_anything_but_a_refusal(position: int, value: int) -> None:
    forged = bytearray(GOOD_DER)
    forged[position] ^= value
    with pytest.raises(Refusal):
        _check(pem_of(bytes(forged)))


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda data: pem_of(data))))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    with pytest.raises(Refusal):
        _check(text)


def test_the_pem_s_base64_is_what_was_checked() -> None:
    assert _check(GOOD).der == base64.b64decode("".join(GOOD.splitlines()[1:-1]))
    assert x509.load_der_x509_csr(_check(GOOD).der).signature_hash_algorithm == hashes.SHA256()
