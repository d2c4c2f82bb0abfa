"""Every address of the administration, as the OpenAPI document and the application tell them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from keystead_enroll.web.api.app import PREFIX, describe

NEVER = ("HEAD", "OPTIONS", "TRACE", "PUT", "CONNECT")
"""Methods that no address of the API takes."""
READS = ("/forms/{id}/trial",)
"""Addresses that a POST changes nothing at: it carries what is asked about."""
REFERENCE = re.compile(r"(?!client_id|secret_id)\w+_ids?|ids")
"""Fields that name other things."""


@dataclass(frozen=True)
class Operation:
    """A method of an address of the API; `path` begins after `/api/v1`."""

    method: str
    path: str
    described: Mapping[str, Any]
    document: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> str:
        """The kind of thing that it is about."""
        return self.path.split("/")[1]

    @property
    def of_one(self) -> bool:
        """Whether it is about one thing."""
        return "{" in self.path

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The schema of its JSON body."""
        content = self.described.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema")

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema itself, where it is referred to or may be null."""
        if "$ref" in schema:
            return self.resolved(self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
        for choice in schema.get("anyOf", ()):
            if choice.get("type") != "null":
                return self.resolved(choice)
        return schema

    def references(self) -> set[str]:
        """The names of all fields of its body, however deep, that name other things."""
        found: set[str] = set()
        waiting = [self.body or {}]
        while waiting:
            schema = self.resolved(waiting.pop())
            for name, part in schema.get("properties", {}).items():
                if REFERENCE.fullmatch(name):
                    found.add(name)
                waiting.append(part)
            if "items" in schema:
                waiting.append(schema["items"])
        return found

    def filled(self, ids: Mapping[str, str]) -> Any:
        """A body that has what is required; ids of the things that it names come from `ids`."""
        return None if self.body is None else self._value(self.body, "", ids)

    def _value(self, schema: Mapping[str, Any], name: str, ids: Mapping[str, str]) -> Any:
        schema = self.resolved(schema)
        if "enum" in schema or "const" in schema:
            return schema["enum"][0] if "enum" in schema else schema["const"]
        match schema.get("type"):
            case "object":
                wanted = schema.get("required", ())
                return {each: self._value(schema["properties"][each], each, ids) for each in wanted}
            case "array":
                return [self._value(schema["items"], name, ids)] if schema.get("minItems") else []
            case "boolean":
                return True
            case "integer":
                return schema.get("minimum", 1)
        if REFERENCE.fullmatch(name):
            kind = kind_named(name, self.kind)
            assert kind in ids, f"{self}: there is no sample of “{kind}”: make one in tests/support/tenants.py"
            return ids[kind]
        return "x@example.org" if name == "email" else "x" * max(1, schema.get("minLength", 1))


def kind_named(field: str, own: str) -> str:
    """The kind of thing that a field such as `organization_id` names; `ids` are of the address's own kind."""
    stem = re.sub(r"_?ids?$", "", field)
    return f"{stem}s".replace("_", "-") if stem else own


def operations(app: FastAPI) -> list[Operation]:
    """Every method of every address of the API. Fails if the document lacks one."""
    document = describe(app)
    found = [
        Operation(method.upper(), path.removeprefix(PREFIX), described, document)
        for path, methods in document["paths"].items()
        if path.startswith(f"{PREFIX}/")
        for method, described in methods.items()
    ]
    told = {(each.method, f"{PREFIX}{each.path}") for each in found}
    served = {(method, path) for method, path in routes(app) if path.startswith(PREFIX)}
    assert served == told, f"the OpenAPI document does not tell {served ^ told}"
    return sorted(found, key=str)


def console_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every page and form of the console."""
    return sorted(each for each in routes(app) if each[1].startswith("/console"))


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and whole path of every route, also of routers that were included."""
    waiting: list[tuple[str, object]] = [("", route) for route in app.routes]
    while waiting:
        prefix, route = waiting.pop()
        if isinstance(route, APIRoute):
            yield from ((method, prefix + route.path) for method in route.methods or ())
        elif hasattr(route, "original_router"):
            inside = prefix + (route.include_context.prefix or "")  # type: ignore[attr-defined]
            waiting += [(inside, each) for each in route.original_router.routes]
