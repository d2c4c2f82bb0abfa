"""What somebody types into a list's search box, and what it asks for.

Words are looked for in a list's main texts. `field:value` narrows by a field, `-field:value` leaves out. Values with
spaces stand in double quotes. A time is a date (`expires:<2027-01-31`) or a distance from now (`expires:<30d`,
`issued:<7d`: less than seven days ahead, or ago, whichever the field is about).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from keystead_contracts.words import Words
from keystead_enroll.domain.administration_refusals import CursorInvalid, SearchInvalid

T = TypeVar("T")
LONGEST_SEARCH = 500
MOST_ROWS, USUAL_ROWS = 200, 50
_WORD = re.compile(r'(-?)(?:([a-z_]+[0-9]*):)?(?:"([^"]*)"|(\S+))')
_DISTANCE = re.compile(r"(\d{1,5})([hdwmy])")
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}


class FieldKind(StrEnum):
    """How a field is compared."""

    TEXT = "text"
    """Contains, whatever the case."""
    EXACT = "exact"
    CHOICE = "choice"
    AHEAD = "ahead"
    """A time that usually lies ahead, such as an expiry."""
    AGO = "ago"
    """A time that usually lies in the past."""
    FLAG = "flag"


@dataclass(frozen=True)
class Field:
    """A field that can be searched. `choices` are all values of a CHOICE."""

    kind: FieldKind
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def example(self) -> str:
        """A value that somebody might give."""
        if self.choices:
            return self.choices[0]
        return {
            FieldKind.TEXT: "word", FieldKind.EXACT: "value", FieldKind.AHEAD: "<30d", FieldKind.AGO: "<7d",
            FieldKind.FLAG: "yes", FieldKind.CHOICE: "",
        }[self.kind]  # fmt: skip


class Comparison(StrEnum):
    """How a criterion compares."""

    IS = "is"
    CONTAINS = "contains"
    BEFORE = "before"
    FROM = "from"


@dataclass(frozen=True)
class Criterion:
    """One `field:value`. `typed` is how it stood in the search box."""

    field: str
    comparison: Comparison
    value: str | bool | datetime
    negated: bool = False
    typed: str = ""


@dataclass(frozen=True)
class Search:
    """What a search asks for; all of it together."""

    words: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True)
class ListDefinition(Generic[T]):
    """A list that can be searched and sorted: its entity, its fields, and what it may be sorted by (usual one first;
    `newest_first`: whether that one begins with the greatest)."""

    name: str
    entity: type[T]
    fields: Mapping[str, Field]
    sorts: tuple[str, ...]
    newest_first: bool = False


@dataclass(frozen=True)
class PageWanted:
    """Which part of a list is wanted. `after` is the `next` of the page before; `limit` rows at most."""

    search: Search = field(default_factory=Search)
    sort: str = ""
    descending: bool = False
    limit: int = USUAL_ROWS
    after: str | None = None


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows. `next` leads to those that follow, however many were added meanwhile; None at the end."""

    items: tuple[T, ...]
    next: str | None


def parse_search(text: str, fields: Mapping[str, Field], now: datetime) -> Search:
    """What `text` asks for. Raises SearchInvalid, which names the fields there are."""
    if len(text) > LONGEST_SEARCH:
        raise SearchInvalid(
            Words("The search is longer than {number} characters.", number=LONGEST_SEARCH),
            Words("Make it shorter."),
        )
    if _UNSTORABLE.search(text):
        raise SearchInvalid(Words("The search has a character that no text can have."))
    words: list[str] = []
    criteria: list[Criterion] = []
    for found in _WORD.finditer(text):
        minus, name, quoted, bare = found.groups()
        value = bare if quoted is None else quoted
        if name is None:
            words.append(f"{minus}{value}")
        elif name not in fields:
            raise SearchInvalid(
                Words("There is no field “{name}” to search.", name=name),
                Words("The fields are: {fields}.", fields=", ".join(fields)),
            )
        else:
            criteria.append(_criterion(name, fields[name], value, bool(minus), found[0], now))
    return Search(tuple(word for word in words if word), tuple(criteria))


def _criterion(name: str, field: Field, value: str, negated: bool, typed: str, now: datetime) -> Criterion:
    if field.kind is FieldKind.TEXT:
        return Criterion(name, Comparison.CONTAINS, value, negated, typed)
    if field.kind is FieldKind.EXACT:
        return Criterion(name, Comparison.IS, value, negated, typed)
    if field.kind is FieldKind.FLAG:
        if value not in ("yes", "no"):
            raise SearchInvalid(
                Words("“{typed}” is neither yes nor no.", typed=typed),
                Words("Write {name}:yes or {name}:no.", name=name),
            )
        return Criterion(name, Comparison.IS, value == "yes", negated, typed)
    if field.kind is FieldKind.CHOICE:
        if value not in field.choices:
            raise SearchInvalid(
                Words("“{value}” is no {name}.", value=value, name=name),
                Words("It is one of: {choices}.", choices=", ".join(field.choices)),
            )
        return Criterion(name, Comparison.IS, value, negated, typed)
    return _moment(name, field, value, negated, typed, now)


def _moment(name: str, field: Field, value: str, negated: bool, typed: str, now: datetime) -> Criterion:
    sign, rest = (value[0], value[1:]) if value[:1] in ("<", ">") else ("<", value)
    distance = _DISTANCE.fullmatch(rest)
    ahead = field.kind is FieldKind.AHEAD
    try:
        if distance:
            span = timedelta(hours=int(distance[1]) * _HOURS[distance[2]])
            moment = now + span if ahead else now - span
        else:
            moment = datetime.fromisoformat(rest)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise SearchInvalid(
            Words("“{typed}” has no time that can be read.", typed=typed),
            Words("Write a distance or a date: {name}:<30d, {name}:>2026-12-31.", name=name),
        ) from error
    before = (sign == "<") is not (bool(distance) and not ahead)  # less than seven days ago is from then on
    return Criterion(name, Comparison.BEFORE if before else Comparison.FROM, moment, negated, typed)


def cursor_of(sort: str, descending: bool, value: str, entity_id: str) -> str:
    """Where a page ended: opaque text for `PageWanted.after`."""
    plain = json.dumps([sort, descending, value, entity_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def read_cursor(cursor: str, sort: str, descending: bool) -> tuple[str, str]:
    """The sort value and the id that `cursor` stands for. Raises CursorInvalid, also if the order has changed."""
    try:
        plain = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        its_sort, its_descending, value, entity_id = plain
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise CursorInvalid from error
    if [its_sort, its_descending] != [sort, descending] or not (isinstance(value, str) and isinstance(entity_id, str)):
        raise CursorInvalid
    if _UNSTORABLE.search(value + entity_id):
        raise CursorInvalid
    return value, entity_id
