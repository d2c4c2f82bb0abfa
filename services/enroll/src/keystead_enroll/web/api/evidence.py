"""What the API says of the evidence of keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from keystead_enroll.domain.evidence_record import EvidenceRecord, findings_in

EVIDENCE_FILE: Mapping[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "The evidence"}
}


class FindingOut(BaseModel):
    """A reason to believe, or not, that the private key is in a TPM: `code` for programs, in words for people."""

    code: str
    passed: bool
    text: str


def findings(reasons: Sequence[Mapping[str, object]] | None) -> list[FindingOut]:
    """What was found of a key, as it is kept."""
    return [FindingOut(code=each.code, passed=each.held, text=each.sentence) for each in findings_in(reasons)]


def evidence_response(record: EvidenceRecord, name: str) -> Response:
    """A file to be judged again by `keystead evidence verify`."""
    headers = {"content-disposition": f'attachment; filename="{name}.evidence.json"', "cache-control": "no-store"}
    return Response(record.model_dump_json(indent=2) + "\n", media_type="application/json", headers=headers)
