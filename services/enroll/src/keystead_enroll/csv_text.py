"""CSV (RFC 4180) that a spreadsheet does not take for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Iterable[object]) -> str:
    """One line with its end. Text that a spreadsheet would run, because it begins with = + - @ tab or CR, gets an
    apostrophe before it; None is empty, times are ISO 8601."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_plain(cell) for cell in cells])
    return line.getvalue()


def _plain(cell: object) -> object:
    if cell is None:
        return ""
    if isinstance(cell, bool | int | float):
        return cell
    text = cell.isoformat() if isinstance(cell, datetime) else str(cell)
    return f"'{text}" if text.startswith(_FORMULAS) else text
