"""CSV files: what spreadsheets send, and what they must not compute."""

from __future__ import annotations

import csv
import io

import pytest

from keystead_enroll.csv_text import MOST_ROWS, CsvRefused, CsvRow, csv_line, read_csv, write_csv


def read(content: bytes | str) -> list[CsvRow]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read_csv(raw, columns=("email", "name", "note"), required=("email", "name"), ignored=("id",)))


def cells(content: bytes | str) -> list[dict[str, str]]:
    return [dict(row.cells) for row in read(content)]


@pytest.mark.parametrize("content", [
    "email,name\nada@example.org,Ada\n",
    "\ufeffemail;name\r\nada@example.org;Ada\r\n",
    "NAME\tE-Mail\nAda\tada@example.org",
    '"Name",  Email\nAda,ada@example.org\n\n , \n',
    "id,name,email\n7,Ada,ada@example.org\n",
])  # fmt: skip
def test_a_file_is_read_as_spreadsheets_write_it(content: str) -> None:
    assert cells(content) == [{"email": "ada@example.org", "name": "Ada"}]


def test_a_row_knows_the_line_on_which_it_begins() -> None:
    rows = read('email,name\n"a@example.org","two\nlines"\n\nb@example.org,B\n')
    assert [(row.line, row.cells["name"]) for row in rows] == [(2, "two\nlines"), (5, "B")]


@pytest.mark.parametrize(("content", "told"), [
    (b"", "email"),
    (b"email\nada@example.org", "name"),
    (b"email,name,secrte\na,b,c", "secrte"),
    (b"email,name,email\na,b,c", "twice"),
    (b"\xff\xfee\x00m\x00", "UTF-8"),
    (b'email,name\n"ada', "line 2"),
    (b'email,name\n"a"x,b', "line 2"),
    (b"email,name\n" + b"a,b\n" * (MOST_ROWS + 1), "rows"),
    (b"email,name\n" + b"a" * 200_000 + b",b", "line 2"),
])  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(CsvRefused) as refused:
        read(content)
    assert told in refused.value.detail


def test_a_row_with_more_cells_than_columns_is_marked() -> None:
    (good, bad) = read("email,name\na@example.org,A\nb@example.org,B,C\n")
    assert not good.mistake
    assert "3 cells" in bad.mistake


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_nothing_that_is_written_is_a_formula(text: str) -> None:
    written = write_csv(["email", "name"], [["a@example.org", text]])
    (_, row) = csv.reader(io.StringIO(written, newline=""))
    assert row[1] == f"'{text}"


@pytest.mark.parametrize("text", [*FORMULAS, "plain", "'quoted'", 'a "b"; c, d', "two\r\nlines"])
def test_what_was_written_is_read_back_as_it_was(text: str) -> None:
    written = write_csv(["email", "name"], [["a@example.org", text]])
    assert cells(written) == [{"email": "a@example.org", "name": text}]


def test_no_cell_begins_elsewhere_where_semicolons_separate() -> None:
    written = write_csv(["email", "name"], [["a@example.org", "a;=1+1"]])
    (_, row) = csv.reader(io.StringIO(written, newline=""), delimiter=";")
    assert "=1+1" not in row


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_looks_like_a_formula_gets_an_apostrophe(begin: str) -> None:
    assert csv_line([f"{begin}1"]).strip('"\r\n').startswith(f"'{begin}")


def test_commas_quotes_and_line_breaks_stay_within_their_cell() -> None:
    assert csv_line(['a,"b"\nc', "d"]) == '"a,""b""\nc","d"\r\n'


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert csv_line([-5, None, "x-y"]) == '"-5","","x-y"\r\n'
