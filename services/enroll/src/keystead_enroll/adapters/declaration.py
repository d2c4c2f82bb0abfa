"""Reads a set-up file: as much of it as can be used, and every mistake with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from keystead_enroll.adapters.yaml_lines import Group, Items, YamlMistake, parse_yaml
from keystead_enroll.domain.declaration import (
    AccountDeclaration,
    AdministratorDeclaration,
    Declaration,
    DepartmentDeclaration,
    FormDeclaration,
    GrantDeclaration,
    IdentityProviderDeclaration,
    LicenceDeclaration,
    OrganizationDeclaration,
    ProfileDeclaration,
    RegistrationTokenDeclaration,
)
from keystead_enroll.domain.inputs import AT_ODDS
from keystead_enroll.domain.names import shown
from keystead_enroll.domain.refusals import DeclarationInvalid, Mistake
from keystead_kit.plain_words import plain_words

EMPTY_ADVICE = (
    "Begin with organizations:, profiles: or forms:. A file that declares nothing changes nothing; it never takes "
    "anything away."
)
_KINDS: Mapping[str, tuple[str, type[BaseModel]]] = {
    "organizations": ("organization", OrganizationDeclaration),
    "departments": ("department", DepartmentDeclaration),
    "profiles": ("profile", ProfileDeclaration),
    "forms": ("form", FormDeclaration),
    "accounts": ("account", AccountDeclaration),
    "registration_tokens": ("registration token", RegistrationTokenDeclaration),
    "administrators": ("administrator", AdministratorDeclaration),
    "grants": ("grant", GrantDeclaration),
    "identity_providers": ("identity provider", IdentityProviderDeclaration),
    "licence": ("licence", LicenceDeclaration),
}
_PATTERNS = {
    "access_code": "may have letters a-z and digits only, 1 to 255 of them",
    "uri_extension": "may have letters a-z, digits, - and _ only, 1 to 58 of them",
    "help_link": "must be an address that begins with https:// or http://",
    "metadata_url": "must be an address that begins with https://",
    "issuer": "must be an address that begins with https://",
    "client_secret_name": "may have small letters a-z, digits and - only",
    "policy_oids": "must be an object identifier, such as 1.3.6.1.4.1.32473.1",
}
Place = tuple[str | int, ...]


@dataclass
class Reading:
    """What was read. `declaration` is what of the file can be used; `left_out` names what is declared and cannot:
    (kind, name)."""

    declaration: Declaration
    mistakes: list[Mistake] = field(default_factory=list)
    left_out: set[tuple[str, str]] = field(default_factory=set)


def read_declaration(path: Path) -> Reading:
    """The set-up in `path`. Raises DeclarationInvalid if nothing of it can be read."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationInvalid([Mistake(None, str(error.strerror))], "Give a file that is there.") from error
    except UnicodeDecodeError as error:
        raise DeclarationInvalid([Mistake(None, "the file is not text in UTF-8")], "Save it as UTF-8.") from error
    except YamlMistake as error:
        raise DeclarationInvalid([Mistake(error.line, error.words)]) from error
    if document is None or document == {}:
        raise DeclarationInvalid([Mistake(None, "the file is empty")], EMPTY_ADVICE)
    if not isinstance(document, Group):
        raise DeclarationInvalid([Mistake(1, "this is no set-up")], EMPTY_ADVICE)
    reading = _Reader(document).read()
    if not any(document.values()) and not reading.mistakes:
        raise DeclarationInvalid([Mistake(None, "the file declares nothing")], EMPTY_ADVICE)
    return reading


