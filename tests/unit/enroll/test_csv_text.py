"""CSV that a spreadsheet does not run."""

from __future__ import annotations

import pytest

from keystead_enroll.csv_text import csv_line


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_looks_like_a_formula_gets_an_apostrophe(begin: str) -> None:
    assert csv_line([f"{begin}1"]).strip('"\r\n').startswith(f"'{begin}")


def test_commas_quotes_and_line_breaks_stay_within_their_cell() -> None:
    assert csv_line(['a,"b"\nc', "d"]) == '"a,""b""\nc","d"\r\n'


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert csv_line([-5, None, "x-y"]) == '"-5","","x-y"\r\n'
