"""An account's rules over what an identity provider says of a person: who may use the account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from keystead_contracts.identity import ATTRIBUTES


class MatchType(StrEnum):
    """How a rule compares: an attribute's value is one of the rule's as a whole, or has one of them in it."""

    MATCHES = "MATCHES"
    CONTAINS = "CONTAINS"


@dataclass(frozen=True)
class IdpRule:
    """One rule. It holds if any of the attribute's values fits any of `values`; upper and lower case are alike, as in
    the directories that these names come from. Raises ValueError for an unknown attribute, and without values: an
    empty one would let everybody in."""

    key: str
    match_type: MatchType
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.key not in ATTRIBUTES or not self.values or not all(value.strip() for value in self.values):
            raise ValueError("a rule has an attribute, and values that are not empty")

    @classmethod
    def from_plain(cls, plain: Mapping[str, object]) -> IdpRule:
        """The rule as it is stored."""
        values = plain["values"]
        if not isinstance(values, list):
            raise TypeError("values is a list")
        return cls(str(plain["key"]), MatchType(str(plain["match_type"])), tuple(str(value) for value in values))

    def holds(self, attributes: Mapping[str, Sequence[str]]) -> bool:
        """Whether what the provider said fits."""
        wanted = [folded(value) for value in self.values]
        for said in map(folded, attributes.get(self.key, ())):
            for value in wanted:
                if said == value or (self.match_type is MatchType.CONTAINS and value in said):
                    return True
        return False


def failing(rules: Iterable[IdpRule], attributes: Mapping[str, Sequence[str]]) -> list[IdpRule]:
    """The rules that do not hold; all have to."""
    return [rule for rule in rules if not rule.holds(attributes)]


def folded(value: str) -> str:
    """`value` as it is compared."""
    return value.strip().casefold()
