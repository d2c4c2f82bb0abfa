"""Reading XML that a stranger wrote: what is refused before any other program sees it.

Expat alone reads here, and it runs nothing: a document with a type declaration, a processing instruction, or another
encoding than UTF-8 ends at the first sight of it, and so does one that is larger or deeper than an answer can be.
Comments and CDATA sections are refused too, as programs that check a signature and programs that read a text disagree
on what they hide (CVE-2017-11427 and its kin).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from keystead_auth.domain.idp_errors import (
    HasDoctype,
    HasHiddenText,
    HasInstruction,
    IdRepeated,
    NotWellFormed,
    TooDeep,
    TooLarge,
    TooManyElements,
    UnexpectedShape,
)


@dataclass(frozen=True)
class Limits:
    """How much is read. `hidden_text`: whether comments and CDATA sections are skipped instead of refused."""

    octets: int
    elements: int
    depth: int
    attributes: int = 40
    hidden_text: bool = False


ANSWER = Limits(octets=256 * 1024, elements=3000, depth=30)
METADATA = Limits(octets=1024 * 1024, elements=20_000, depth=30, hidden_text=True)


@dataclass
class Element:
    """An element: `namespace` and `name` apart, `text` of its own (without its children's)."""

    namespace: str
    name: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def is_a(self, namespace: str, name: str) -> bool:
        """Whether it has this name."""
        return self.name == name and self.namespace == namespace

    def all(self, namespace: str, name: str) -> list[Element]:
        """Its children of this name."""
        return [child for child in self.children if child.is_a(namespace, name)]

    def maybe(self, namespace: str, name: str) -> Element | None:
        """Its child of this name. Raises UnexpectedShape if there are two."""
        found = self.all(namespace, name)
        if len(found) > 1:
            raise UnexpectedShape(f"more than one {name} in {self.name}")
        return found[0] if found else None

    def one(self, namespace: str, name: str) -> Element:
        """Its only child of this name. Raises UnexpectedShape."""
        found = self.maybe(namespace, name)
        if found is None:
            raise UnexpectedShape(f"no {name} in {self.name}")
        return found

    def words(self) -> str:
        """Its text, without space around it. Raises UnexpectedShape if it has children: text is read whole or not."""
        if self.children:
            raise UnexpectedShape(f"elements in the text of {self.name}")
        return self.text.strip()

    def walk(self) -> Iterator[Element]:
        """It and everything below, in the document's order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))


def read(document: bytes, limits: Limits) -> Element:
    """The document's root. Raises DocumentRefused."""
    if len(document) > limits.octets:
        raise TooLarge
    reader = _Reader(limits)
    try:
        text = document.decode("utf-8")  # else a byte order mark would have expat read UTF-16
        if "\0" in text:
            raise NotWellFormed("NUL")
        reader.parser.Parse(document, True)
    except expat.ExpatError as error:
        raise NotWellFormed(f"not well-formed in line {error.lineno}") from error
    except UnicodeError as error:
        raise NotWellFormed("not UTF-8") from error
    if reader.root is None:
        raise NotWellFormed("empty")
    return reader.root


def unique_ids(root: Element) -> frozenset[str]:
    """Every ID in the document. Raises IdRepeated if one is there twice, or in a namespace (`xml:id`)."""
    seen: set[str] = set()
    for element in root.walk():
        for name, value in element.attributes.items():
            namespace, _, local = name.rpartition(" ")
            if local.lower() != "id":
                continue
            if namespace or value in seen:
                raise IdRepeated
            seen.add(value)
    return frozenset(seen)


class _Reader:
    """Builds the tree, and stops at what is forbidden."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._count = 0
        self.root: Element | None = None
        self.parser = expat.ParserCreate("UTF-8", " ")
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.ProcessingInstructionHandler = self._instruction
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        if not limits.hidden_text:
            self.parser.CommentHandler = self._hidden
            self.parser.StartCdataSectionHandler = self._hidden

    @staticmethod
    def _declared(version: str, encoding: str | None, _standalone: int) -> None:
        if version != "1.0" or (encoding or "utf-8").lower() not in ("utf-8", "us-ascii"):
            raise NotWellFormed("not XML 1.0 in UTF-8")

    @staticmethod
    def _doctype(*_: object) -> None:
        raise HasDoctype

    @staticmethod
    def _instruction(*_: object) -> None:
        raise HasInstruction

    @staticmethod
    def _hidden(*_: object) -> None:
        raise HasHiddenText

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > self._limits.elements or len(attributes) > self._limits.attributes:
            raise TooManyElements
        if len(self._open) >= self._limits.depth:
            raise TooDeep
        namespace, _, local = name.rpartition(" ")
        element = Element(namespace, local, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def _end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _text(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)
