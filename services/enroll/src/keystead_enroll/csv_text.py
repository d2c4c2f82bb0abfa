"""CSV (RFC 4180) as spreadsheets write and read it.

What we write cannot be mistaken for a formula: a cell that a spreadsheet would compute begins with an apostrophe, and
every cell stands in quotes, so that none begins elsewhere where another separator is usual. What we read may have such
apostrophes, a byte order mark, semicolons or tabs, quoted line breaks, and its columns in any order and case.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words

MEDIA_TYPE = "text/csv; charset=utf-8"
MOST_ROWS = 10_000
_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
SEPARATORS = ",;\t"
LONGEST_CELL = 4096


class CsvRefused(Refusal):
    """The file as a whole cannot be used."""

    default_advice = Words("Save it as “CSV UTF-8” with one line of column names, and send it again.")


@dataclass(frozen=True)
class CsvRow:
    """A row: the line of the file on which it begins, and column → cell. `mistake`: why it cannot be used."""

    line: int
    cells: Mapping[str, str]
    mistake: str = ""


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The file's text. None is an empty cell, a time is ISO 8601, a truth value yes or no."""
    return "".join(csv_line(row) for row in [columns, *rows])


def csv_line(cells: Iterable[object]) -> str:
    """One line with its end, as `write_csv` writes it: for a file that is made line by line."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([_guarded(cell) for cell in cells])
    return text.getvalue()


def read_csv(
    content: bytes, *, columns: Collection[str], required: Collection[str], ignored: Collection[str] = ()
) -> Iterator[CsvRow]:
    """The rows of a file whose first line names its columns; empty lines are left out.

    Raises CsvRefused at once if there is no such line, or it lacks one of `required` or has any but `columns` and
    `ignored`; and while it is read at a quote that is never closed.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CsvRefused(Words("The file is not text in UTF-8.")) from error
    first = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines = _read(reader)
    header = [column_name(name) for name in next(lines, (1, []))[1]]
    _check_header(header, columns, required, ignored)
    return _rows(lines, header, frozenset(columns))


def _rows(lines: Iterator[tuple[int, list[str]]], header: list[str], columns: frozenset[str]) -> Iterator[CsvRow]:
    for number, (line, cells) in enumerate(lines, 1):
        if number > MOST_ROWS:
            raise CsvRefused(
                Words("The file has more than {number} rows.", number=MOST_ROWS),
                Words("Split it, and send one part after the other."),
            )
        named = {name: bare(cell) for name, cell in zip(header, cells, strict=False) if name in columns}
        mistake = ""
        if len(cells) > len(header):
            mistake = Words(
                "The row has {cells} cells and the first line names {columns} columns.",
                cells=len(cells),
                columns=len(header),
            )
        elif any(len(cell) > LONGEST_CELL for cell in cells):
            mistake = Words("A cell has more than {number} characters.", number=LONGEST_CELL)
        yield CsvRow(line, named, mistake)


def _read(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, and the line on which each begins."""
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CsvRefused(
                Words("The row that begins on line {line} cannot be read: {why}.", line=line, why=str(error))
            ) from error
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1  # type: ignore[attr-defined]


def column_name(name: str) -> str:
    """What a column is called here, however somebody writes it."""
    return re.sub(r"[\s-]+", "_", name.strip().lower()).replace("e_mail", "email")


def _check_header(
    header: list[str], columns: Collection[str], required: Collection[str], ignored: Collection[str]
) -> None:
    known = Words(
        "The columns are: {columns}. There must be: {required}.",
        columns=", ".join(columns),
        required=", ".join(required),
    )
    lacking = [name for name in required if name not in header]
    if lacking:
        raise CsvRefused(Words("The first line does not name: {columns}.", columns=", ".join(lacking)), known)
    strange = [name or "(without a name)" for name in header if name not in columns and name not in ignored]
    if strange:
        raise CsvRefused(
            Words("The first line has a column that is not known: {names}.", names=", ".join(strange)[:200]), known
        )
    if len(set(header)) != len(header):
        raise CsvRefused(Words("The first line names a column twice."), known)


def _guarded(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_COMPUTED) else text


def bare(cell: str) -> str:
    """A cell as it was before `_guarded`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_COMPUTED) else cell
