"""Keeps the one catalogue of texts, and finds what is wrong with it: `make translations`, `--check` for CI.

Texts are marked in Python by `Words("…")` and `Words.plural("…", "…", n)` (keystead_contracts.words), in templates by
`{{ _("…") }}`, `{{ ngettext("…", "…", n) }}` and `{% trans %}…{% endtrans %}`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from keystead_kit.i18n import DOMAIN, FOLDER

ROOT = Path(__file__).parents[3]
TEMPLATE = FOLDER / f"{DOMAIN}.pot"
_JINJA = "jinja2.ext:babel_extract"
_METHODS = [
    ("**/migrations/**", "ignore"),
    ("**.py", "python"),
    ("**/templates/**.html", _JINJA),
    ("**/templates/**.txt", _JINJA),
]
_JINJA_OPTIONS = {
    "trimmed": "true",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
    "newstyle_gettext": "true",
    "extensions": "jinja2.ext.do",
    "silent": "false",
}
_KEYWORDS = {"Words": None, "plural": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}
_LEFT_OUT = re.compile(
    r'^"(?:POT-Creation-Date|PO-Revision-Date|Generated-By|Last-Translator|Language-Team|Report-Msgid-Bugs-To):.*\n',
    re.MULTILINE,
)
"""Of a catalogue's header: what changes with each run, and what nobody fills in."""
_PLACEHOLDER = re.compile(r"\{[a-z_]+\}|%\([a-z_]+\)[sd]|%%")


def extracted() -> Catalog:
    """All marked texts of all services."""
    catalog = Catalog(
        domain=DOMAIN,
        project="Keystead",
        version="1",
        charset="utf-8",
        fuzzy=False,
        header_comment="# Texts of Keystead.",
    )
    options = {pattern: _JINJA_OPTIONS for pattern, method in _METHODS if method == _JINJA}
    for source in sorted(ROOT.glob("services/*/src")):
        found = extract_from_dir(source, _METHODS, options, _KEYWORDS, ("Translators:",), strip_comment_tags=True)
        for name, _, text, comments, context in sorted(found, key=lambda each: (each[0], each[1])):
            file = (source / name).relative_to(ROOT).as_posix()
            catalog.add(text, None, [(file, 0)], auto_comments=comments, context=context)
    return catalog


def catalogue_files() -> list[Path]:
    """The catalogue of each language."""
    return sorted(FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def read(path: Path) -> Catalog:
    """A catalogue or the template."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3] if path.suffix == ".po" else None, domain=DOMAIN)


def update() -> None:
    """Writes the template, and into each catalogue what is new. Nothing is guessed; what is gone is dropped."""
    found = extracted()
    _write(TEMPLATE, found)
    for path in catalogue_files():
        catalog = read(path)
        catalog.update(found, no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        _write(path, catalog)


def mistakes() -> list[str]:
    """What a translator or a programmer has still to do; empty if all is well."""
    found = extracted()
    wrong = [f"{TEMPLATE.name}: {text}" for text in _differences(read(TEMPLATE), found)]
    for path in catalogue_files():
        catalog = read(path)
        name = path.parts[-3]
        wrong += [f"{name}: {text}" for text in _differences(catalog, found)]
        wrong += [f"{name}: {text}" for message in catalog if message.id for text in untranslated(message, catalog)]
    return wrong


def untranslated(message: Message, catalog: Catalog) -> Iterator[str]:
    """What is wrong with one translation."""
    ids, told = ([*text] if isinstance(text, list | tuple) else [text or ""] for text in (message.id, message.string))
    if not all(told) or (isinstance(message.id, tuple) and len(told) != catalog.num_plurals):
        yield f"not translated: {ids[0]}"
    elif message.fuzzy:
        yield f"only guessed (fuzzy): {ids[0]}"
    else:
        wanted = {frozenset(_PLACEHOLDER.findall(text)) for text in ids}
        for text in told:
            if frozenset(_PLACEHOLDER.findall(text)) not in wanted:
                yield f"other placeholders than in: {ids[0]}"


def _differences(catalog: Catalog, found: Catalog) -> list[str]:
    has, wants = ({(each.id, each.context) for each in some if each.id} for some in (catalog, found))
    return [
        *(f"lacks: {id}" for id, _ in sorted(wants - has, key=str)),
        *(f"has, though it is nowhere: {id}" for id, _ in sorted(has - wants, key=str)),
    ]


def _write(path: Path, catalog: Catalog) -> None:
    written = BytesIO()
    write_po(written, catalog, width=120, sort_by_file=True, include_lineno=False, include_previous=False)
    path.write_text(_LEFT_OUT.sub("", written.getvalue().decode()), encoding="utf-8")


def main() -> int:
    """Updates, or with `--check` tells what is wrong and fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something is missing or wrong")
    if not parser.parse_args().check:
        update()
    wrong = mistakes()
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} texts need a translator: edit {FOLDER.relative_to(ROOT)}/*/LC_MESSAGES/{DOMAIN}.po,"
              " then run `make translations`", file=sys.stderr)  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
