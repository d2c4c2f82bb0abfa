"""Text for a person that can still be said in another language.

Whoever raises or returns it writes English and need not know who reads it; the edge that shows it translates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol, Self

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Catalogue(Protocol):
    """What translates messages: Python's `gettext.NullTranslations` and its kin."""

    def gettext(self, message: str, /) -> str:
        """The message's translation; itself if there is none."""
        ...

    def ngettext(self, one: str, many: str, n: int, /) -> str:
        """The translation of the form that `n` asks for."""
        ...


class Words(str):
    """A text, equal to its English; `told` says it in the language of a catalogue.

    `message` is a literal with named placeholders (`"{email} may not use this form."`), by which translators know it.
    `values` are what stands in their place; Words among them are translated too. A placeholder without a value stays.
    """

    message: str
    many: str
    values: dict[str, object]

    def __new__(cls, message: str, /, **values: object) -> Self:
        """The English text of `message`."""
        return cls._made(message, "", values)

    @classmethod
    def plural(cls, one: str, many: str, n: int, /, **values: object) -> Self:
        """`one` where `n` is 1, else `many`; other languages have other forms. Both may hold `{n}`."""
        return cls._made(one, many, {"n": n, **values})

    @classmethod
    def _made(cls, message: str, many: str, values: dict[str, object]) -> Self:
        said = many if many and values["n"] != 1 else message
        words = super().__new__(cls, _filled(said, values))
        words.message, words.many, words.values = message, many, values
        return words

    def told(self, catalogue: Catalogue) -> str:
        """The text in the catalogue's language."""
        if not self.message:
            return ""  # which gettext translates into the catalogue's own header
        n = self.values.get("n")
        message = (
            catalogue.ngettext(self.message, self.many, n)
            if self.many and isinstance(n, int)
            else catalogue.gettext(self.message)
        )
        told = {
            name: value.told(catalogue) if isinstance(value, Words) else value for name, value in self.values.items()
        }
        return _filled(message, told)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


class Sentences(Words):
    """Several texts, one after the other, each with a capital at its beginning and a full stop at its end."""

    parts: tuple[str, ...]

    def __new__(cls, *parts: str) -> Self:
        """`parts` that are not empty."""
        given = tuple(part for part in parts if part)
        words = cls._made(_joined(given), "", {})
        words.parts = given
        return words

    def told(self, catalogue: Catalogue) -> str:
        """The text in the catalogue's language."""
        return _joined(part.told(catalogue) if isinstance(part, Words) else part for part in self.parts)


def to_plain(text: object) -> object:
    """`text` and all Words in it as JSON-ready values; `from_plain` is the inverse."""
    match text:
        case Sentences():
            return {"parts": [to_plain(part) for part in text.parts]}
        case Words():
            values = {name: to_plain(value) for name, value in text.values.items()}
            return {"message": text.message, "many": text.many, "values": values}
        case int():
            return text
        case _:
            return str(text)


def from_plain(plain: object) -> Any:
    """The text that `to_plain` wrote."""
    match plain:
        case {"parts": [*parts]}:
            return Sentences(*map(from_plain, parts))
        case {"message": str(message), "many": str(many), "values": dict(values)}:
            return Words._made(message, many, {name: from_plain(value) for name, value in values.items()})
        case _:
            return plain


def _joined(parts: Iterable[str]) -> str:
    return " ".join(f"{part[:1].upper()}{part[1:]}{'' if part.endswith(('.', '?', '!')) else '.'}" for part in parts)


def _filled(message: str, values: dict[str, object]) -> str:
    """Puts values in place of names and nothing else: no translation can reach into a value, as `str.format` would."""
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), message)
