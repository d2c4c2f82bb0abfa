"""A page's markup, as checks want it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "wbr"}
ENDS = {"td": {"td", "th"}, "th": {"td", "th"}, "tr": {"td", "th", "tr"}}
"""Open elements that end where one of these begins (HTML, 13.1.2.4); all of them end with their table's part."""


class Page(HTMLParser):
    """What the checks need of a page: its elements with attributes, and whether the tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.headings: list[int] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._end(ENDS.get(tag, set()))
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"tr", "thead", "tbody"}:
            self._end({"td", "th", "tr"} - {tag})
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def _end(self, tags: set[str]) -> None:
        while self.open and self.open[-1] in tags:
            self.open.pop()

    def all(self, *tags: str) -> list[dict[str, str]]:
        """The attributes of the elements with one of these tags."""
        return [attributes for tag, attributes in self.elements if tag in tags]
