"""What every service's refusals are: something that will not be done, and what can be done about that."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from keystead_contracts.words import Words


class Refusal(Exception):
    """Something that will not be done. `detail` says what happened, `advice` what the asker can do about it.

    `code` is the value of the `keystead_contracts.problems.ProblemCode` that the web edge answers with.
    """

    code: ClassVar[str] = "malformed"
    default_detail: ClassVar[str] = Words("This could not be done.")
    default_advice: ClassVar[str] = ""
    fields: Mapping[str, str] = MappingProxyType({})
    """Field name → what is wrong with it, where mistakes are told field by field."""

    def __init__(self, detail: str = "", advice: str = "") -> None:
        self.detail = detail or self.default_detail
        self.advice = advice or self.default_advice
        super().__init__(self.detail)
