"""Texts that can be said in another language, and are English until they are."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass
from gettext import NullTranslations

from keystead_contracts.words import Sentences, Words, from_plain, to_plain


class Shouted(NullTranslations):
    """A language in which everything is shouted, placeholders aside."""

    def gettext(self, message: str) -> str:
        return f"{message.replace('fox', 'FOX').replace('seen', 'SEEN')}!" if message else "the header"

    def ngettext(self, one: str, many: str, n: int) -> str:
        return self.gettext(super().ngettext(one, many, n))


def test_words_are_their_english() -> None:
    words = Words("{name} saw a fox.", name="Ada")
    assert words == "Ada saw a fox." and isinstance(words, str)
    assert (words.message, words.values) == ("{name} saw a fox.", {"name": "Ada"})
    assert json.dumps({"detail": words}) == '{"detail": "Ada saw a fox."}'


def test_words_are_said_in_another_language_with_their_values() -> None:
    assert Words("{name} saw a fox.", name="Ada").told(Shouted()) == "Ada saw a FOX.!"


def test_words_among_the_values_are_translated_too() -> None:
    assert Words("It is {what}.", what=Words("a fox")).told(Shouted()) == "It is a FOX!.!"


def test_a_value_that_looks_like_a_placeholder_is_a_value() -> None:
    words = Words("{name} has {what}.", name="{what}", what="{0.__class__} %(x)s")
    assert words == "{what} has {0.__class__} %(x)s."
    assert words.told(Shouted()) == "{what} has {0.__class__} %(x)s.!"


def test_no_translation_reaches_into_a_value() -> None:
    class Curious(NullTranslations):
        def gettext(self, message: str) -> str:
            return "{name.__class__} {other} {name}"

    assert Words("{name}", name="Ada").told(Curious()) == "{name.__class__} {other} Ada"


def test_a_number_chooses_the_form() -> None:
    told = [Words.plural("{n} fox", "{n} foxes, {when}", n, when="now") for n in (0, 1, 2)]
    assert told == ["0 foxes, now", "1 fox", "2 foxes, now"]
    assert [words.told(Shouted()) for words in told] == ["0 FOXes, now!", "1 FOX!", "2 FOXes, now!"]


def test_an_empty_text_stays_empty() -> None:
    assert Words("").told(Shouted()) == ""


def test_sentences_follow_each_other() -> None:
    words = Sentences(Words("no fox was seen"), "", "data", Words("Look again."))
    assert words == "No fox was seen. Data. Look again."
    assert words.told(Shouted()) == "No FOX was SEEN! Data. Look again.!"


def test_copies_can_be_translated_too() -> None:
    @dataclass
    class Line:
        text: str

    for words in (Words("a {what}", what=Words("fox")), Sentences(Words("a fox")), Words.plural("a fox", "foxes", 1)):
        for twin in (copy.deepcopy(words), copy.copy(words), asdict(Line(words))["text"]):
            assert twin == words and twin.told(Shouted()) == words.told(Shouted())


def test_words_survive_being_stored() -> None:
    for words in (
        Words("{name} saw {what}.", name="{what}", what=Words("a fox")),
        Sentences(Words("no fox"), "data"),
        Words.plural("{n} fox", "{n} foxes", 2),
    ):
        again = from_plain(json.loads(json.dumps(to_plain(words))))
        assert again == words and again.told(Shouted()) == words.told(Shouted())
    assert from_plain(to_plain("a fox")) == "a fox" and not isinstance(from_plain("a fox"), Words)
