"""OCSP (RFC 6960, in the profile of RFC 5019): what is asked, who may answer, and the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from keystead_enroll.domain.certificates import SigningKey, authority_key_identifier, key_usage, signature_hash
from keystead_enroll.domain.errors import OcspRequestMalformed
from keystead_enroll.domain.key_usages import KeyUsage
from keystead_enroll.domain.keys import PublicKey
from keystead_enroll.domain.status import reason_flag

MOST_REQUEST_OCTETS = 4096
"""A request with every field as long as it can sensibly be has some 300."""
MOST_NONCE_OCTETS = 128
"""Of 1 to this many, RFC 9654 section 2.1."""
_MOST_SERIAL_BITS = 160
_COMMON_NAME_LENGTH = 64
_HASHES = (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512())  # noqa: S303 the field is SHA-1 to most


class Outcome(StrEnum):
    """What an answer says: of a certificate (RFC 6960 section 2.2), or why it says nothing (section 2.3)."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    TRY_LATER = "try_later"
    UNAUTHORIZED = "unauthorized"


_REFUSALS = {
    Outcome.MALFORMED: ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
    Outcome.TRY_LATER: ocsp.OCSPResponseStatus.TRY_LATER,
    Outcome.UNAUTHORIZED: ocsp.OCSPResponseStatus.UNAUTHORIZED,
}
_CERTIFICATE_STATUS = {
    Outcome.GOOD: ocsp.OCSPCertStatus.GOOD,
    Outcome.REVOKED: ocsp.OCSPCertStatus.REVOKED,
    Outcome.UNKNOWN: ocsp.OCSPCertStatus.UNKNOWN,
}


@dataclass(frozen=True)
class IssuerHashes:
    """An issuer as a request names it: hashes of its name and its key."""

    algorithm: str
    name: bytes
    key: bytes


@dataclass(frozen=True)
class Question:
    """Of which certificate the status is asked. `nonce` is to be sent back (RFC 9654)."""

    issuer: IssuerHashes
    serial: int
    nonce: bytes | None


@dataclass(frozen=True)
class Standing:
    """What is known of an issued certificate; both None if nothing is wrong with it."""

    revoked_at: datetime | None
    reason: str | None


@dataclass(frozen=True)
class OcspAnswer:
    """An answer in DER. `until`: when it is no longer to be relied on; None for refusals."""

    der: bytes
    outcome: Outcome
    since: datetime | None = None
    until: datetime | None = None
    nonce: bool = False

    @property
    def cacheable(self) -> bool:
        """Whether whoever asks the same may be given it too."""
        return self.until is not None and not self.nonce


@dataclass(eq=False)
class OcspResponder:
    """What answers in a CA's place (RFC 6960 section 4.2.2.2): a certificate of the CA, and its key under the service's
    own. `number` grows with each."""

    authority: str
    number: int
    der: bytes
    sealed_key: bytes
    not_before: datetime
    not_after: datetime

    def due(self, now: datetime) -> bool:
        """Whether half of its life is over, so that another takes its place."""
        return now >= self.not_before + (self.not_after - self.not_before) / 2

    @property
    def context(self) -> str:
        """What its key is sealed for."""
        return f"ocsp {self.authority} {self.number}"


def read_question(raw: bytes) -> Question | None:
    """What is asked; None if it is about an issuer named by a hash that nobody uses. Raises OcspRequestMalformed, also
    for more than one certificate (RFC 5019 section 2.1.1) and for what is critical and not understood."""
    if len(raw) > MOST_REQUEST_OCTETS:
        raise OcspRequestMalformed(f"the request has more than {MOST_REQUEST_OCTETS} octets")
    try:
        request = ocsp.load_der_ocsp_request(raw)
        extensions = request.extensions
        serial = request.serial_number
        name, key = request.issuer_name_hash, request.issuer_key_hash
    except (ValueError, TypeError, NotImplementedError, OverflowError, x509.DuplicateExtension) as error:
        raise OcspRequestMalformed("the request cannot be read, or asks about several certificates") from error
    if serial < 0 or serial.bit_length() > _MOST_SERIAL_BITS:
        raise OcspRequestMalformed("no certificate has such a serial number (RFC 5280 section 4.1.2.2)")
    nonce = _nonce(extensions)
    try:
        return Question(IssuerHashes(request.hash_algorithm.name, name, key), serial, nonce)
    except UnsupportedAlgorithm:
        return None


