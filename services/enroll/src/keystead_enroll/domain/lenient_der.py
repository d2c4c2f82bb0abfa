"""DER as endorsement certificates have it: not always strict. Lengths may be written longer than they need to be; they
are never indefinite, and nothing reaches outside of what holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from keystead_enroll.domain.errors import EvidenceMalformed

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31
_MOST_LENGTH_OCTETS = 8
_MOST_ARCS = 64


class DerMalformed(EvidenceMalformed):
    """What should be DER is not, not even nearly."""


@dataclass(frozen=True)
class Element:
    """One value: its tag, its content, and all its octets."""

    tag: int
    content: bytes
    raw: bytes


def first(data: bytes, tag: int | None = None) -> Element:
    """The element that `data` begins with. Raises DerMalformed if it is cut, or not of `tag`."""
    if len(data) < 2:
        raise DerMalformed("a certificate's structure ends too early")
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= _MOST_LENGTH_OCTETS:
            raise DerMalformed("a certificate has a length that cannot be read")
        start += count
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        raise DerMalformed("a certificate's structure ends too early")
    if data[0] & 0x1F == 0x1F or (tag is not None and data[0] != tag):
        raise DerMalformed(f"a certificate has the tag {data[0]:#04x} at a place where another belongs")
    return Element(data[0], data[start : start + length], data[: start + length])


def elements(data: bytes) -> Iterator[Element]:
    """All the elements of a SEQUENCE's or SET's content."""
    while data:
        element = first(data)
        yield element
        data = data[len(element.raw) :]


def listed(data: bytes, least: int) -> list[Element]:
    """`elements`, at least so many of them."""
    found = list(elements(data))
    if len(found) < least:
        raise DerMalformed("a certificate's structure has too few parts")
    return found


def expect(element: Element, tag: int) -> bytes:
    """The content of an element that has to be of `tag`."""
    if element.tag != tag:
        raise DerMalformed(f"a certificate has the tag {element.tag:#04x} at a place where another belongs")
    return element.content


def natural(element: Element) -> int:
    """An INTEGER that cannot be negative; a leading zero may be missing."""
    return int.from_bytes(expect(element, INTEGER))


def bits(element: Element) -> bytes:
    """A BIT STRING's octets."""
    content = expect(element, BIT_STRING)
    if not content or content[0] > 7:
        raise DerMalformed("a certificate has a bit string that cannot be read")
    return content[1:]


def oid(element: Element) -> str:
    """An OBJECT IDENTIFIER in dotted form."""
    content = expect(element, OID)
    if not content or content[-1] & 0x80 or len(content) > _MOST_ARCS:
        raise DerMalformed("a certificate has an object identifier that cannot be read")
    arcs, value = [], 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    root = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (root, arcs[0] - 40 * root, *arcs[1:]))
