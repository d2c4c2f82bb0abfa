"""What is answered to a CSV file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from keystead_enroll.csv_text import MEDIA_TYPE
from keystead_enroll.usecases.admin.csv_import import FileColumns

CSV_OUT: dict[int | str, dict[str, Any]] = {200: {"description": "The file.", "content": {MEDIA_TYPE: {}}}}


def csv_in(columns: FileColumns, more: str) -> dict[str, Any]:
    """The description of a body with these columns; `more`: what else is to be known."""
    required, wanted = (", ".join(f"`{name}`" for name in names) for names in (columns.required, _optional(columns)))
    told = f"The first line names the columns, in any order: {required}, and if wanted {wanted}."
    return {
        "requestBody": {
            "required": True,
            "description": f"UTF-8, at most 5 MiB and 10,000 rows. {told} {more}",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    }


def _optional(columns: FileColumns) -> list[str]:
    return [name for name in columns.all if name not in columns.required]


class RowMistakeOut(BaseModel):
    """Why a row was left out: the line on which it begins, its column (empty: the whole row), the reason."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    field: str
    reason: str


class ImportedOut(BaseModel):
    """What was done with how many rows, or with `dry_run` would be, and the first 1000 mistakes."""

    model_config = ConfigDict(from_attributes=True)

    dry_run: bool
    created: int
    changed: int
    unchanged: int
    refused: int
    mistakes: list[RowMistakeOut]
