"""How many rows a statement changed."""

from __future__ import annotations

from sqlalchemy import CursorResult, Executable
from sqlalchemy.orm import Session as Connection


def rows_changed(connection: Connection, statement: Executable) -> int:
    """Executes an INSERT, UPDATE or DELETE; the number of its rows."""
    result = connection.execute(statement)
    assert isinstance(result, CursorResult)  # noqa: S101 such a statement has a cursor
    return result.rowcount
