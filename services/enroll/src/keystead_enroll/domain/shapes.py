"""Linting by shape: what two certificates have in common if a linter has the same to say of both, and the checks of
what is left.

A certificate's *shape* is the certificate with its values blanked out: serial number, times, the text of the subject
and of ordinary alternative names, and the octets of the key. Everything else, the issuer, the algorithms, every
extension with its critical flag and content, which attributes in which string types, which kinds of names, stays as it
is, to the octet. A linter that found nothing in the first certificate of a shape can only find something in another in
one of the blanks, and those `check_values` judges, for every certificate.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum

from keystead_contracts.refusals import Refusal
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.errors import CertificateLintFailed
from keystead_enroll.domain.keys import RSA_EXPONENT
from keystead_enroll.domain.names import (
    ATTRIBUTES,
    UPN_OID,
    Alphabet,
    check_attribute,
    check_dns_name,
    check_email,
    check_upn,
    check_uri,
)
from keystead_enroll.domain.tbs import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    SubjectAttribute,
    Tbs,
    TbsMalformed,
    elements,
    encode,
    encode_oid,
)

Shape = tuple[object, ...]
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
UTF8_STRING, PRINTABLE_STRING, IA5_STRING = 0x0C, 0x13, 0x16
RFC822_NAME, DNS_NAME, URI, OTHER_NAME = 0x81, 0x82, 0x86, 0xA0
SUBJECT_KEY_IDENTIFIER, SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d0e"), bytes.fromhex("551d11")
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
_CURVES = {
    bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"): 65,
    bytes.fromhex("301006072a8648ce3d020106052b81040022"): 97,
}
"""AlgorithmIdentifier of P-256 and P-384 keys (RFC 5480 section 2.1.1) → octets of an uncompressed point."""
_ATTRIBUTES = {encode_oid(each.oid.dotted_string)[2:]: each for each in ATTRIBUTES.values()}
_DOMAIN_COMPONENT = encode_oid(ATTRIBUTES["DC"].oid.dotted_string)[2:]
_EMAIL_ADDRESS = encode_oid(ATTRIBUTES["E"].oid.dotted_string)[2:]
_STRING_TAGS = {
    Alphabet.UTF8: UTF8_STRING,
    Alphabet.PRINTABLE: PRINTABLE_STRING,
    Alphabet.EMAIL: IA5_STRING,
    Alphabet.DNS_LABEL: IA5_STRING,
}
_UPN, _EXPLICIT_0, _UNCOMPRESSED = encode_oid(UPN_OID.dotted_string), 0xA0, 4
_RSA_SIZES = (2048, 3072, 4096)
_HOST = rb"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}\Z"
_ORDINARY = {
    RFC822_NAME: re.compile(rb"[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*@" + _HOST),
    DNS_NAME: re.compile(_HOST),
    OTHER_NAME: re.compile(re.escape(_UPN) + b".*", re.DOTALL),
}
"""Alternative names of which every linter thinks the same. Others, such as a wildcard, a host without a domain or a
URI, keep their text in the shape, as domain components of a subject do: about those only the linter knows."""
_UTC = re.compile(rb"\d{12}Z\Z")
_GENERALIZED = re.compile(rb"\d{14}Z\Z")
_FIRST_GENERALIZED_YEAR = 2050
_MOST_SERIAL_OCTETS = 20


class HowLinted(StrEnum):
    """Why a certificate was, or was not, linted in full."""

    FULL = "full"
    """The first of its shape."""
    SAMPLED = "sampled"
    """Its shape is known; chance chose it."""
    BY_SHAPE = "by_shape"
    """Its shape is known; its values were checked."""


def how_to_lint(*, known: bool, share: float, chance: float) -> HowLinted:
    """What to do with a certificate whose shape is `known` good or not. `share` of the known ones are linted in full
    all the same; `chance` is evenly spread over [0, 1)."""
    if not known:
        return HowLinted.FULL
    return HowLinted.SAMPLED if chance < share else HowLinted.BY_SHAPE


def profile_digest(profile: CertificateProfile) -> str:
    """SHA-256 over all that the profile says: another word in it, another digest."""
    plain = {name: value for name, value in asdict(profile).items() if name != "created_at"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def shape_of(tbs: Tbs, profile: str) -> Shape:
    """The shape of a certificate that a profile with this digest gave. Raises TbsMalformed."""
    return (
        profile,
        tbs.signature,
        tbs.issuer,
        tbs.not_before[0],
        tbs.not_after[0],
        tuple(tuple(_attribute_shape(each) for each in rdn) for rdn in tbs.subject),
        tbs.key_algorithm,
        len(tbs.key),
        tuple((each.oid, each.critical, _blanked(each.oid, each.value)) for each in tbs.extensions),
    )


def _blanked(oid: bytes, value: bytes) -> object:
    if oid == SUBJECT_KEY_IDENTIFIER:
        return len(value)
    if oid == SUBJECT_ALTERNATIVE_NAME:
        return frozenset(_kind(*name) for name in _sequence(value))
    return value


def _kind(tag: int, content: bytes, raw: bytes) -> tuple[int, bytes]:
    ordinary = _ORDINARY.get(tag)
    return (tag, b"") if ordinary is not None and ordinary.match(content) else (tag, raw)


def _attribute_shape(attribute: SubjectAttribute) -> tuple[bytes, int, bytes]:
    kept = attribute.value if attribute.oid == _DOMAIN_COMPONENT else b""
    return attribute.oid, attribute.tag, kept


def check_values(tbs: Tbs) -> None:
    """Returns if every value in the certificate's blanks is one that RFC 5280 allows there. Raises
    CertificateLintFailed, naming the field and the section.

    What it allows is less than what the RFC does: the names that `domain.names` makes, keys that this CA certifies.
    """
    checks: tuple[tuple[str, str, Callable[[Tbs], None]], ...] = (
        ("serial number", "4.1.2.2", _check_serial),
        ("validity", "4.1.2.5", _check_validity),
        ("subject", "4.1.2.6", _check_subject),
        ("subject public key", "4.1.2.7", _check_key),
        ("subject key identifier", "4.2.1.2", _check_key_identifier),
        ("subject alternative name", "4.2.1.6", _check_alternative_names),
    )
    for field, section, check in checks:
        try:
            check(tbs)
        except (ValueError, Refusal) as error:
            detail = error.detail if isinstance(error, Refusal) else str(error)
            raise CertificateLintFailed(
                f"the certificate would violate RFC 5280: {field} (section {section}): {detail}"
            ) from error


def _check_serial(tbs: Tbs) -> None:
    serial = tbs.serial
    if not serial or serial[0] & 0x80 or serial == b"\0":
        raise ValueError("not positive")
    if len(serial) > _MOST_SERIAL_OCTETS:
        raise ValueError(f"more than {_MOST_SERIAL_OCTETS} octets")
    if len(serial) > 1 and serial[0] == 0 and not serial[1] & 0x80:
        raise ValueError("not as short as it can be")


def _check_validity(tbs: Tbs) -> None:
    if _moment(*tbs.not_after) < _moment(*tbs.not_before):
        raise ValueError("ends before it begins")


def _moment(tag: int, text: bytes) -> datetime:
    """A time as section 4.1.2.5 wants it: UTCTime through 2049, whole seconds, Zulu."""
    if tag == UTC_TIME and _UTC.match(text):
        year, rest = int(text[:2]), text[2:]
        year += 2000 if year < _FIRST_GENERALIZED_YEAR % 100 else 1900
    elif tag == GENERALIZED_TIME and _GENERALIZED.match(text):
        year, rest = int(text[:4]), text[4:]
        if year < _FIRST_GENERALIZED_YEAR:
            raise ValueError("a year before 2050 that is not a UTCTime")
    else:
        raise ValueError("a time in another form than YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ")
    month, day, hour, minute, second = (int(rest[at : at + 2]) for at in range(0, 10, 2))
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _check_subject(tbs: Tbs) -> None:
    for rdn in tbs.subject:
        if len(rdn) != 1:
            raise ValueError("an RDN of other than one attribute")
        _check_attribute(rdn[0])


def _check_attribute(attribute: SubjectAttribute) -> None:
    known = _ATTRIBUTES.get(attribute.oid)
    if known is None:
        raise ValueError("an attribute that no template has")
    if attribute.tag != _STRING_TAGS[known.alphabet]:
        raise ValueError(f"{known.short_name} in another string type than it has")
    text = attribute.value.decode("utf-8" if attribute.tag == UTF8_STRING else "ascii")
    if check_attribute(known.short_name, text) != text:
        raise ValueError(f"{known.short_name} in another form than its canonical one")


def _check_key(tbs: Tbs) -> None:
    octets = _CURVES.get(tbs.key_algorithm)
    if octets is not None:
        if len(tbs.key) != octets or tbs.key[0] != _UNCOMPRESSED:
            raise ValueError("no uncompressed point of the curve")
    elif tbs.key_algorithm == _RSA_ENCRYPTION:
        [modulus, exponent] = [_natural(*each) for each in _sequence(tbs.key)]
        if exponent != RSA_EXPONENT or not modulus & 1 or modulus.bit_length() not in _RSA_SIZES:
            raise ValueError("an RSA key of another size or exponent than are certified here (RFC 8017 appendix A.1.1)")
    else:
        raise ValueError("a key of an algorithm that is not certified here")


def _natural(tag: int, content: bytes, _raw: bytes) -> int:
    if tag != INTEGER or not content or content[0] & 0x80 or (content[0] == 0 and not content[1:2] > b"\x7f"):
        raise ValueError("no positive INTEGER in its shortest form")
    return int.from_bytes(content)


def _check_key_identifier(tbs: Tbs) -> None:
    """Method 1 of section 4.2.1.2, which is what `x509.SubjectKeyIdentifier.from_public_key` makes."""
    extension = tbs.extension(SUBJECT_KEY_IDENTIFIER)
    made = hashlib.sha1(tbs.key, usedforsecurity=False).digest()
    if extension is None or extension.value != encode(OCTET_STRING, made):
        raise ValueError("not the SHA-1 of the key")


def _check_alternative_names(tbs: Tbs) -> None:
    extension = tbs.extension(SUBJECT_ALTERNATIVE_NAME)
    if extension is None:
        if not tbs.subject:
            raise ValueError("missing, and the subject is empty")
        if any(attribute.oid == _EMAIL_ADDRESS for [attribute] in tbs.subject):
            raise ValueError("missing, and the subject has an e-mail address (section 4.1.2.6)")
        return
    names = _sequence(extension.value)
    if not names:
        raise ValueError("empty")
    for tag, content, _ in names:
        _check_alternative_name(tag, content)
    addresses = {content for tag, content, _ in names if tag == RFC822_NAME}
    if any(attribute.oid == _EMAIL_ADDRESS and attribute.value not in addresses for [attribute] in tbs.subject):
        raise ValueError("without the e-mail address that the subject has (section 4.1.2.6)")


def _check_alternative_name(tag: int, content: bytes) -> None:
    match tag:
        case _ if tag == RFC822_NAME:
            text = content.decode("ascii")
            canonical = check_email(text)
        case _ if tag == DNS_NAME:
            text = content.decode("ascii")
            canonical = check_dns_name(text)
        case _ if tag == URI:
            text = content.decode("ascii")
            canonical = check_uri(text)
        case _ if tag == OTHER_NAME:
            text = _principal(content)
            canonical = check_upn(text)
        case _:
            raise ValueError("a name of a kind that no template has")
    if canonical != text:
        raise ValueError("a name in another form than its canonical one")


def _principal(content: bytes) -> str:
    """The user principal name in an otherName, a UTF8String in an explicit [0]."""
    parts = elements(content)
    if len(parts) != 2 or parts[0][2] != _UPN or parts[1][0] != _EXPLICIT_0:
        raise ValueError("an otherName that is no user principal name")
    [(tag, value, _)] = elements(parts[1][1])
    if tag != UTF8_STRING:
        raise ValueError("a user principal name in another string type than UTF8String")
    return value.decode()


def _sequence(data: bytes) -> list[Element]:
    """What a SEQUENCE, alone in `data`, holds. Raises TbsMalformed."""
    found = elements(data)
    if len(found) != 1 or found[0][0] != SEQUENCE:
        raise TbsMalformed("something else than one SEQUENCE")
    return elements(found[0][1])
