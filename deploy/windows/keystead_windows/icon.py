"""The programs' icon: a key on a chip, drawn here so that no picture is kept. An ICO file of PNG images."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

SIZES = (16, 24, 32, 48, 64, 128, 256)
PLATE, KEY, NONE = (31, 78, 121, 255), (255, 255, 255, 255), (0, 0, 0, 0)
SAMPLES = 4
"""Each pixel is the mean of so many by so many."""
Colour = tuple[int, int, int, int]


def write_icon(path: Path) -> None:
    """Writes the icon in all sizes that Windows shows."""
    images = [_png(size) for size in SIZES]
    header = struct.pack("<3H", 0, 1, len(images))
    offset = len(header) + 16 * len(images)
    entries = b""
    for size, image in zip(SIZES, images, strict=True):
        entries += struct.pack("<4B2H2I", size % 256, size % 256, 0, 0, 1, 32, len(image), offset)
        offset += len(image)
    path.write_bytes(header + entries + b"".join(images))


def _colour(x: float, y: float) -> Colour:
    """The picture at a point, both coordinates from 0 to 1."""
    if not (0.09 < x < 0.91 and 0.09 < y < 0.91):
        return PLATE if _pin(x, y) or _pin(y, x) else NONE
    corner = max(abs(x - 0.5) - 0.31, 0) ** 2 + max(abs(y - 0.5) - 0.31, 0) ** 2 > 0.1**2
    if corner:
        return NONE
    ring = 0.085**2 < (x - 0.35) ** 2 + (y - 0.5) ** 2 < 0.17**2
    shaft = 0.5 < x < 0.8 and abs(y - 0.5) < 0.045
    teeth = (0.62 < x < 0.69 or 0.74 < x < 0.8) and 0.5 < y < 0.64
    return KEY if ring or shaft or teeth else PLATE


def _pin(along: float, across: float) -> bool:
    edge = 0.02 < across < 0.98
    return edge and any(abs(along - middle) < 0.04 for middle in (0.3, 0.5, 0.7))


def _png(size: int, colour: Callable[[float, float], Colour] = _colour) -> bytes:
    rows = b"".join(b"\0" + b"".join(bytes(_mean(size, x, y, colour)) for x in range(size)) for y in range(size))
    head = struct.pack(">2I5B", size, size, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")


def _mean(size: int, x: int, y: int, colour: Callable[[float, float], Colour]) -> Colour:
    steps = [(step + 0.5) / SAMPLES for step in range(SAMPLES)]
    points = [colour((x + dx) / size, (y + dy) / size) for dx in steps for dy in steps]
    alpha = sum(point[3] for point in points)
    if alpha == 0:
        return NONE
    red, green, blue = (sum(point[c] * point[3] for point in points) // alpha for c in range(3))
    return red, green, blue, alpha // len(points)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
