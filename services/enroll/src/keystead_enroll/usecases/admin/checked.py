"""Inputs checked, and what is wrong with them said field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from keystead_contracts.words import Sentences
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_kit.plain_words import plain_words

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], values: Mapping[str, Any]) -> M:
    """`values` as an input. Raises InputRefused with a sentence for each field that is wrong."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InputRefused(mistakes_of(error)) from error


def mistakes_of(error: ValidationError) -> dict[str, str]:
    """Field name → sentence; the name "form" stands for the input as a whole."""
    told: dict[str, str] = {}
    for mistake in error.errors(include_url=False, include_input=False):
        context = mistake.get("ctx", {})
        blamed = str(context["fields"][0]) if context.get("fields") else str(next(iter(mistake["loc"]), "form"))
        told.setdefault(blamed, Sentences(context.get("words") or plain_words(mistake)))
    return told
