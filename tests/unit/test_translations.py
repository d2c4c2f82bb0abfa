"""The catalogue is complete: no text is missing in it, and none is untranslated."""

from __future__ import annotations

import pytest
from babel.messages.catalog import Catalog, Message

from keystead_local.translations import mistakes, untranslated


def test_every_text_is_in_the_catalogue_and_translated() -> None:
    assert mistakes() == []


@pytest.mark.parametrize(
    ("id", "string", "flags"),
    [
        ("Sign out", "", ()),
        ("Sign out", "Abmelden", ("fuzzy",)),
        ("{email} may not", "{mail} darf nicht", ()),
        ("Help from %(organization)s", "Hilfe", ()),
        ("Send it.", "%(what)s senden.", ()),
        (("{n} fox", "{n} foxes"), ("{n} Fuchs", ""), ()),
        (("{n} fox", "{n} foxes"), ("{n} Fuchs",), ()),
        (("{n} fox", "{n} foxes"), ("{n} Fuchs", "Füchse"), ()),
    ],
)
def test_a_translation_that_is_missing_guessed_or_has_other_placeholders_is_found(
    id: str | tuple[str, ...], string: str | tuple[str, ...], flags: tuple[str, ...]
) -> None:
    assert list(untranslated(Message(id, string, flags=flags), Catalog("de")))


def test_a_sound_translation_is_left_alone() -> None:
    assert not list(untranslated(Message("{n} of %(all)s", "%(all)s, davon {n}"), Catalog("de")))
    assert not list(untranslated(Message(("one fox", "{n} foxes"), ("ein Fuchs", "{n} Füchse")), Catalog("de")))
