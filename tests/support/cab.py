"""A cab file (Microsoft Cabinet Format, [MS-CAB] section 2), without compression."""

from __future__ import annotations

import struct
from collections.abc import Mapping

BLOCK = 32768


def cab(files: Mapping[str, bytes]) -> bytes:
    """The cab with these files; folders in a name stand before a slash."""
    content = b"".join(files.values())
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    listed, offset = b"", 0
    for name, each in files.items():
        listed += struct.pack("<IIHHHH", len(each), offset, 0, 0x5B7A, 0, 0x20)
        listed += name.replace("/", "\\").encode("ascii") + b"\0"
        offset += len(each)
    first_file = 36 + 8
    data = b"".join(struct.pack("<IHH", 0, len(block), len(block)) + block for block in blocks)
    start = first_file + len(listed)
    folder = struct.pack("<IHH", start, len(blocks), 0)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, start + len(data), 0, first_file, 0, 3, 1, 1, len(files), 0, 0, 0)
    return head + folder + listed + data
