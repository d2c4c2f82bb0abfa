"""A file's octets as UTF-8, piece by piece, whatever spreadsheet wrote them."""

from __future__ import annotations

import codecs

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
WRONG = b"\xff"
"""No UTF-8, so that the row in which it stands is refused."""


class Utf8:
    """UTF-16 with its byte order mark as UTF-8; anything else, and what is wrong in it, as it is.

    A surrogate without its other half becomes octets that are no UTF-8 either.
    """

    def __init__(self) -> None:
        self._begin: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, piece: bytes) -> bytes:
        """What is known of the text after this piece."""
        if self._begin is not None:
            self._begin += piece
            if len(self._begin) < 2:
                return b""
            piece, self._begin = self._begin, None
            encoding = next((name for mark, name in _MARKS if piece.startswith(mark)), "")
            if encoding:
                self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
                piece = piece[2:]
        if self._decoder is None:
            return piece
        return self._decoder.decode(piece).encode("utf-8", "surrogatepass")

    def end(self) -> bytes:
        """The rest."""
        if self._begin is not None:
            return self._begin
        if self._decoder is None:
            return b""
        rest, _ = self._decoder.getstate()
        return WRONG if rest else b""
