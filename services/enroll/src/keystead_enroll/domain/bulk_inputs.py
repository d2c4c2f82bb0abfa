"""What administrators send with a bulk job; see `domain.inputs`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_contracts.words import Words
from keystead_enroll.domain.inputs import Input, at_odds, one_line
from keystead_enroll.domain.people_inputs import Email

MOST_ROWS_AT_ONCE = 1000
Id = Annotated[str, StringConstraints(max_length=32)]
Cell = str | int | bool | list[str] | None
FileName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128)]


class BulkOptions(Input):
    """Whose certificates a bulk job is about, and what its rows do not say themselves."""

    organization_id: Id
    department_id: Id | None = Field(None, description="all rows are of it; without one a row may name its own")
    certificate_type: CertificateType | None = Field(
        None, description="of all rows; that of `profile_id`, or device, if it is left out"
    )
    profile_id: Id | None = Field(None, description="of the rows that name no profile")
    key_algorithm: KeyAlgorithm | None = Field(None, description="of the rows that name none; else the profile's first")
    term_days: int | None = Field(
        None, ge=1, le=3650, description="of the rows that say none; else the profile's first"
    )
    owner: Email | None = Field(None, description="e-mail address; of the rows that name nobody")
    name: FileName = Field("", description="what the job is called: the file's name")

    @model_validator(mode="after")
    def _one_line(self) -> Self:
        try:
            one_line(self.name)
        except ValueError as error:
            raise at_odds(Words("has a tab or a line break, and is one line"), "name") from error
        return self


class BulkRowsInput(BulkOptions):
    """A bulk job whose rows come as JSON: column → value, as the documented columns say."""

    rows: list[dict[str, Cell]] = Field(min_length=1, max_length=MOST_ROWS_AT_ONCE)