class _Reader:
    """Takes out what is wrong until the rest is right, and tells each mistake once."""

    def __init__(self, document: Group) -> None:
        self._document = document
        self._mistakes: list[Mistake] = []
        self._taken: set[tuple[int, str]] = set()
        self._known = set(_names_in(document))

    def read(self) -> Reading:
        while True:
            try:
                declaration = Declaration.model_validate(self._document)
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False)
                self._mistakes += [told for mistake in found if (told := self._told(mistake))]
                places = {place for mistake in found for place in self._to_take_out(mistake)}
                # last first, so that what is taken out of a list moves nothing that is still to be taken out
                for place in sorted(places, key=_in_order, reverse=True):
                    self._remove(place)
            else:
                left_out = self._known - set(_names_in(self._document))
                return Reading(declaration, self._mistakes, left_out)

    def _told(self, mistake: ErrorDetails) -> Mistake | None:
        place, kind, context = mistake["loc"], mistake["type"], mistake.get("ctx", {})
        if kind == AT_ODDS:
            entry, fields = self._at(place), context["fields"]
            taken = self._taken
            if any((id(entry), name) in taken or (id(self._at((*place, name))), "") in taken for name in fields):
                return None  # one of them, or what it had, was told already
            return Mistake(self._line(*place, fields[0]), f"{self._thing(place)}: {fields[0]}: {context['words']}")
        *way, last = place
        if kind == "missing":
            if (id(self._at(tuple(way))), str(last)) in self._taken:
                return None  # it was there, and was told to be wrong
            return Mistake(self._line(*way), f"{self._thing(tuple(way))}: {last} is missing")
        if kind == "extra_forbidden":
            return Mistake(self._line(*place), f"{self._thing(tuple(way))}: {_unknown(tuple(way), str(last))}")
        if kind == "too_short" and (id(self._at(place)), "") in self._taken:
            return None  # what it had was told to be wrong
        words = plain_words(mistake)
        setting = next(str(step) for step in reversed(place) if isinstance(step, str))
        if kind == "string_pattern_mismatch":
            words = _PATTERNS[setting]
        if isinstance(last, int) and setting in _KINDS:
            return Mistake(self._line(*place), f"{self._thing(place)} {words}")
        item = f" (number {last + 1})" if isinstance(last, int) else ""
        return Mistake(self._line(*place), f"{self._thing(place)}: {setting}{item}: {words}")

    def _to_take_out(self, mistake: ErrorDetails) -> list[Place]:
        place = mistake["loc"]
        if mistake["type"] == "missing":
            return [place[:-1]]
        if mistake["type"] == AT_ODDS:
            entry = self._at(place)
            return [(*place, name) for name in mistake["ctx"]["fields"] if name in entry] or [place]
        return [place]

    def _remove(self, place: Place) -> None:
        """Takes out what stands at `place`, unless what holds it was taken out before."""
        holder, last = self._at(place[:-1]), place[-1]
        if isinstance(holder, Items) and isinstance(last, int) and last < len(holder):
            del holder[last], holder.lines[last]
            self._taken.add((id(holder), ""))
        elif isinstance(holder, Group) and last in holder:
            del holder[str(last)]
            self._taken.add((id(holder), str(last)))
        elif isinstance(holder, str):
            self._remove(place[:-1])  # a name that stands for a whole entry

    def _at(self, place: Place) -> Any:
        here: Any = self._document
        for step in place:
            if isinstance(here, Group):
                here = here.get(str(step))
            elif isinstance(here, Items) and isinstance(step, int) and step < len(here):
                here = here[step]
            else:
                return None
        return here

    def _line(self, *place: str | int) -> int:
        return self._document.line_of(*place)

    def _thing(self, place: Place) -> str:
        """Whose mistake it is: `account “A” of form “F”`."""
        found = []
        here: Any = self._document
        for number, step in enumerate(place):
            here = here.get(str(step)) if isinstance(here, Group) else here[step] if isinstance(step, int) else None
            above = place[number - 1] if number else ""
            if step == "licence" or (isinstance(step, int) and above in _KINDS):
                kind = _KINDS[str(step if step == "licence" else above)][0]
                found.append(_label(kind, here) if isinstance(step, int) else kind)
        return " of ".join(reversed(found)).rstrip(",") or "the file"


def _label(kind: str, entry: Any) -> str:
    article = "an" if kind[0] in "aeiou" else "a"
    if not isinstance(entry, Group):
        return f"{article} {kind}"
    name = entry.get("name")
    return f"{kind} {shown(name)}" if isinstance(name, str) and name.strip() else f"{article} {kind} without a name,"


def _in_order(place: Place) -> tuple[tuple[bool, int, str], ...]:
    """Sorts places that mix names and numbers."""
    return tuple((isinstance(step, int), step if isinstance(step, int) else 0, str(step)) for step in place)


def _names_in(document: Group) -> set[tuple[str, str]]:
    """(kind, name) of every entry that something else can name."""
    found = set()
    for organization in _groups(document, "organizations"):
        name = str(organization.get("name", "")).strip()
        found.add(("organization", name))
        departments = organization.get("departments")
        if isinstance(departments, Items):
            names = (entry.get("name", "") if isinstance(entry, Group) else entry for entry in departments)
            found |= {("department", str(department).strip()) for department in names}
    return found | {("profile", str(profile.get("name", "")).strip()) for profile in _groups(document, "profiles")}


def _groups(document: Group, name: str) -> list[Group]:
    entries = document.get(name)
    return [entry for entry in entries if isinstance(entry, Group)] if isinstance(entries, Items) else []


def _unknown(way: Place, name: str) -> str:
    kind = next((str(step) for step in reversed(way) if step in _KINDS), "")
    model = _KINDS[kind][1] if kind else Declaration
    close = get_close_matches(name, model.model_fields, n=1)
    advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(model.model_fields)}"
    return f"there is no setting {shown(name)} here; {advice}"
