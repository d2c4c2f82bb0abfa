"""A bulk job's file, read row by row from the parts in which it is kept, from any row on.

CSV is what spreadsheets write: a byte order mark, a line `sep=;`, commas, semicolons or tabs, quoted line breaks, line
ends of any system, empty lines and columns at the end, columns in any order and case. JSON lines are one flat object a
line. What is wrong with a row is told of that row, and the next one is read; what is wrong with the first line of a CSV
file is told of the file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keystead_contracts.words import Words
from keystead_enroll.csv_text import LONGEST_CELL, SEPARATORS, CsvRefused, bare, column_name
from keystead_enroll.domain.bulk_columns import COLUMNS, IGNORED, MACHINE
from keystead_enroll.domain.bulk_jobs import BulkFormat, Mistake

CHUNK_OCTETS = 256 * 1024
"""Each part of a file but the last has as many."""
LONGEST_ROW = 64 * 1024
"""Octets."""
MOST_COLUMNS = 100
_MARK = b"\xef\xbb\xbf"
_HINT = re.compile(rb'"?sep=([,;\t])"?\Z', re.IGNORECASE)
_ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NO_UTF8 = re.compile(r"[\udc80-\udcff]")
_SCALAR = (str, int, type(None))
_NOT_UTF8 = Words("This is not text in UTF-8.")
_OBJECT = Words("The line is no JSON object.")

Parts = Callable[[int], bytes | None]
"""The part of the file at a position; None behind the end."""


@dataclass(frozen=True)
class Place:
    """Where the next row begins, and what the first line said."""

    octet: int = 0
    line: int = 1
    end: str = ""
    """How lines end: a line feed, or a carriage return alone; "" before the first line."""
    separator: str = ""
    columns: tuple[str, ...] = ()
    """The known name of each column of the file; "" for those that are read over."""

    def to_plain(self) -> dict[str, Any]:
        """As JSON; `from_plain` is the inverse."""
        return {"octet": self.octet, "line": self.line, "end": self.end, "separator": self.separator,
                "columns": list(self.columns)}  # fmt: skip

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any] | None) -> Place:
        """What `to_plain` wrote; the file's beginning for None."""
        return cls(**{**plain, "columns": tuple(plain["columns"])}) if plain else cls()


@dataclass(frozen=True)
class FileRow:
    """A row: the line on which it begins, column → what stands there, all its cells as they came, what is wrong."""

    line: int
    cells: Mapping[str, str] = field(default_factory=dict)
    came: Sequence[str] = ()
    mistakes: tuple[Mistake, ...] = ()


