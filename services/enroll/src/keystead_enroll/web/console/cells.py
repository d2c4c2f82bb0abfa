"""Values in tables and among facts, made by functions: `link("Ada Lovelace", url)`, `tag("good", "Active")`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Literal

from keystead_contracts.words import Words

Tone = Literal["good", "warn", "bad", "calm"]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cell:
    """One value. Made by the functions below; an empty one is drawn as a dash."""

    kind: Literal["text", "link", "code", "tag", "moment", "several", "copy"]
    text: str = ""
    note: str = ""
    """A second, quieter line."""
    url: str = ""
    tone: Tone = "calm"
    at: datetime | None = None
    style: Literal["date", "datetime", "stacked"] = "date"
    relative: bool = False
    cells: tuple[Cell, ...] = ()


def text(words: str | int | None, note: str = "") -> Cell:
    """Plain text."""
    return Cell("text", words if isinstance(words, str) else "" if words is None else str(words), note)


def link(words: str, url: str, note: str = "") -> Cell:
    """A link to another page."""
    return Cell("link", words, note, url)


def code(value: str, note: str = "") -> Cell:
    """What a machine wrote or reads: serial numbers, digests, addresses, patterns."""
    return Cell("code", value, note)


def tag(tone: Tone, word: str, note: str = "") -> Cell:
    """A state as mark, colour and word."""
    return Cell("tag", word, note, tone=tone)


def moment(
    at: datetime | None,
    style: Literal["date", "datetime", "stacked"] = "date",
    relative: bool = False,
    note: str = "",
) -> Cell:
    """A time in the reader's zone; `stacked` has the time below the date; `relative` adds the
    distance from now, with script only. None is empty."""
    return Cell("moment", "", note, at=at, style=style, relative=relative) if at else Cell("text")


def several(cells: Sequence[Cell | str]) -> Cell:
    """Values below each other."""
    return Cell("several", cells=tuple(text(each) if isinstance(each, str) else each for each in cells))


def copy(value: str, name: str) -> Cell:
    """Text to take along, with a button that copies it. `name` says what it is: "address of the form"."""
    return Cell("copy", value, name)


def listed(words: Iterable[str]) -> str:
    """Several words in one text, each in the reader's language."""
    return reduce(lambda some, more: Words("{some}, {more}", some=some, more=more), words)
