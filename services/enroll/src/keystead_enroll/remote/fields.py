"""Options of a command from the fields of an input, and the body of a request from what was given."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
import yaml
from pydantic import BaseModel

REFERENCES = {
    "organization_id": ("organization", "/organizations"),
    "organization_ids": ("organization", "/organizations"),
    "department_id": ("department", "/departments"),
    "profile_id": ("profile", "/profiles"),
    "profile_ids": ("profile", "/profiles"),
    "form_id": ("form", "/forms"),
    "identity_provider_id": ("identity-provider", "/identity-providers"),
}
"""Fields that hold ids: their option, which takes a name or an id, and the list in which a name is looked for."""
_SINGULAR = {
    "methods": "method",
    "grants": "grant",
    "idp_rules": "rule",
    "notice_days": "notice-day",
    "term_days": "term-day",
}


@dataclass(frozen=True)
class Option:
    """A field as an option. `many`: it may be given several times."""

    field: str
    flag: str
    kind: Any
    many: bool
    boolean: bool
    meaning: str

    @property
    def parameter(self) -> str:
        """The name under which click hands it over."""
        return f"field_{self.field}"

    def declaration(self) -> click.Option:
        """The option for click. Without it the field is left as it is."""
        if self.boolean:
            name = self.flag.removeprefix("--")
            return click.Option([self.parameter, f"--{name}/--no-{name}"], default=None, help=self.meaning)
        return click.Option(
            [self.parameter, self.flag], type=self.kind, multiple=self.many, default=None, help=self.meaning
        )


def options_of(model: type[BaseModel]) -> list[Option]:
    """An option for each field of `model` that fits on a command line."""
    return [
        option
        for name, info in model.model_fields.items()
        if (option := _option(name, info.annotation, info.description))
    ]


def _option(name: str, annotation: Any, description: str | None) -> Option | None:
    many, kind = _unwrapped(annotation)
    meaning = description or ""
    if name in REFERENCES:
        noun, _ = REFERENCES[name]
        return Option(name, f"--{noun}", str, many, False, meaning or f"Name or id of the {noun}.")
    flag = f"--{(_SINGULAR.get(name, name.removesuffix('s')) if many else name).replace('_', '-')}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return (
            Option(name, flag, str, many, False, meaning or FORMS_OF_OBJECTS.get(name, "")) if name in OBJECTS else None
        )
    if kind is dict:
        return (
            Option(name, flag, str, True, False, meaning or FORMS_OF_OBJECTS.get(name, "name=value"))
            if name in OBJECTS
            else None
        )
    if kind is bool:
        return Option(name, flag, bool, False, True, meaning)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return Option(name, flag, click.Choice([each.value for each in kind]), many, False, meaning)
    if isinstance(kind, tuple):
        return Option(name, flag, click.Choice(list(kind)), many, False, meaning)
    return Option(name, flag, int if kind is int else str, many, False, meaning)


def _unwrapped(annotation: Any) -> tuple[bool, Any]:
    """Whether it is a list, and of what; Optional and Annotated taken off."""
    many = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            annotation = next(each for each in get_args(annotation) if each is not type(None))
        elif origin is list:
            many, annotation = True, get_args(annotation)[0]
        elif origin is Literal:
            return many, get_args(annotation)
        elif origin is dict:
            return many, dict
        else:
            return many, annotation


def _grant(text: str) -> dict[str, Any]:
    """`mrao`, `rao:ORGANIZATION`, `drao:ORGANIZATION/DEPARTMENT`, each with `:client,device` behind it if not for all
    certificate types. Places are names or ids; whoever sends it puts in the ids."""
    role, _, rest = text.partition(":")
    place, _, kinds = rest.rpartition(":") if rest.count(":") else (rest, "", "")
    organization, _, department = place.partition("/")
    grant: dict[str, Any] = {"role": role, "organization_id": organization or None, "department_id": department or None}
    return grant | ({"certificate_types": kinds.split(",")} if kinds else {})


def _rule(text: str) -> dict[str, Any]:
    """`groups MATCHES staff|students`."""
    parts = text.split(None, 2)
    if len(parts) != 3:
        raise click.BadParameter(f"“{text}” is no rule. Write it like: groups MATCHES staff|students")
    key, operator, values = parts
    return {"key": key.lower(), "match_type": operator.upper(), "values": values.split("|")}


def pair(text: str) -> tuple[str, str]:
    """`name=value`. Raises click.BadParameter."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"“{text}” has no “=”. Write it like: groups=urn:oid:1.3.6.1.4.1.5923.1.5.1.1")
    return name, value


OBJECTS = {"grants": _grant, "idp_rules": _rule, "rules": _rule, "attributes": pair}
FORMS_OF_OBJECTS = {
    "grants": "mrao, rao:ORGANIZATION or drao:ORGANIZATION/DEPARTMENT; with :client,device behind it for some types.",
    "idp_rules": "Such as “groups MATCHES staff|students”.",
    "attributes": "NAME=SENT-AS, such as groups=memberOf.",
}


def body_of(
    options: Sequence[Option], given: Mapping[str, Any], file: Path | None, cleared: Sequence[str]
) -> dict[str, Any]:
    """The body: what the file says, then the options, then nothing for what is to be cleared."""
    body = _from_file(file) if file else {}
    for option in options:
        value = given.get(option.parameter)
        if value is None or value == ():
            continue
        if option.field in OBJECTS:
            made: list[Any] = [OBJECTS[option.field](text) for text in (value if option.many else [value])]
            body[option.field] = dict(made) if option.field == "attributes" else made
        else:
            body[option.field] = list(value) if option.many else value
    for name in cleared:
        named = next((each for each in options if name in (each.flag.removeprefix("--"), each.field)), None)
        if named is None:
            raise click.BadParameter(f"There is no “{name}” to clear.", param_hint="--clear")
        body[named.field] = [] if named.many else None
    return body


def _from_file(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise click.BadParameter(
            f"{file} cannot be read: {' '.join(str(error).split())}", param_hint="--file"
        ) from error
    if not isinstance(content, dict):
        raise click.BadParameter(f"{file} holds no fields, each as “name: value”.", param_hint="--file")
    return content
