"""Reads a set-up file (YAML 1.1, safe subset)."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from keystead_enroll.domain.declaration import Declaration
from keystead_enroll.domain.refusals import DeclarationInvalid


def read_declaration(path: Path) -> Declaration:
    """The set-up in `path`. Raises DeclarationInvalid with every mistake, by its place in the file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationInvalid([f"{path}: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationInvalid([f"{path} is not YAML: {error}"]) from error
    try:
        return Declaration.model_validate(content or {})
    except ValidationError as error:
        raise DeclarationInvalid(
            [
                f"{'.'.join(str(part) for part in mistake['loc']) or 'file'}: {mistake['msg']}"
                for mistake in error.errors(include_input=False, include_url=False)
            ]
        ) from error
