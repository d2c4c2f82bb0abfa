"""No text of any page or letter is left unmarked for translation.

Pages are rendered in a language that puts ⟦ and ⟧ around every translated text. What stands outside is data of the
page's context, a moment, or one of the names that no language translates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from gettext import NullTranslations
from html.parser import HTMLParser
from typing import Any

import pytest
from babel import Locale
from pydantic import BaseModel
from tests.support.console_frame import ConsoleSample
from tests.support.console_frame import render as render_console
from tests.support.console_samples import SAMPLES
from tests.support.letter_samples import FACTS
from tests.support.page_sample_data import Sample, render
from tests.support.page_samples import pages

from keystead_kit.i18n import Language, languages, speaking
from keystead_notify.adapters import writing

READ_ALOUD = {"alt", "aria-label", "placeholder", "title"}
WRITTEN_BY_SCRIPT = {"data-copied", "data-selected", "data-done-label"}
NOT_READ = {"script", "style", "time", "code"}
VOID = {"meta", "link", "img", "input", "br"}
NAMES = {"Keystead", "RSA 2048", "RSA 3072", "RSA 4096", "ECDSA P-256", "ECDSA P-384", "UTC"}


class Marking(NullTranslations):
    """Marks every translated text."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, one: str, many: str, n: int) -> str:
        return f"⟦{super().ngettext(one, many, n)}⟧"


MARKING = Language("en-XA", "Marked", Marking(), Locale("en", "GB"))


class Texts(HTMLParser):
    """What a person reads of a page outside of the marks: `left`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.left: list[str] = []
        self._open: list[str] = []
        self._depth = 0
        self.feed(page.replace("<wbr>", ""))
        assert self._depth == 0, "a mark does not end"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        given = {name: value or "" for name, value in attrs}
        texts = [value for name, value in given.items() if name in READ_ALOUD | WRITTEN_BY_SCRIPT]
        texts += json.loads(given.get("data-words", "{}")).values()
        self.left += map(outside, texts)

    def handle_endtag(self, tag: str) -> None:
        while self._open.pop() != tag:
            pass  # an element whose end tag HTML lets go

    def handle_data(self, data: str) -> None:
        if not NOT_READ & set(self._open):
            left = ""
            for character in data:
                self._depth += {"⟦": 1, "⟧": -1}.get(character, 0)
                left += " " if character == "⟧" else "" if self._depth else character
            self.left.append(left)


def outside(text: str) -> str:
    """What of `text` stands in no mark."""
    while "⟦" in text:
        shorter = re.sub("⟦[^⟦⟧]*⟧", "", text)
        assert shorter != text, text
        text = shorter
    return text


def data_of(value: Any) -> Iterator[str]:
    """Every text in a page's context."""
    match value:
        case str():
            yield from (value, value[:1].upper() + value[1:])
            yield from value.split("`")  # what stands between is shown as code
        case Mapping():
            for each in (*value, *value.values()):
                yield from data_of(each)
        case list() | tuple():
            for each in value:
                yield from data_of(each)
        case _ if is_dataclass(value) and not isinstance(value, type):
            for part in fields(value):
                yield from data_of(getattr(value, part.name))
        case BaseModel():
            yield from data_of(value.model_dump(mode="json"))


def unmarked(texts: list[str], data: set[str]) -> list[str]:
    """The texts that have letters beside data and names."""
    known = sorted((" ".join(text.replace("`", "").split()) for text in data | NAMES), key=len, reverse=True)
    sieve = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in known if text))
    left = []
    for text in texts:
        plain = " ".join(text.split())
        if re.search(r"[^\W\d_]", sieve.sub("", plain)):
            left.append(plain)
    return left


@pytest.mark.parametrize("sample", pages(), ids=lambda sample: sample.name)
def test_every_text_of_a_page_is_marked_for_translation(sample: Sample) -> None:
    with speaking(MARKING):
        texts = Texts(render(sample))
    switch = {each.name for each in languages().values()}
    assert unmarked(texts.left, set(data_of(sample.context)) | switch) == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_text_of_the_console_is_marked_for_translation(sample: ConsoleSample) -> None:
    with speaking(MARKING):
        texts = Texts(render_console(sample))
    switch = {each.name for each in languages().values()}
    assert unmarked(texts.left, {*data_of(sample.page), *data_of(sample.frame), *switch}) == []


@pytest.mark.parametrize("kind", FACTS)
def test_every_text_of_a_letter_is_marked_for_translation(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fact = FACTS[kind]
    monkeypatch.setattr(writing, "speaking", lambda _: speaking(MARKING))
    letter = writing.Writer().write(kind, fact.model_dump(mode="json"))
    data = set(data_of(fact))
    moments = re.compile(r"\d{1,2} [A-Z][a-z]+ \d{4}(, \d\d:\d\d UTC)?")
    for texts in ([outside(letter.subject)], [outside(letter.text)], Texts(letter.html).left):
        assert unmarked([moments.sub("", text) for text in texts], data) == []


@pytest.mark.parametrize("sample", pages(), ids=lambda sample: sample.name)
def test_every_page_can_be_read_in_every_language(sample: Sample) -> None:
    for tag in languages():
        with speaking(tag):
            page = render(sample)
        assert f'<html lang="{tag}">' in page
        assert not re.search(r"%\(\w+\)s|⟦", page)


def test_an_unmarked_text_is_found() -> None:
    page = '<p title="A title">⟦Some ⟦inner⟧ <b>text</b>⟧ but this</p><time>noon</time><p>Ada</p>'
    assert unmarked(Texts(page).left, {"Ada", "t"}) == ["A title", "but this"]
