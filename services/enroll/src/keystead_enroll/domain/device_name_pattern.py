"""An administrator's regular expression for device names, matched in linear time whatever it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import re2

from keystead_contracts.words import Words
from keystead_enroll.domain.errors import TemplateInvalid

LONGEST_NAME = 253
LONGEST_PATTERN = 500
_MEMORY = 1 << 20
"""Bytes that a compiled expression may take: counts within counts are refused, not unrolled."""


@dataclass(frozen=True)
class DeviceNamePattern:
    """A pattern, ready to be matched. Made by `parse`."""

    _compiled: Any

    @classmethod
    def parse(cls, text: str) -> DeviceNamePattern:
        """The regular expression `text` in RE2's syntax, which has neither back-references nor look-around and needs
        no backtracking. Raises TemplateInvalid, which says what is wrong with it."""
        if len(text) > LONGEST_PATTERN:
            raise _unusable(Words("it is longer than {number} characters", number=LONGEST_PATTERN))
        options = re2.Options()
        options.case_sensitive, options.log_errors, options.max_mem = False, False, _MEMORY
        try:
            return cls(re2.compile(text, options=options))
        except re2.error as error:
            [why] = error.args
            raise _unusable(why.decode(errors="replace") if isinstance(why, bytes) else str(why)) from error

    def matches(self, name: str) -> bool:
        """Whether the whole `name`, of 253 letters at most, is of this pattern. Upper and lower case are alike."""
        return len(name) <= LONGEST_NAME and self._compiled.fullmatch(name) is not None


def _unusable(why: str) -> TemplateInvalid:
    return TemplateInvalid(Words("the pattern is not a regular expression that can be used: {why}", why=why))
