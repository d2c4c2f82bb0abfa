"""The judge of certificate signing requests (PKCS#10, RFC 2986).

A request contributes one thing to a certificate: a public key whose private key its sender has. Names and
extensions come from the order; the request's are only compared.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import SignatureAlgorithmOID

from keystead_contracts.base import KeyAlgorithm
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.errors import (
    CsrMalformed,
    CsrNamesDiffer,
    CsrSignatureInvalid,
    KeyAlgorithmNotAllowed,
    NameNotAllowed,
)
from keystead_enroll.domain.keys import PublicKey, check_key_policy, spki_sha256, supported_key
from keystead_enroll.domain.names import CertificateNames, check_dns_name, check_email, short_name_of, subject_set

MAX_CSR_CHARACTERS = 16384
_TOLD, _LONGEST_SHOWN = 3, 64
_PEM = re.compile(
    r"\s*-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)-----[ \t]*\r?\n"
    r"(?P<body>[A-Za-z0-9+/=\r\n]+)"
    r"-----END (?P=label)-----\s*\Z"
)
_SIGNATURE_ALGORITHMS = frozenset({
    SignatureAlgorithmOID.RSA_WITH_SHA256, SignatureAlgorithmOID.RSA_WITH_SHA384, SignatureAlgorithmOID.RSA_WITH_SHA512,
    SignatureAlgorithmOID.ECDSA_WITH_SHA256, SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512,
})  # fmt: skip


@dataclass(frozen=True)
class CheckedCsr:
    """A request that passed. `public_key` is all that a certificate takes from it; `spki_sha256` is its identity."""

    public_key: PublicKey
    key_algorithm: KeyAlgorithm
    spki_sha256: str
    der: bytes


def check_csr(
    pem: str, expected: CertificateNames, allowed: KeyAlgorithm, *, subject_counts: bool = True
) -> CheckedCsr:
    """The key of the request `pem`, if the request is sound and asks for nothing beyond the order.

    - exactly one PEM block (RFC 7468), at most 16384 characters, DER without trailing bytes: else CsrMalformed;
    - a key of exactly the algorithm `allowed`: else KeyAlgorithmNotAllowed; that is not weak: else KeyTooWeak;
    - signed by that key with SHA-256 or stronger: else CsrSignatureInvalid;
    - the subject has the attributes of `expected`, no more and no fewer, in any order and string type (software
      reorders RDNs and changes string types, and the certificate's come from the order anyway), and every requested
      SAN is one of `expected`: else CsrNamesDiffer. Without `subject_counts` any subject will do: people's tools put
      one in.

    Other requested extensions are ignored: a request cannot ask for a CA certificate, because nothing is copied.
    """
    csr, der = _parse(pem)
    public_key = _public_key(csr)
    algorithm = check_key_policy(public_key)
    if algorithm != allowed:
        raise KeyAlgorithmNotAllowed(
            Words("the request's key is {algorithm}", algorithm=algorithm),
            Words("The order asks for {allowed}.", allowed=allowed),
        )
    _check_possession(csr)
    if subject_counts:
        _check_subject(csr, expected)
    _check_alternative_names(csr, expected)
    return CheckedCsr(public_key, algorithm, spki_sha256(public_key), der)


def examine_csr(
    pem: str, expected: CertificateNames | None, allowed: Collection[KeyAlgorithm]
) -> tuple[CheckedCsr | None, list[Refusal]]:
    """What a person's own request comes to: all that is wrong with it, or else its key.

    As `check_csr` with any of the algorithms `allowed` and without a look at the subject. `expected` is None if the
    order's names are not known: then those of the request are not compared.
    """
    try:
        csr, der = _parse(pem)
    except Refusal as refusal:
        return None, [refusal]
    wrong: list[Refusal] = []
    found: list[tuple[PublicKey, KeyAlgorithm]] = []

    def key() -> None:
        public_key = _public_key(csr)
        algorithm = check_key_policy(public_key)
        if algorithm not in allowed:
            raise KeyAlgorithmNotAllowed(
                Words("the request's key is {algorithm}", algorithm=algorithm),
                Words("This certificate takes: {algorithms}.", algorithms=", ".join(allowed)),
            )
        found.append((public_key, algorithm))

    def names() -> None:
        if expected is not None:
            _check_alternative_names(csr, expected)

    for check in (key, lambda: _check_possession(csr), names):
        try:
            check()
        except Refusal as refusal:
            wrong.append(refusal)
    if wrong:
        return None, wrong
    [(public_key, algorithm)] = found
    return CheckedCsr(public_key, algorithm, spki_sha256(public_key), der), []


def _parse(pem: str) -> tuple[x509.CertificateSigningRequest, bytes]:
    if len(pem) > MAX_CSR_CHARACTERS:
        raise CsrMalformed(Words("the request has more than {limit} characters", limit=MAX_CSR_CHARACTERS))
    block = _PEM.match(pem)
    if block is None:
        raise CsrMalformed(Words("the request is not exactly one PEM block CERTIFICATE REQUEST"))
    try:
        der = base64.b64decode(re.sub(r"[\r\n]", "", block["body"]), validate=True)
        return x509.load_der_x509_csr(der), der
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CsrMalformed(Words("the PEM block does not contain a PKCS#10 request in DER")) from None


def _public_key(csr: x509.CertificateSigningRequest) -> PublicKey:
    try:
        return supported_key(csr.public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise KeyAlgorithmNotAllowed(Words("the request's key is malformed or of an unknown kind")) from None


def _check_possession(csr: x509.CertificateSigningRequest) -> None:
    if csr.signature_algorithm_oid not in _SIGNATURE_ALGORITHMS:
        raise CsrSignatureInvalid(Words("the request is signed with an algorithm that is not accepted"))
    try:
        valid = csr.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        valid = False
    if not valid:
        raise CsrSignatureInvalid(Words("the request is not signed by the key that it contains"))


def _check_subject(csr: x509.CertificateSigningRequest, expected: CertificateNames) -> None:
    try:
        subject = csr.subject
    except ValueError:
        raise CsrMalformed(Words("the request's subject is malformed")) from None
    wanted = expected.x509_name()
    if subject_set(subject) == subject_set(wanted) and len(list(subject)) == len(list(wanted)):
        return
    differing = subject_set(subject) ^ subject_set(wanted)
    attributes = sorted({short_name_of(x509.ObjectIdentifier(oid)) for oid, _ in differing}) or [
        Words("number of attributes")
    ]
    raise CsrNamesDiffer(
        Words("the request's subject differs from the order's in {attributes}", attributes=", ".join(attributes))
    )


def _check_alternative_names(csr: x509.CertificateSigningRequest, expected: CertificateNames) -> None:
    try:
        requested = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise CsrMalformed(Words("the request's extensions are malformed")) from None
    ordered = set(expected.general_names())
    strangers = [_shown(name) for name in requested if _normalized(name) not in ordered]
    if strangers:
        raise CsrNamesDiffer(
            Words(
                "the request asks for an alternative name that the order does not have: {names}",
                names=", ".join(strangers[:_TOLD]),
            )
        )


def _shown(name: x509.GeneralName) -> str:
    text = name.value if isinstance(name.value, str) else type(name).__name__
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _normalized(name: x509.GeneralName) -> x509.GeneralName:
    """`name` with its host part in lower case, as `CertificateNames` writes it."""
    try:
        match name:
            case x509.DNSName():
                return x509.DNSName(check_dns_name(name.value))
            case x509.RFC822Name():
                return x509.RFC822Name(check_email(name.value))
            case _:
                return name
    except NameNotAllowed:
        return name
