"""Files of bulk jobs: whatever a spreadsheet writes, and whatever is wrong in them."""

from __future__ import annotations

import codecs
import json

import pytest

from keystead_enroll.bulk_file import CHUNK_OCTETS, LONGEST_ROW, BulkReader, FileRow, Place
from keystead_enroll.csv_text import CsvRefused
from keystead_enroll.domain.bulk_jobs import BulkFormat
from keystead_enroll.domain.bulk_text import Utf8


def reader(content: bytes, format: BulkFormat = BulkFormat.CSV, place: Place | None = None) -> BulkReader:
    def part(position: int) -> bytes | None:
        return content[position * CHUNK_OCTETS : (position + 1) * CHUNK_OCTETS] or None

    return BulkReader(format, part, place or Place())


def read(content: bytes, format: BulkFormat = BulkFormat.CSV) -> list[FileRow]:
    return list(reader(content, format).rows(10**9))


def names(content: bytes, format: BulkFormat = BulkFormat.CSV) -> list[tuple[int, str]]:
    return [(row.line, row.cells.get("device_name", "")) for row in read(content, format) if not row.mistakes]


def wrong(content: bytes, format: BulkFormat = BulkFormat.CSV) -> list[tuple[int, str]]:
    return [(row.line, row.mistakes[0].field) for row in read(content, format) if row.mistakes]


def as_utf8(content: bytes, size: int = 3) -> bytes:
    text = Utf8()
    pieces = [text.feed(content[begin : begin + size]) for begin in range(0, len(content), size)]
    return b"".join([*pieces, text.end()])


@pytest.mark.parametrize(
    "content",
    [
        "device_name,owner\na,x@y.z\nb,\n",
        "device_name;owner\r\na;x@y.z\r\nb;\r\n",
        "device_name\towner\na\tx@y.z\nb\n",
        "sep=;\ndevice_name;owner\na;x@y.z\nb;",
        '"Device name","Owner"\r\n"a","x@y.z"\r\n"b",""',
        "OWNER, DEVICE-NAME ,,\nx@y.z,a,,\n,b,,\n,,,\n\n \n",
        "device_name,owner\ra,x@y.z\rb,\r",
        "\n\ndevice_name,owner\n\na,x@y.z\n,,\nb,\n\n\n",
    ],
    ids=["plain", "semicolons", "tabs", "hint", "quoted", "empty columns", "carriage returns", "empty lines"],
)
def test_what_spreadsheets_write_is_read(content: str) -> None:
    for octets in (content.encode(), codecs.BOM_UTF8 + content.encode()):
        rows = read(octets)
        assert [(row.cells["device_name"], row.cells.get("owner", "")) for row in rows] == [("a", "x@y.z"), ("b", "")]
        assert not any(row.mistakes for row in rows)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_by_its_mark(encoding: str) -> None:
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else codecs.BOM_UTF16_BE
    content = mark + "device_name;label\nä-1;日本\nb;𝄞\n".encode(encoding)
    rows = read(as_utf8(content))
    assert [(row.cells["device_name"], row.cells["label"]) for row in rows] == [("ä-1", "日本"), ("b", "𝄞")]


def test_what_is_wrong_in_utf_16_is_wrong_in_its_row() -> None:
    lone, odd = b"\x00\xd8", b"x"
    content = codecs.BOM_UTF16_LE + "device_name\na\n".encode("utf-16-le") + lone + "\nb\nc".encode("utf-16-le") + odd
    assert names(as_utf8(content)) == [(2, "a"), (4, "b")]
    assert wrong(as_utf8(content)) == [(3, "device_name"), (5, "device_name")]


def test_plain_octets_pass_as_they_are() -> None:
    for content in (b"", b"a", b"\xff\xfe"[:1], b"device_name\n\xff\n", codecs.BOM_UTF8 + b"a"):
        assert as_utf8(content) == content


def test_a_quoted_cell_may_break_lines() -> None:
    content = b'device_name,label\r\na,"two\r\nlines, and ""quotes"""\r\nb,x\r\n'
    rows = read(content)
    assert [(row.line, row.cells["device_name"]) for row in rows] == [(2, "a"), (4, "b")]
    assert rows[0].cells["label"] == 'two\r\nlines, and "quotes"'


@pytest.mark.parametrize("junk", [b'"x', b'"x"y', b'"', b'""x"'], ids=["open", "behind", "alone", "mixed"])
def test_a_quotation_mark_too_many_costs_no_other_row(junk: bytes) -> None:
    filler = b"".join(b"n%d,\n" % number for number in range(20_000))
    content = b"device_name,label\na," + junk + b"\n" + filler + b"z,\n"
    good = names(content)
    assert wrong(content) == [(2, "")]
    assert (len(good), good[0], good[-1]) == (20_001, (3, "n0"), (20_003, "z"))


def test_a_mark_within_a_cell_is_text() -> None:
    assert read(b'device_name,label\na,5" disk\nb,x\n')[0].cells["label"] == '5" disk'