class BulkReader:
    """Reads a file from `place` on; `place` moves behind each row."""

    def __init__(self, format: BulkFormat, parts: Parts, place: Place) -> None:
        self.named: list[str] = []
        """The columns as the file's first line names them, once it was read."""
        self._format, self._parts, self._said, self._number = format, parts, place, place.line
        self._start, self._buffer, self._at = place.octet, b"", 0
        self._whole = False

    @property
    def place(self) -> Place:
        """Where the next row begins."""
        return replace(self._said, octet=self._start + self._at, line=self._number)

    def rows(self, most: int) -> Iterator[FileRow]:
        """The next rows, `most` at most; fewer: the file ends there. Raises CsvRefused if the file as a whole cannot be
        read."""
        if not self._said.end:
            self._begin()
        for _ in range(most):
            row = self._row()
            if row is None:
                return
            yield row

    # The beginning

    def _begin(self) -> None:
        self._more()
        newline = b"\n" in self._buffer or b"\r" not in self._buffer
        self._said = replace(self._said, end="\n" if newline else "\r")
        if self._buffer.startswith(_MARK):
            self._at = len(_MARK)
        if self._format is BulkFormat.CSV:
            self._header()
        else:
            self.named = list(COLUMNS)

    def _header(self) -> None:
        found = self._peek()
        if found is not None and (hint := _HINT.match(found.rstrip(b"\r\n"))):
            self._pass(found)
            self._said = replace(self._said, separator=hint[1].decode())
            found = self._peek()
        while found is not None and not found.strip():
            self._pass(found)
            found = self._peek()
        if found is None:
            raise CsvRefused(Words("The file is empty."))
        if not self._said.separator:
            text = found.decode("utf-8", "replace")
            self._said = replace(self._said, separator=max(SEPARATORS, key=text.count))
        cells, mistakes = self._cells()
        if mistakes:
            raise CsvRefused(Words("The first line cannot be read: {why}", why=mistakes[0].reason))
        while cells and not cells[-1].strip():
            cells.pop()
        columns = tuple(column_name(cell) for cell in cells)
        _check_columns(columns)
        self.named = [cell.strip() for cell, name in zip(cells, columns, strict=True) if name not in IGNORED]
        self._said = replace(self._said, columns=tuple("" if name in IGNORED else name for name in columns))

    # Rows

    def _row(self) -> FileRow | None:
        while (line := self._peek()) is not None:
            number = self._number
            if len(line) > LONGEST_ROW:
                self._skip()
                why = Words("The row is longer than {number} octets.", number=f"{LONGEST_ROW:,}")
                return FileRow(number, mistakes=(Mistake("", why),))
            if not line.strip():
                self._pass(line)
            elif self._format is BulkFormat.JSONL:
                self._pass(line)
                return _of_json(number, line)
            else:
                cells, mistakes = self._cells()
                if mistakes:
                    return FileRow(number, came=[_storable(cell) for cell in cells], mistakes=tuple(mistakes))
                if any(cell.strip() for cell in cells):
                    return self._named_cells(number, cells)
        return None

    def _cells(self) -> tuple[list[str], list[Mistake]]:
        """The cells of the row at this place, which is passed. A row that cannot be taken apart ends with its line, so
        that a quote that is never closed costs no other row."""
        line = self._peek() or b""
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        if '"' not in text:
            self._pass(line)
            return text.split(self._said.separator), []
        taken = [line]

        def lines() -> Iterator[str]:
            ahead = self._at + len(line)
            yield line.decode("utf-8", "surrogateescape")
            while ahead - self._at <= LONGEST_ROW and (following := self._line(ahead)) is not None:
                ahead += len(following)
                taken.append(following)
                yield following.decode("utf-8", "surrogateescape")

        try:
            cells = next(csv.reader(lines(), delimiter=self._said.separator, strict=True))
        except csv.Error as error:
            self._pass(line)
            why = Words("The row cannot be taken apart: {why}.", why=str(error))
            if "end of data" in str(error):
                why = Words("A quotation mark is never closed.")
            return text.split(self._said.separator), [Mistake("", why)]
        for each in taken:
            self._pass(each)
        return cells, []

    def _named_cells(self, number: int, cells: list[str]) -> FileRow:
        columns, mistakes = self._said.columns, []
        while len(cells) > len(columns) and not cells[-1].strip():
            cells.pop()
        if len(cells) > len(columns):
            why = Words("The row has {cells} cells and the first line names {columns} columns.",
                        cells=len(cells), columns=len(columns))  # fmt: skip
            mistakes.append(Mistake("", why))
        named: dict[str, str] = {}
        for name, cell in zip(columns, cells, strict=False):
            if not name:
                continue
            if wrong := _wrong(cell):
                mistakes.append(Mistake(name, wrong))
            named[name] = bare(cell).strip()
        came = [_storable(cell) for name, cell in zip(columns, cells, strict=False) if name] if mistakes else cells
        return FileRow(number, named, came, tuple(mistakes))

    # Lines and octets

    def _peek(self) -> bytes | None:
        """The line at this place with its end, or more than LONGEST_ROW octets of it; None at the file's end."""
        return self._line(self._at)

    def _line(self, begin: int) -> bytes | None:
        end = self._said.end.encode()
        looked = begin
        while True:
            found = self._buffer.find(end, looked)
            if found >= 0:
                return self._buffer[begin : found + 1]
            if len(self._buffer) - begin > LONGEST_ROW:
                return self._buffer[begin : begin + LONGEST_ROW + 1]
            looked = len(self._buffer)
            if not self._more():
                return self._buffer[begin:] or None

    def _pass(self, line: bytes) -> None:
        self._at += len(line)
        self._number += 1
        if self._at >= CHUNK_OCTETS:  # what was read is needed no more
            self._start, self._buffer, self._at = self._start + self._at, self._buffer[self._at :], 0

    def _skip(self) -> None:
        """Passes a line that is too long, without having it whole."""
        end = self._said.end.encode()
        while (found := self._buffer.find(end, self._at)) < 0:
            self._start, self._buffer, self._at = self._start + len(self._buffer), b"", 0
            if not self._more():
                return
        self._at, self._number = found + 1, self._number + 1

    def _more(self) -> bool:
        """Has the next part of the file in the buffer; False if there is none."""
        if self._whole:
            return False
        behind = self._start + len(self._buffer)
        part = self._parts(behind // CHUNK_OCTETS)
        rest = part[behind % CHUNK_OCTETS :] if part else b""
        self._whole = not rest
        self._buffer += rest
        return bool(rest)


def _check_columns(columns: Sequence[str]) -> None:
    known = Words("The columns are: {columns}.", columns=", ".join(COLUMNS))
    strange = [name or "(without a name)" for name in columns if name not in COLUMNS and name not in IGNORED]
    if strange:
        names = ", ".join(_storable(name)[:64] for name in strange[:5])
        raise CsvRefused(Words("The first line has a column that is not known: {names}.", names=names), known)
    if len(set(columns)) != len(columns) or len(columns) > MOST_COLUMNS:
        raise CsvRefused(Words("The first line names a column twice."), known)
    if not set(columns) & set(MACHINE):
        told = Words("The first line has no column that says which machine it is: {columns}.",
                     columns=", ".join(MACHINE))  # fmt: skip
        raise CsvRefused(told, known)


def _wrong(cell: str) -> str:
    """What is wrong with a cell, "" if nothing is."""
    if len(cell) > LONGEST_CELL:
        return Words("A cell has more than {number} characters.", number=LONGEST_CELL)
    odd = _ODD.search(cell)
    if odd is None:
        return ""
    if _NO_UTF8.match(odd[0]):
        return _NOT_UTF8
    return Words("This has the character U+{code}, which cannot be stored.", code=f"{ord(odd[0]):04X}")


def _storable(cell: str) -> str:
    """A cell as it can be stored and shown."""
    return _ODD.sub("\N{REPLACEMENT CHARACTER}", cell)[: LONGEST_CELL + 1]


def _of_json(number: int, line: bytes) -> FileRow:
    pairs: list[tuple[str, Any]] = []

    def flat(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = found
        return dict(found)

    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        said = json.loads(
            line.decode("utf-8", "surrogateescape"), object_pairs_hook=flat, parse_constant=no_constant,
            parse_float=no_constant,
        )  # fmt: skip
    except (ValueError, RecursionError):
        return FileRow(number, mistakes=(Mistake("", _OBJECT),))
    if not isinstance(said, dict):
        return FileRow(number, mistakes=(Mistake("", _OBJECT),))
    named: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for key, value in pairs:
        name = column_name(key)
        if name in IGNORED:
            continue
        if name not in COLUMNS:
            why = Words("There is no column {name}.", name=_storable(key)[:64])
            mistakes.append(Mistake("", why))
            continue
        if name in named:
            mistakes.append(Mistake(name, Words("This stands here twice.")))
        if name == "dns_names" and isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = " ".join(value)
        if not isinstance(value, _SCALAR) or isinstance(value, bool):
            mistakes.append(Mistake(name, Words("This is neither text nor a whole number.")))
            value = None
        text = "" if value is None else str(value)
        if wrong := _wrong(text):
            mistakes.append(Mistake(name, wrong))
        named[name] = text.strip()
    came = [_storable(named.get(name, "")) for name in COLUMNS]
    return FileRow(number, named, came, tuple(mistakes))