def _nonce(extensions: x509.Extensions) -> bytes | None:
    nonce = None
    for extension in extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = extension.value.nonce
            if not 1 <= len(nonce) <= MOST_NONCE_OCTETS:
                raise OcspRequestMalformed(f"the nonce has not 1 to {MOST_NONCE_OCTETS} octets (RFC 9654)")
        elif extension.critical:
            raise OcspRequestMalformed("the request has a critical extension that is not understood")
    return nonce


def issuer_hashes(issuing: x509.Certificate) -> list[IssuerHashes]:
    """All ways in which a request may name this issuer (RFC 6960 section 4.1.1)."""
    name, key = issuing.subject.public_bytes(), _key_octets(issuing)
    return [IssuerHashes(each.name, _digest(each, name), _digest(each, key)) for each in _HASHES]


def _key_octets(issuing: x509.Certificate) -> bytes:
    """The subjectPublicKey without tag, length and unused bits."""
    key = issuing.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    raise TypeError("an issuing CA has an EC or RSA key")


def _digest(algorithm: hashes.HashAlgorithm, octets: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(octets)
    return digest.finalize()


_BY_NAME: Mapping[str, hashes.HashAlgorithm] = {each.name: each for each in _HASHES}


class Answering:
    """A responder that is ready to sign."""

    def __init__(self, responder: OcspResponder, key: SigningKey) -> None:
        self.authority, self.number, self.ends = responder.authority, responder.number, responder.not_after
        self._key, self._hash = key, signature_hash(key)
        self._certificate = x509.load_der_x509_certificate(responder.der)

    def answer(self, question: Question, standing: Standing | None, now: datetime, life: timedelta) -> OcspAnswer:
        """What is true `now` (UTC, whole seconds), to be relied on for `life`. A certificate without a `standing` was
        not issued here: it is unknown, not good."""
        outcome, until = _outcome(standing), min(now + life, self.ends)
        revoked_at = standing.revoked_at if standing else None
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                question.issuer.name,
                question.issuer.key,
                question.serial,
                _BY_NAME[question.issuer.algorithm],
                _CERTIFICATE_STATUS[outcome],
                now.replace(tzinfo=None),
                until.replace(tzinfo=None),
                revoked_at.astimezone(UTC).replace(microsecond=0, tzinfo=None) if revoked_at else None,
                reason_flag(standing.reason) if standing and revoked_at else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self._certificate)
            .certificates([self._certificate])
        )
        if question.nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(question.nonce), critical=False)
        signed = builder.sign(self._key, self._hash).public_bytes(Encoding.DER)
        return OcspAnswer(signed, outcome, now, until, question.nonce is not None)


def _outcome(standing: Standing | None) -> Outcome:
    if standing is None:
        return Outcome.UNKNOWN
    return Outcome.GOOD if standing.revoked_at is None else Outcome.REVOKED


def _refusal(outcome: Outcome) -> OcspAnswer:
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(_REFUSALS[outcome])
    return OcspAnswer(response.public_bytes(Encoding.DER), outcome)


MALFORMED, TRY_LATER, UNAUTHORIZED = (
    _refusal(each) for each in (Outcome.MALFORMED, Outcome.TRY_LATER, Outcome.UNAUTHORIZED)
)
"""The answers that are signed by nobody."""


def responder_builder(
    issuing: x509.Certificate, key: PublicKey, serial: int, valid: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    """The certificate of a responder (RFC 6960 section 4.2.2.2): it signs OCSP answers, and nobody asks whether it was
    revoked (id-pkix-ocsp-nocheck), which is why it does not last."""
    return (
        x509.CertificateBuilder(issuing.subject, _responder_name(issuing.subject), key, serial, *valid)
        .add_extension(authority_key_identifier(issuing), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(key_usage({KeyUsage.DIGITAL_SIGNATURE}), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
    )


def _responder_name(issuer: x509.Name) -> x509.Name:
    return x509.Name(_renamed(issuer))


def _renamed(issuer: x509.Name) -> Iterable[x509.NameAttribute[str | bytes]]:
    """The CA's name, in which the common name says what this is."""
    suffix = " OCSP"
    for attribute in issuer:
        if attribute.oid == x509.NameOID.COMMON_NAME:
            common = str(attribute.value)[: _COMMON_NAME_LENGTH - len(suffix)] + suffix
            yield x509.NameAttribute(x509.NameOID.COMMON_NAME, common)
        else:
            yield attribute
