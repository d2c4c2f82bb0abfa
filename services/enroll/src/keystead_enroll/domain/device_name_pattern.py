"""An administrator's regular expression for device names, matched in bounded time whatever it says.

A part of the expression takes the set of places in the name where it may begin to the set of places where it may end.
Nothing is tried twice, so no expression and no name make it slow, as they can with a matcher that backtracks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import NoReturn, Protocol

from keystead_enroll.domain.errors import TemplateInvalid

LONGEST_NAME = 253
LONGEST_PATTERN = 500
MOST_REPEATS = 253
DEEPEST_REPEATS = 2
DEEPEST_GROUPS = 20
_CLASSES = {"d": (("0", "9"),), "w": (("a", "z"), ("A", "Z"), ("0", "9"), ("_", "_")), "s": ((" ", " "), ("\t", "\r"))}
_QUANTIFIERS = {"*": (0, MOST_REPEATS), "+": (1, MOST_REPEATS), "?": (0, 1)}

Range = tuple[str, str]


class _Part(Protocol):
    def ends(self, name: str, starts: set[int]) -> set[int]:
        """Where this part may end if it begins at one of `starts`."""
        ...


@dataclass(frozen=True)
class _Character:
    ranges: tuple[Range, ...]
    negated: bool = False

    def ends(self, name: str, starts: set[int]) -> set[int]:
        return {at + 1 for at in starts if at < len(name) and self._is(name[at])}

    def _is(self, character: str) -> bool:
        cases = (character, character.lower(), character.upper())
        return any(low <= case <= high for low, high in self.ranges for case in cases) != self.negated


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Part, ...]

    def ends(self, name: str, starts: set[int]) -> set[int]:
        return reduce(lambda places, part: part.ends(name, places), self.parts, starts)


@dataclass(frozen=True)
class _Choice:
    parts: tuple[_Part, ...]

    def ends(self, name: str, starts: set[int]) -> set[int]:
        return {end for part in self.parts for end in part.ends(name, starts)}


@dataclass(frozen=True)
class _Repeat:
    part: _Part
    least: int
    most: int

    def ends(self, name: str, starts: set[int]) -> set[int]:
        places = starts
        for _ in range(self.least):
            places = self.part.ends(name, places)
        fresh = places
        for _ in range(self.most - self.least):
            fresh = self.part.ends(name, fresh) - places
            if not fresh:
                break
            places = places | fresh
        return places


@dataclass(frozen=True)
class DeviceNamePattern:
    """A pattern, ready to be matched. Made by `parse`."""

    _root: _Part

    @classmethod
    def parse(cls, text: str) -> DeviceNamePattern:
        """The regular expression `text`: letters, `.`, `[a-z]`, `[^a-z]`, `\\d`, `\\w`, `\\s`, escaped signs, groups,
        `|`, `*`, `+`, `?`, `{2}`, `{2,}`, `{2,4}`; `^` at its begin and `$` at its end change nothing.

        Raises TemplateInvalid for anything else, and for more than two repeats within each other.
        """
        return cls(_Parser(text).whole())

    def matches(self, name: str) -> bool:
        """Whether the whole `name`, of 253 letters at most, is of this pattern. Upper and lower case are alike."""
        return len(name) <= LONGEST_NAME and len(name) in self._root.ends(name, {0})


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._groups = text, 0, 0

    def whole(self) -> _Part:
        if len(self._text) > LONGEST_PATTERN:
            self._refuse(f"is longer than {LONGEST_PATTERN} characters")
        self._take("^")
        root = self._choice()
        if self._at < len(self._text):
            self._refuse("has a ) without its (")
        if _depth(root) > DEEPEST_REPEATS:
            self._refuse(f"has more than {DEEPEST_REPEATS} repeats within each other")
        return root

    def _choice(self) -> _Part:
        ways = [self._sequence()]
        while self._take("|"):
            ways.append(self._sequence())
        return ways[0] if len(ways) == 1 else _Choice(tuple(ways))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._peek() not in ("", "|", ")") and not self._at_end_sign():
            parts.append(self._repeated(self._one()))
        return _Sequence(tuple(parts))

    def _at_end_sign(self) -> bool:
        return self._text[self._at :] == "$" and self._take("$")

    def _one(self) -> _Part:
        sign = self._next()
        match sign:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return _Character((), negated=True)
            case "\\":
                return _Character(self._escaped())
            case "*" | "+" | "?" | "{" | "}" | "]" | "^" | "$":
                self._refuse(f"has a {sign} where none can stand")
        return _Character(((sign, sign),))

    def _group(self) -> _Part:
        self._groups += 1
        if self._groups > DEEPEST_GROUPS:
            self._refuse(f"has more than {DEEPEST_GROUPS} groups within each other")
        if self._take("?") and not self._take(":"):
            self._refuse("has a group of a kind that cannot be used here")
        inner = self._choice()
        if not self._take(")"):
            self._refuse("has a ( without its )")
        self._groups -= 1
        return inner

    def _class(self) -> _Part:
        negated, ranges = self._take("^"), list[Range]()
        while not ranges or not self._take("]"):  # a ] that comes first is a letter
            low = self._class_member()
            if len(low) == 1 and self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                self._next()
                high = self._class_member()
                if len(high) != 1 or high[0][0] < low[0][0]:
                    self._refuse("has a range that does not rise")
                low = ((low[0][0], high[0][1]),)
            ranges += low
        return _Character(tuple(ranges), negated)

    def _class_member(self) -> tuple[Range, ...]:
        sign = self._next()
        return self._escaped() if sign == "\\" else ((sign, sign),)

    def _escaped(self) -> tuple[Range, ...]:
        sign = self._next()
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign.isalnum():
            self._refuse(f"has \\{sign}, which cannot be used here")
        return ((sign, sign),)

    def _repeated(self, part: _Part) -> _Part:
        sign = self._peek()
        if sign in _QUANTIFIERS:
            self._next()
            least, most = _QUANTIFIERS[sign]
        elif sign == "{":
            self._next()
            least, most = self._counts()
        else:
            return part
        self._take("?")  # the shortest match first, which is the same for a whole name
        return _Repeat(part, least, most)

    def _counts(self) -> tuple[int, int]:
        inside, closed, _ = self._text[self._at :].partition("}")
        low, comma, high = inside.partition(",")
        numbers = [low, high or (str(MOST_REPEATS) if comma else low)]
        if not closed or not all(n.isascii() and n.isdigit() and len(n) <= len(str(MOST_REPEATS)) for n in numbers):
            self._refuse("has a { that is no count such as {2} or {2,4}")
        least, most = map(int, numbers)
        if not least <= most <= MOST_REPEATS:
            self._refuse(f"has a count that falls, or is beyond {MOST_REPEATS}")
        self._at += len(inside) + 1
        return least, most

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        sign = self._peek()
        if not sign:
            self._refuse("ends too early")
        self._at += 1
        return sign

    def _take(self, sign: str) -> bool:
        found = self._peek() == sign
        self._at += found
        return found

    def _refuse(self, why: str) -> NoReturn:
        raise TemplateInvalid(f"device_name_pattern is not a regular expression that can be used: it {why}")


def _depth(part: _Part) -> int:
    """How many repeats stand within each other."""
    match part:
        case _Repeat():
            return _depth(part.part) + (part.most > 1)
        case _Sequence() | _Choice():
            return max(map(_depth, part.parts), default=0)
    return 0
