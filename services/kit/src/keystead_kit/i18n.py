"""The languages that people read: which there are, which one a request gets, and texts said in it.

All services share one catalogue, `locale/<language>/LC_MESSAGES/keystead.po`; `make translations` keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from jinja2 import Environment, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from keystead_contracts.words import Words

FOLDER = Path(__file__).parent / "locale"
DOMAIN = "keystead"
COOKIE = "keystead_lang"
"""Carries the language that a person chose, for all services of the site."""
_MOST_RANGES = 20
_RANGE = re.compile(r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*[qQ]\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?")
_PATH = re.compile(r"/(?:[\w.~!$&'()*+,;=:@%?-][\w.~!$&'()*+,;=:@%/?-]*)?", re.ASCII)
_MOST_PATH = 2000
T = TypeVar("T")


@dataclass(frozen=True)
class Language:
    """A language. `tag` is its BCP 47 tag, `name` what its speakers call it, `locale` how they write dates."""

    tag: str
    name: str
    catalogue: NullTranslations = field(repr=False)
    locale: Locale = field(repr=False)


ENGLISH = Language("en", "English", NullTranslations(), Locale("en", "GB"))
"""What the texts are written in."""
_current: ContextVar[Language] = ContextVar("keystead_language", default=ENGLISH)
_here: ContextVar[str] = ContextVar("keystead_here", default="/")


@cache
def languages() -> Mapping[str, Language]:
    """Every language by its tag, English first. The catalogues are compiled here, once a process."""
    found = {ENGLISH.tag: ENGLISH}
    for path in sorted(FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        locale = Locale.parse(path.parts[-3])
        tag = str(locale).replace("_", "-")
        found[tag] = Language(tag, (locale.display_name or tag).capitalize(), _compiled(path, locale), locale)
    return MappingProxyType(found)


def _compiled(path: Path, locale: Locale) -> NullTranslations:
    with path.open("rb") as file:
        catalogue = read_po(file, locale=locale)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, DOMAIN)


def language() -> Language:
    """The language in force."""
    return _current.get()


@contextmanager
def speaking(spoken: Language | str, here: str = "/") -> Iterator[Language]:
    """What happens inside is said in this language, English for an unknown tag. `here`: the page's own address."""
    chosen = spoken if isinstance(spoken, Language) else languages().get(spoken, ENGLISH)
    tokens = _current.set(chosen), _here.set(here)
    try:
        yield chosen
    finally:
        _current.reset(tokens[0])
        _here.reset(tokens[1])


def translate(text: str, spoken: Language | str | None = None) -> str:
    """`text` in the language in force, or in `spoken`, if it is Words; any other text is data and stays as it is."""
    if not isinstance(text, Words):
        return text
    if isinstance(spoken, str):
        spoken = languages().get(spoken, ENGLISH)
    return text.told((spoken or language()).catalogue)


def _printed(value: object) -> object:
    return translate(value) if isinstance(value, str) else value


def translated(plain: T) -> T:
    """A copy of `plain` (dictionaries, lists, tuples, values) with all its Words in the language in force."""
    match plain:
        case Words():
            return translate(plain)  # type: ignore[return-value]
        case dict():
            return {key: translated(value) for key, value in plain.items()}  # type: ignore[return-value]
        case list() | tuple():
            return type(plain)(translated(value) for value in plain)
        case _:
            return plain


def negotiate(chosen: str | None, accept_language: str) -> Language:
    """The language for a request: the one that the person `chosen`, else the best of `Accept-Language` (RFC 9110
    section 12.5.4; ranges are matched by lookup, RFC 4647 section 3.4), else English."""
    known = languages()
    if chosen is not None and chosen in known:
        return known[chosen]
    refused = set()
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(",")[:_MOST_RANGES]:
        parsed = _RANGE.fullmatch(part.strip())
        if parsed is None:
            continue
        quality = float(parsed[2] or 1)
        (wanted.append((quality, parsed[1])) if quality else refused.add(parsed[1].lower()))
    for _, wish in sorted(wanted, key=lambda pair: -pair[0]):
        found = _look_up(wish, refused)
        if found is not None:
            return found
    return ENGLISH


def _look_up(wish: str, refused: set[str]) -> Language | None:
    offered = {tag.lower(): each for tag, each in languages().items() if tag.lower() not in refused}
    if wish == "*":
        return next(iter(offered.values()), None)
    subtags = wish.lower().split("-")
    prefixes = ("-".join(subtags[:length]) for length in range(len(subtags), 0, -1))
    return next((offered[prefix] for prefix in prefixes if prefix in offered), None)


def path_of_this_site(address: str) -> str:
    """`address` if it is a path of this site, with or without a query; else "/". No other host's, however it is
    written: a browser takes `//host`, `/\\host` and either with a tab or line break inside as another host."""
    return address if len(address) <= _MOST_PATH and _PATH.fullmatch(address) else "/"


def switch() -> list[dict[str, Any]]:
    """The languages to choose from: {tag, name, current, url}; GET url chooses it and leads back here."""
    back = quote(_here.get(), safe="/")
    return [
        {"tag": tag, "name": each.name, "current": each == language(), "url": f"/language/{tag}?back={back}"}
        for tag, each in languages().items()
    ]


def speak(environment: Environment) -> None:
    """Gives templates `_`, `ngettext` and `{% trans %}` (values as `%(name)s`, escaped where the template escapes),
    and prints Words in the language in force when a page is made."""
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals |= {"_": _gettext, "gettext": _gettext, "ngettext": _ngettext}
    environment.finalize = _printed


@pass_eval_context
def _gettext(evaluation: EvalContext, message: str, /, **values: object) -> str:
    return _filled(evaluation, language().catalogue.gettext(message), values)


@pass_eval_context
def _ngettext(evaluation: EvalContext, one: str, many: str, n: int, /, **values: object) -> str:
    return _filled(evaluation, language().catalogue.ngettext(one, many, n), {"num": n, **values})


def _filled(evaluation: EvalContext, message: str, values: dict[str, object]) -> str:
    told = {name: _printed(value) for name, value in values.items()}
    return Markup(message) % told if evaluation.autoescape else message % told  # noqa: S704 a catalogue's own markup
