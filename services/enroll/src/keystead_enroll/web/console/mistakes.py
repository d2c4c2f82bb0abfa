"""What is wrong with a form that was sent, in the words of its page: what is chosen there was not typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.web.input_errors import mistakes_of

M = TypeVar("M", bound=BaseModel)
_CHECKS, _RADIOS = Words("Choose at least one."), Words("Choose one of these.")
_WORDS: Mapping[tuple[str, str], str] = {
    ("access_code", "string_pattern_mismatch"): Words("Use letters and digits only, at most 255 of them."),
    ("authorization", "enum"): _RADIOS,
    ("certificate_type", "enum"): _RADIOS,
    ("csr_method", "enum"): _RADIOS,
    ("key_algorithms", "too_short"): _CHECKS,
    ("methods", "too_short"): _CHECKS,
    ("profile_ids", "too_short"): _CHECKS,
    ("reason", "enum"): Words("Choose a reason."),
}


def checked(model: type[M], values: Mapping[str, Any]) -> M:
    """`values` as an input. Raises InputRefused with a sentence for each field that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InputRefused(mistakes_of(error) | _told(error)) from error


def _told(error: ValidationError) -> dict[str, str]:
    kinds = ((str(mistake["loc"][0]), mistake["type"]) for mistake in error.errors() if len(mistake["loc"]) == 1)
    return {kind[0]: _WORDS[kind] for kind in kinds if kind in _WORDS}
