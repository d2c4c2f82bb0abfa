"""Lines of CSV that are sent while they are made."""

from __future__ import annotations

import pytest

from keystead_enroll.csv_text import csv_line


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_looks_like_a_formula_gets_an_apostrophe(begin: str) -> None:
    assert csv_line([f"{begin}1"]) == f'"\'{begin}1"\r\n'


def test_commas_quotes_and_line_breaks_stay_within_their_cell() -> None:
    assert csv_line(['a,"b"\nc', None]) == '"a,""b""\nc",""\r\n'
