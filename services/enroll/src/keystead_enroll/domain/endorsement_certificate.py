"""Endorsement certificates and those of their manufacturers, read leniently: many real ones are not strict DER, name
their key's algorithm as OAEP, or have padding around them. The octets are kept as they came, and signatures are
verified over them.

Profile: TCG "EK Credential Profile for TPM Family 2.0", version 2.5; RFC 5280.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from keystead_enroll.domain import lenient_der as der
from keystead_enroll.domain.lenient_der import DerMalformed, Element

MAX_CERTIFICATE = 16384
MOST_CERTIFICATES = 16
"""Read from one text."""
ON_DIE_CHAIN = 0x01C00100
"""The first NV index of a chain that the TPM itself holds (section 2.2.1.5.3): one text over several indices."""

_STORED = b"\x10\x01\x00"  # TCG PC Client 1.2 section 7.3.2: tag and type; two octets of size follow
_MOST_MODULUS, _MOST_EXPONENT = 1025, 8
_RSA, _RSA_OAEP, _EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7", "1.2.840.10045.2.1"
_CURVES: dict[str, ec.EllipticCurve] = {
    "1.2.840.10045.3.1.7": ec.SECP256R1(),
    "1.3.132.0.34": ec.SECP384R1(),
    "1.3.132.0.35": ec.SECP521R1(),
}
_SIGNATURES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "1.2.840.113549.1.1.5": (_RSA, hashes.SHA1()),  # noqa: S303 reported by CHAIN_HASH
    "1.2.840.113549.1.1.11": (_RSA, hashes.SHA256()),
    "1.2.840.113549.1.1.12": (_RSA, hashes.SHA384()),
    "1.2.840.113549.1.1.13": (_RSA, hashes.SHA512()),
    "1.2.840.10045.4.1": (_EC, hashes.SHA1()),  # noqa: S303 reported by CHAIN_HASH
    "1.2.840.10045.4.3.2": (_EC, hashes.SHA256()),
    "1.2.840.10045.4.3.3": (_EC, hashes.SHA384()),
    "1.2.840.10045.4.3.4": (_EC, hashes.SHA512()),
}
BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, ALTERNATIVE_NAME = "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"
EK_PURPOSE = "2.23.133.8.1"
_UNDERSTOOD = frozenset({BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, ALTERNATIVE_NAME, "2.5.29.32"})
_TPM_NAMES = {"2.23.133.2.1": "manufacturer", "2.23.133.2.2": "model", "2.23.133.2.3": "version"}
_NAME_PARTS = {"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.10": "O", "2.5.4.11": "OU"}
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

CertificateKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Certificate:
    """A certificate, as far as an endorsement needs it. `extensions` maps an OID to (critical, value)."""

    raw: bytes
    to_be_signed: bytes
    version: int
    serial: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime
    public_key: CertificateKey
    signature_oid: str
    signature: bytes
    extensions: dict[str, tuple[bool, bytes]]

    def is_signed_by(self, issuer: Certificate) -> bool:
        """Whether `issuer`'s key signed it, over the octets as they came."""
        kind, algorithm = _SIGNATURES.get(self.signature_oid, (None, None))
        key = issuer.public_key
        try:
            if algorithm is not None and kind == _RSA and isinstance(key, rsa.RSAPublicKey):
                key.verify(self.signature, self.to_be_signed, padding.PKCS1v15(), algorithm)
                return True
            if algorithm is not None and kind == _EC and isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(self.signature, self.to_be_signed, ec.ECDSA(algorithm))
                return True
        except (InvalidSignature, UnsupportedAlgorithm):
            return False
        return False

    @property
    def subject_text(self) -> str:
        """Its name for people; no more than that."""
        return name_text(self.subject)

    @property
    def signed_with_sha1(self) -> bool:
        """Whether its signature is over SHA-1."""
        return isinstance(_SIGNATURES.get(self.signature_oid, (None, None))[1], hashes.SHA1)

    @property
    def authority(self) -> tuple[bool, int | None]:
        """Whether it is a CA's, and how many CAs may follow it (RFC 5280 section 4.2.1.9)."""
        if BASIC_CONSTRAINTS not in self.extensions:
            return False, None
        parts = list(der.elements(der.first(self.extensions[BASIC_CONSTRAINTS][1], der.SEQUENCE).content))
        is_authority = bool(parts) and parts[0].tag == der.BOOLEAN and any(parts[0].content)
        length = next((der.natural(part) for part in parts if part.tag == der.INTEGER), None)
        return is_authority, length

    def allows(self, *bit_numbers: int) -> bool:
        """Whether one of these key usages is set, or all are because it has no such extension (RFC 5280 section
        4.2.1.3)."""
        if KEY_USAGE not in self.extensions:
            return True
        octets = der.bits(der.first(self.extensions[KEY_USAGE][1]))
        return any(number // 8 < len(octets) and octets[number // 8] & 0x80 >> number % 8 for number in bit_numbers)

    @property
    def purposes(self) -> frozenset[str] | None:
        """Its extended key usages; None without the extension."""
        if EXTENDED_KEY_USAGE not in self.extensions:
            return None
        content = der.first(self.extensions[EXTENDED_KEY_USAGE][1], der.SEQUENCE).content
        return frozenset(der.oid(element) for element in der.elements(content))

    @property
    def tpm_names(self) -> dict[str, str]:
        """`manufacturer`, `model`, `version` of its alternative name (section 3.2.9), those that are there."""
        if ALTERNATIVE_NAME not in self.extensions:
            return {}
        found: dict[str, str] = {}
        for name in der.elements(der.first(self.extensions[ALTERNATIVE_NAME][1], der.SEQUENCE).content):
            if name.tag == 0xA4:  # directoryName
                for relative in der.elements(der.first(name.content, der.SEQUENCE).content):
                    for attribute in der.elements(relative.content):
                        kind, value = der.listed(attribute.content, 2)[:2]
                        if label := _TPM_NAMES.get(der.oid(kind)):
                            found[label] = _UNPRINTABLE.sub("?", value.content.decode("utf-8", "replace"))[:64]
        return found

    @property
    def unknown_critical(self) -> frozenset[str]:
        """The extensions that are critical, and that nobody here understands."""
        return frozenset(oid for oid, (critical, _) in self.extensions.items() if critical) - _UNDERSTOOD


def name_text(name: bytes) -> str:
    """A name in DER for people: its parts as they come, those without a usual abbreviation left out."""
    parts: list[str] = []
    for relative in der.elements(der.first(name, der.SEQUENCE).content):
        for attribute in der.elements(relative.content):
            kind, value = der.listed(attribute.content, 2)[:2]
            if label := _NAME_PARTS.get(der.oid(kind)):
                parts.append(f"{label}={_UNPRINTABLE.sub('?', value.content.decode('utf-8', 'replace'))[:128]}")
    return ", ".join(parts)


def read_stored(contents: Sequence[tuple[int, bytes]]) -> list[Certificate]:
    """The certificates in what a TPM holds, each with its NV index: without what stands before and after them. What
    cannot be read is left out."""
    chain = b"".join(content for index, content in sorted(contents) if index >= ON_DIE_CHAIN)
    texts = [content for index, content in contents if index < ON_DIE_CHAIN]
    found: list[Certificate] = []
    for text in (*texts, chain):
        found += _certificates_in(text)
    return found


def _certificates_in(text: bytes) -> list[Certificate]:
    found: list[Certificate] = []
    rest, tried = (text[5:] if text.startswith(_STORED) else text), 0
    while rest[:1] == b"\x30" and tried < MOST_CERTIFICATES:
        tried += 1
        try:
            element = der.first(rest)
        except DerMalformed:
            break
        rest = rest[len(element.raw) :]
        try:
            found.append(read_certificate(element.raw))
        except DerMalformed:
            continue
    return found


def read_certificate(raw: bytes) -> Certificate:
    """The certificate that `raw` is. Raises DerMalformed, also for an unknown kind of key."""
    if len(raw) > MAX_CERTIFICATE:
        raise DerMalformed("the certificate is too large")
    whole = der.first(raw, der.SEQUENCE)
    if len(whole.raw) != len(raw):
        raise DerMalformed("octets follow the certificate")
    signed, algorithm, signature = der.listed(whole.content, 3)[:3]
    parts = der.listed(der.expect(signed, der.SEQUENCE), 6)
    version = 1
    if parts[0].tag == 0xA0:
        version = der.natural(der.first(parts[0].content)) + 1
        parts = parts[1:]
    if len(parts) < 6:
        raise DerMalformed("a certificate's structure has too few parts")
    serial, inner, issuer, validity, subject, key = parts[:6]
    outer_oid = der.oid(der.first(der.expect(algorithm, der.SEQUENCE)))
    if der.oid(der.first(der.expect(inner, der.SEQUENCE))) != outer_oid:
        raise DerMalformed("the certificate names two signature algorithms")
    not_before, not_after = der.listed(der.expect(validity, der.SEQUENCE), 2)[:2]
    extensions = next((part.content for part in parts[6:] if part.tag == 0xA3), b"")
    certificate = Certificate(
        raw=raw,
        to_be_signed=signed.raw,
        version=version,
        serial=der.natural(serial),
        issuer=issuer.raw,
        subject=subject.raw,
        not_before=_time(not_before),
        not_after=_time(not_after),
        public_key=_public_key(der.expect(key, der.SEQUENCE)),
        signature_oid=outer_oid,
        signature=der.bits(signature),
        extensions=_extensions(extensions),
    )
    _ = certificate.authority, certificate.allows(0), certificate.purposes, certificate.tpm_names  # all can be read
    return certificate


def _extensions(content: bytes) -> dict[str, tuple[bool, bytes]]:
    found: dict[str, tuple[bool, bytes]] = {}
    if not content:
        return found
    for extension in der.elements(der.first(content, der.SEQUENCE).content):
        parts = der.listed(der.expect(extension, der.SEQUENCE), 2)
        critical = parts[1].tag == der.BOOLEAN and any(parts[1].content)
        name = der.oid(parts[0])
        if name in found:
            raise DerMalformed("the certificate has an extension twice")
        found[name] = (critical, der.expect(parts[-1], der.OCTET_STRING))
    return found


def _public_key(content: bytes) -> CertificateKey:
    algorithm, key = der.listed(content, 2)[:2]
    kind, *parameters = der.listed(der.expect(algorithm, der.SEQUENCE), 1)
    octets = der.bits(key)
    name = der.oid(kind)
    try:
        if name in (_RSA, _RSA_OAEP):
            modulus, exponent = der.listed(der.first(octets, der.SEQUENCE).content, 2)[:2]
            if len(modulus.content) > _MOST_MODULUS or len(exponent.content) > _MOST_EXPONENT:
                raise DerMalformed("the certificate's RSA key is too large")
            return rsa.RSAPublicNumbers(der.natural(exponent), der.natural(modulus)).public_key()
        if name == _EC and parameters and (curve := _CURVES.get(der.oid(parameters[0]))):
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, octets)
        raise DerMalformed("the certificate's key is of an unknown kind")
    except (ValueError, UnsupportedAlgorithm):
        raise DerMalformed("the certificate's key is no key") from None


def _time(element: Element) -> datetime:
    text = element.content.decode("ascii", "replace")
    if element.tag == der.UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != der.GENERALIZED_TIME:
        raise DerMalformed("the certificate has no time where one belongs")
    if not re.fullmatch(r"[0-9]{12}(?:[0-9]{2})?Z", text):
        raise DerMalformed("the certificate has a time that cannot be read")
    try:
        return datetime.strptime(text[:-1].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise DerMalformed("the certificate has a time that cannot be read") from None