@pytest.mark.parametrize(
    ("cell", "field"),
    [(b"\xff\xfe", "label"), (b"a\0b", "label"), (b"x" * 5000, "label"), ("caf\xe9".encode("latin-1"), "label")],
    ids=["no UTF-8", "NUL", "too long", "latin-1"],
)
def test_a_cell_that_cannot_be_is_told_by_its_column(cell: bytes, field: str) -> None:
    content = b"device_name,label\na,\nb," + cell + b"\nc,\n"
    assert (names(content), wrong(content)) == ([(2, "a"), (4, "c")], [(3, field)])
    (row,) = [row for row in read(content) if row.mistakes]
    assert row.came[0] == "b"
    assert all("\0" not in came and came.encode() for came in row.came)


@pytest.mark.parametrize("octets", [LONGEST_ROW + 1, CHUNK_OCTETS, 3 * CHUNK_OCTETS + 17])
def test_a_row_that_is_too_long_is_passed_over(octets: int) -> None:
    content = b"device_name\na\n" + b"x" * octets + b"\nb\n"
    assert (names(content), wrong(content)) == ([(2, "a"), (4, "b")], [(3, "")])
    assert wrong(content[:-3]) == [(3, "")]


def test_a_row_with_more_cells_than_columns_is_told() -> None:
    assert wrong(b"device_name\na,b\nc,,\n") == [(2, "")]


def test_an_apostrophe_before_a_formula_is_taken_off() -> None:
    assert read(b'device_name,label\na,"\'=1+1"\n')[0].cells["label"] == "=1+1"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"nothing,known\na,b\n", b"device_name,device name\n", b"label\nx\n", b'"device_name\n', b"a\0b\n"],
    ids=["empty", "blank", "unknown", "twice", "no machine", "open quote", "nul"],
)
def test_a_file_without_a_first_line_that_can_be_used_is_refused(content: bytes) -> None:
    with pytest.raises(CsvRefused):
        read(content)


def test_a_file_of_refused_rows_may_come_again() -> None:
    content = b"device_name,label,line,field,reason\na,x,2,label,This is wrong.\n"
    one = reader(content)
    (row,) = one.rows(10)
    assert (dict(row.cells), one.named) == ({"device_name": "a", "label": "x"}, ["device_name", "label"])


@pytest.mark.parametrize("format", BulkFormat)
def test_reading_goes_on_from_any_row(format: BulkFormat) -> None:
    lines = [b"device_name,label"] if format is BulkFormat.CSV else []
    for number in range(9_000):
        name, label = f"laptop-{number}", "x" * (number % 70)
        if format is BulkFormat.CSV:
            lines.append(f'{name},"{label}\n{label}"'.encode() if number % 7 == 0 else f"{name},{label}".encode())
        else:
            lines.append(json.dumps({"device_name": name, "label": label}).encode())
    content = b"\n".join(lines) + b"\n"
    assert len(content) > CHUNK_OCTETS
    whole = [(row.line, dict(row.cells)) for row in read(content, format)]
    place, parts = Place(), []
    while True:
        one = reader(content, format, Place.from_plain(json.loads(json.dumps(place.to_plain()))))
        found = [(row.line, dict(row.cells)) for row in one.rows(173)]
        parts += found
        place = one.place
        if len(found) < 173:
            break
    assert (len(parts), parts == whole) == (9_000, True)
    assert place.octet == len(content)


# JSON lines


def test_json_lines_are_read() -> None:
    content = (
        b'{"device_name": "a", "term_days": 30, "owner": null}\n\n{"Device Name": "b", "dns_names": ["x.y", "z.y"]}'
    )
    rows = read(codecs.BOM_UTF8 + content, BulkFormat.JSONL)
    assert [row.mistakes for row in rows] == [(), ()]
    assert rows[0].cells == {"device_name": "a", "term_days": "30", "owner": ""}
    assert rows[1].cells == {"device_name": "b", "dns_names": "x.y z.y"}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b'{"device_name": "a"', ""),
        (b"[1]", ""),
        (b'"a"', ""),
        (b"[" * 60_000, ""),
        (b'{"device_name": ' + b"9" * 5000 + b"}", ""),
        (b'{"device_name": NaN}', ""),
        (b'{"term_days": 1.5}', ""),
        (b'{"device_name": "a", "device_name": "b"}', "device_name"),
        (b'{"device_name": "a", "Device-Name": "b"}', "device_name"),
        (b'{"device_name": {"a": 1}}', "device_name"),
        (b'{"device_name": true}', "device_name"),
        (b'{"dns_names": [["a"]]}', "dns_names"),
        (b'{"owner": ["a"]}', "owner"),
        (b'{"device_name": "a\\u0000"}', "device_name"),
        (b'{"device_name": "\\ud800"}', "device_name"),
        (b'{"device_name": "\xff"}', "device_name"),
        (b'{"devicename": "a"}', ""),
        (b"x" * (LONGEST_ROW + 1), ""),
    ],
    ids=[
        "cut", "list", "text", "deep", "huge number", "no number", "fraction", "twice", "twice otherwise", "nested",
        "truth", "nested list", "list of", "nul", "surrogate", "no utf-8", "unknown", "long",
    ],
)  # fmt: skip
def test_a_line_that_is_no_such_object_costs_no_other(line: bytes, field: str) -> None:
    content = b'{"device_name": "first"}\n' + line + b'\n{"device_name": "last"}\n'
    assert names(content, BulkFormat.JSONL) == [(1, "first"), (3, "last")]
    assert wrong(content, BulkFormat.JSONL) == [(2, field)]
