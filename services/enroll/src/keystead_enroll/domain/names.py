"""Names in certificates: what may stand in one, and their X.509 form.

Every name is checked when a `CertificateNames` is made, so whoever holds one need not check again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from keystead_contracts.words import Words
from keystead_enroll.domain.errors import NameNotAllowed

UPN_OID = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""userPrincipalName as otherName ([MS-WCCE] section 2.2.2.7.5 and RFC 4556 practice): a UTF8String."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*\Z")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+\Z")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FULL_STOP = "\N{IDEOGRAPHIC FULL STOP}"
_MAX_DNS_NAME, _MAX_EMAIL, _MAX_LOCAL_PART, _MAX_UPN, _MAX_URI, _MAX_SANS = 253, 254, 64, 1024, 1024, 100


class Alphabet(Enum):
    """Which ASN.1 string type an attribute has, and so which characters it may hold (X.520, RFC 5280 appendix A)."""

    UTF8 = "UTF8String"
    PRINTABLE = "PrintableString"
    EMAIL = "IA5String with an e-mail address"
    DNS_LABEL = "IA5String with a DNS label"


@dataclass(frozen=True)
class Attribute:
    """A subject attribute: `limit` is its upper bound in UTF-8 octets (RFC 5280 appendix A.1 counts characters; octets
    are never fewer, and readers that count octets exist)."""

    short_name: str
    oid: x509.ObjectIdentifier
    limit: int
    alphabet: Alphabet = Alphabet.UTF8


_OID = x509.NameOID
ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.short_name: attribute
    for attribute in (
        Attribute("CN", _OID.COMMON_NAME, 64),
        Attribute("SN", _OID.SURNAME, 64),
        Attribute("GN", _OID.GIVEN_NAME, 64),
        Attribute("SERIALNUMBER", _OID.SERIAL_NUMBER, 64, Alphabet.PRINTABLE),
        Attribute("E", _OID.EMAIL_ADDRESS, 255, Alphabet.EMAIL),
        Attribute("UID", _OID.USER_ID, 256),
        Attribute("T", _OID.TITLE, 64),
        Attribute("OU", _OID.ORGANIZATIONAL_UNIT_NAME, 64),
        Attribute("O", _OID.ORGANIZATION_NAME, 64),
        Attribute("STREET", _OID.STREET_ADDRESS, 128),
        Attribute("L", _OID.LOCALITY_NAME, 128),
        Attribute("ST", _OID.STATE_OR_PROVINCE_NAME, 128),
        Attribute("C", _OID.COUNTRY_NAME, 2, Alphabet.PRINTABLE),
        Attribute("DC", _OID.DOMAIN_COMPONENT, 63, Alphabet.DNS_LABEL),
    )
}
"""The attributes that a subject may have, by the short name that templates use."""

_BY_OID = {attribute.oid: attribute for attribute in ATTRIBUTES.values()}


@dataclass(frozen=True)
class CertificateNames:
    """Who or what a certificate is for.

    `subject` is one (short name from `ATTRIBUTES`, value) per RDN in the order of the certificate's RDNSequence, most
    general first (`O` before `CN`); `rfc4514()` writes it the other way round, as RFC 4514 section 2.1 wants.
    Host names are lower-case A-labels. Raises NameNotAllowed when made with what cannot stand in a certificate.
    """

    subject: tuple[tuple[str, str], ...]
    dns_names: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    upn: str | None = None
    uris: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked = tuple((short_name, check_attribute(short_name, value)) for short_name, value in self.subject)
        object.__setattr__(self, "subject", checked)
        object.__setattr__(self, "dns_names", _unique(check_dns_name(name) for name in self.dns_names))
        object.__setattr__(self, "emails", _unique(check_email(email) for email in self.emails))
        object.__setattr__(self, "uris", _unique(check_uri(uri) for uri in self.uris))
        if self.upn is not None:
            object.__setattr__(self, "upn", check_upn(self.upn))
        sans = len(self.dns_names) + len(self.emails) + len(self.uris) + (self.upn is not None)
        if not self.subject and not sans:
            raise NameNotAllowed(Words("the certificate would name nobody and nothing"))
        if sans > _MAX_SANS:
            raise NameNotAllowed(
                Words("{number} alternative names are more than {limit}", number=sans, limit=_MAX_SANS)
            )

    @property
    def common_name(self) -> str | None:
        """The subject's common name, if it has one."""
        return self._attribute("CN")

    @property
    def serial_number(self) -> str | None:
        """The device's serial number (X.520 serialNumber in the subject; not the certificate's serial)."""
        return self._attribute("SERIALNUMBER")

    def _attribute(self, wanted: str) -> str | None:
        return next((value for short_name, value in reversed(self.subject) if short_name == wanted), None)

    @property
    def display_name(self) -> str:
        """The one name to show a person: the common name, or else the first that there is."""
        candidates = (self.common_name, *self.emails, *self.dns_names, self.upn, *self.uris)
        return next((name for name in candidates if name), None) or self.subject[-1][1]

    def x509_name(self) -> x509.Name:
        """The subject; the string types are those of RFC 5280 appendix A.1."""
        return x509.Name([x509.NameAttribute(ATTRIBUTES[short].oid, value) for short, value in self.subject])

    def rfc4514(self) -> str:
        """The subject as RFC 4514 text, attributes outside that document's table as dotted OIDs.

        `cryptography.x509.Name.from_rfc4514_string` gives back exactly `x509_name()`.
        """
        return self.x509_name().rfc4514_string()

    def general_names(self) -> list[x509.GeneralName]:
        """The subject alternative names (RFC 5280 section 4.2.1.6), empty if there are none."""
        names: list[x509.GeneralName] = [x509.RFC822Name(email) for email in self.emails]
        if self.upn is not None:
            names.append(x509.OtherName(UPN_OID, _utf8_string(self.upn)))
        names += [x509.DNSName(name) for name in self.dns_names]
        names += [x509.UniformResourceIdentifier(uri) for uri in self.uris]
        return names

    def cover(self, other: CertificateNames) -> bool:
        """Whether a certificate with these names does for one with the `other` names: it has every alternative name of
        theirs or, where they have none, their subject."""
        theirs = other.general_names()
        return set(theirs) <= set(self.general_names()) if theirs else self.subject == other.subject

    def to_plain(self) -> dict[str, Any]:
        """The names as JSON-ready values; `from_plain` is the inverse."""
        return {
            "subject": [list(pair) for pair in self.subject],
            "dns_names": list(self.dns_names),
            "emails": list(self.emails),
            "upn": self.upn,
            "uris": list(self.uris),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> CertificateNames:
        """The names that `to_plain` wrote. Raises NameNotAllowed like the constructor."""
        return cls(
            subject=tuple((short_name, value) for short_name, value in plain["subject"]),
            dns_names=tuple(plain.get("dns_names", ())),
            emails=tuple(plain.get("emails", ())),
            upn=plain.get("upn"),
            uris=tuple(plain.get("uris", ())),
        )


def subject_set(name: x509.Name) -> frozenset[tuple[str, str]]:
    """The name's attributes as (dotted OID, value), without order and string type, to compare subjects by."""
    return frozenset((attribute.oid.dotted_string, str(attribute.value)) for attribute in name)


def short_name_of(oid: x509.ObjectIdentifier) -> str:
    """The short name that `ATTRIBUTES` has for `oid`, or its dotted string."""
    attribute = _BY_OID.get(oid)
    return attribute.short_name if attribute else oid.dotted_string


def check_attribute(short_name: str, value: str) -> str:
    """`value` in Unicode normalization form C, if the subject attribute may hold it. Raises NameNotAllowed."""
    attribute = ATTRIBUTES.get(short_name)
    if attribute is None:
        raise NameNotAllowed(
            Words("a subject has no attribute {short_name}", short_name=short_name),
            Words("There are {attributes}.", attributes=", ".join(ATTRIBUTES)),
        )
    value = unicodedata.normalize("NFC", value).strip(" ")
    if not value:
        raise NameNotAllowed(Words("the subject's {short_name} is empty", short_name=short_name))
    _refuse_invisible(value, Words("the subject's {short_name}", short_name=short_name))
    length = len(value.encode())
    if length > attribute.limit:
        raise NameNotAllowed(
            Words(
                "{value} is too long for a certificate, which has room for {limit} letters there",
                value=shown(value),
                limit=attribute.limit,
            ),
            Words("Use a shorter one."),
        )
    match attribute.alphabet:
        case Alphabet.UTF8:
            return value
        case Alphabet.PRINTABLE:
            if not _PRINTABLE.match(value):
                raise NameNotAllowed(
                    Words(
                        "the subject's {short_name} may hold letters, digits and ' ( ) + , - . / : = ? only",
                        short_name=short_name,
                    )
                )
            if short_name == "C" and not re.match(r"[A-Z]{2}\Z", value):
                raise NameNotAllowed(Words("the subject's country is not a two-letter code (ISO 3166-1), such as DE"))
            return value
        case Alphabet.EMAIL:
            return check_email(value)
        case Alphabet.DNS_LABEL:
            return _check_label(value.lower(), value)


def plain_host(name: str) -> str:
    """`name` as software that follows IDNA reads it: compatibility forms as what they stand for (NFKC, as in UTS 46),
    each kind of full stop as a dot (RFC 3490 section 3.1). Checks nothing."""
    return unicodedata.normalize("NFKC", name).replace(_FULL_STOP, ".")


def check_dns_name(name: str) -> str:
    """`name` in lower case, if it is a host name: LDH labels (RFC 1034 section 3.5, RFC 1123 section 2.1), A-labels for
    anything else (RFC 5890 section 2.3.2.1), at most one `*`, as the whole left-most label. Raises NameNotAllowed."""
    if not name.isascii():
        raise NameNotAllowed(
            Words("the host name {name} is not ASCII", name=shown(name)),
            Words("Write it with xn-- labels (A-labels)."),
        )
    lower = name.lower()
    if not lower or len(lower) > _MAX_DNS_NAME:
        raise NameNotAllowed(
            Words(
                "a host name has 1 to {limit} characters, not {length}",
                limit=_MAX_DNS_NAME,
                length=len(lower),
            )
        )
    host = lower.removeprefix("*.")
    if host != lower and "." not in host:
        raise NameNotAllowed(Words("{name} is a wildcard for a whole top-level domain", name=shown(name)))
    labels = [_check_label(label, name) for label in host.split(".")]
    if labels[-1].isdigit():
        raise NameNotAllowed(Words("{name} looks like an IP address, not like a host name", name=shown(name)))
    return lower


def check_device_name(name: str) -> str:
    """`name`, if it is a host name or the first label of one (RFC 1123 section 2.1). Raises NameNotAllowed."""
    try:
        if name.startswith("*."):
            raise NameNotAllowed(Words("a wildcard names no device"))
        check_dns_name(name) if "." in name else _check_label(name.lower(), name)
    except NameNotAllowed:
        raise NameNotAllowed(
            Words("{name} is not a device name", name=shown(name)),
            Words("Use letters, digits and hyphens, with dots before the domain: laptop-042.example.org."),
        ) from None
    return name


def _check_label(label: str, name: str) -> str:
    if not _LABEL.match(label):
        raise NameNotAllowed(
            Words(
                "{name} is not a host name: {label} is not 1 to 63 letters, digits and inner hyphens",
                name=shown(name),
                label=shown(label),
            )
        )
    if label[2:4] == "--":
        _check_a_label(label, name)
    return label


def _check_a_label(label: str, name: str) -> None:
    """Raises NameNotAllowed unless `label` is an A-label: `xn--` and the Punycode of a lower-case NFC string."""
    decoded = ""
    if label.startswith("xn--"):
        try:
            decoded = label[4:].encode("ascii").decode("punycode")
            valid = decoded.encode("punycode").decode("ascii") == label[4:] and not decoded.isascii()
        except UnicodeError:
            valid = False
        valid = valid and unicodedata.normalize("NFC", decoded.lower()) == decoded
        valid = valid and all(unicodedata.category(character)[0] in "LMN" or character in "-·" for character in decoded)
        if valid:
            return
    raise NameNotAllowed(
        Words(
            "{name} is not a host name: {label} is not a valid A-label (RFC 5890)",
            name=shown(name),
            label=shown(label),
        )
    )


def check_email(email: str) -> str:
    """`email` with its domain in lower case, if it is a Mailbox with an ASCII dot-string (RFC 5321 section 4.1.2,
    RFC 5280 section 4.2.1.6). Raises NameNotAllowed."""
    local_part, at, domain = email.rpartition("@")
    if not at or not local_part:
        raise NameNotAllowed(Words("{email} is not an e-mail address", email=shown(email)))
    if len(local_part) > _MAX_LOCAL_PART or len(email) > _MAX_EMAIL:
        raise NameNotAllowed(
            Words("the e-mail address {email} is too long (RFC 5321 section 4.5.3.1)", email=shown(email))
        )
    if not _LOCAL_PART.match(local_part):
        raise NameNotAllowed(
            Words("{email} cannot stand in a certificate: the part before @ is not plain ASCII", email=shown(email)),
            Words("Use an address whose part before the @ has ASCII letters, digits and single dots."),
        )
    if domain.startswith("*"):
        raise NameNotAllowed(Words("{email} is not an e-mail address", email=shown(email)))
    return f"{local_part}@{check_dns_name(domain)}"


def check_upn(upn: str) -> str:
    """`upn` in normalization form C, if it is `user@realm` ([MS-ADTS] section 5.1.1.1.1).
    Raises NameNotAllowed."""
    upn = unicodedata.normalize("NFC", upn)
    _refuse_invisible(upn, Words("the user principal name"))
    user, at, realm = upn.rpartition("@")
    if not at or not user or not realm or "@" in user or " " in upn:
        raise NameNotAllowed(
            Words("{upn} is not a user principal name", upn=shown(upn)), Words("Use the form user@realm.")
        )
    if len(upn.encode()) > _MAX_UPN:
        raise NameNotAllowed(Words("the user principal name {upn} is too long", upn=shown(upn)))
    return upn


def check_uri(uri: str) -> str:
    """`uri`, if it is absolute and has RFC 3986's characters only (RFC 5280 section 4.2.1.6). Raises NameNotAllowed."""
    if len(uri) > _MAX_URI or not _URI.match(uri):
        raise NameNotAllowed(Words("{uri} is not an absolute URI in ASCII", uri=shown(uri)))
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        raise NameNotAllowed(Words("{uri} is not a URI", uri=shown(uri))) from None
    if uri[len(parts.scheme) + 1 :].startswith("//"):
        if not host:
            raise NameNotAllowed(Words("the URI {uri} names no host", uri=shown(uri)))
        check_dns_name(host)
    return uri


def domain_is_delegated(name: str, domains: Iterable[str]) -> bool:
    """Whether the host name, wildcard or e-mail address `name` lies in one of `domains`, that is: is one of them or
    below it. Compared label by label and in its plain form, so `notexample.org` is not in `example.org`."""
    host = plain_host(name).rpartition("@")[2].lower().removeprefix("*.")
    if not host:
        return False
    delegated = (domain.lower().removeprefix("*.") for domain in domains)
    return any(host == domain or host.endswith("." + domain) for domain in delegated if domain)


def _refuse_invisible(value: str, what: str) -> None:
    """Characters that cannot be seen, or only by some, make a name read as another: controls, formats (zero-width
    characters, direction overrides, tags), private use, surrogates, unassigned ones, line separators; and what stands
    in the place of one that was there."""
    for character in value:
        if unicodedata.category(character) in _INVISIBLE or character == "\N{REPLACEMENT CHARACTER}":
            raise NameNotAllowed(
                Words(
                    "{what} has the character U+{code}, which cannot be seen", what=what, code=f"{ord(character):04X}"
                ),
                Words("Write it without."),
            )


def _utf8_string(text: str) -> bytes:
    """`text` as a DER UTF8String (X.690 section 8.23)."""
    content = text.encode()
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x81" + bytes([size]) if size < 0x100 else b"\x82" + size.to_bytes(2)
    return b"\x0c" + length + content


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def shown(text: str) -> str:
    """`text` for an error message: short and without anything that a terminal or log would obey."""
    clipped = text if len(text) <= 80 else text[:77] + "…"
    return ascii(clipped) if not clipped.isprintable() else f"“{clipped}”"
