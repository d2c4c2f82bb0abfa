"""TPM structures, octet by octet: big-endian fields, taken off the front, and nothing left over.

Structures: TCG "TPM 2.0 Library", Part 2 "Structures"; section numbers are those of revision 1.59.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TypeVar

from keystead_enroll.domain.errors import EvidenceMalformed

_T = TypeVar("_T")


class StructureTooShort(EvidenceMalformed):
    """A structure ends before its last field."""


class StructureTooLong(EvidenceMalformed):
    """Octets follow a structure's last field."""


class Reader:
    """Takes big-endian fields off the front of `data`; raises StructureTooShort when there are too few octets."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        """The next `count` octets."""
        end = self._position + count
        if end > len(self._data):
            raise StructureTooShort("a TPM structure ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def u8(self) -> int:
        """A UINT8."""
        return self.take(1)[0]

    def u16(self) -> int:
        """A UINT16."""
        return int.from_bytes(self.take(2))

    def u32(self) -> int:
        """A UINT32."""
        return int.from_bytes(self.take(4))

    def u64(self) -> int:
        """A UINT64."""
        return int.from_bytes(self.take(8))

    def tpm2b(self) -> bytes:
        """A TPM2B: a 16-bit size and that many octets (section 10.4.1)."""
        return self.take(self.u16())

    def rest(self) -> bytes:
        """What was not taken."""
        return self._data[self._position :]

    def end(self, what: str) -> None:
        """Returns if nothing is left. Raises StructureTooLong."""
        if self._position != len(self._data):
            raise StructureTooLong(f"the {what} has trailing octets")


def whole(data: bytes, what: str, parse: Callable[[Reader], _T]) -> _T:
    """What `parse` makes of `data`, all of it. Raises StructureTooShort, StructureTooLong, and what `parse` raises."""
    reader = Reader(data)
    parsed = parse(reader)
    reader.end(what)
    return parsed


def only_tpm2b(data: bytes, what: str) -> bytes:
    """The content of the one TPM2B that `data` is. Raises EvidenceMalformed, also if it is empty."""
    content = whole(data, what, Reader.tpm2b)
    if not content:
        raise EvidenceMalformed(f"the {what} is empty")
    return content


def decoded(text: str, what: str) -> bytes:
    """The octets that `text` is in base64. Raises EvidenceMalformed."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise EvidenceMalformed(f"the {what} is not base64") from None
