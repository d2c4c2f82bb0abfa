"""What no form and no program of ours would send to the administration is refused, changes and breaks nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from tests.attacks.test_other_tenants import ADDRESSES, World
from tests.attacks.test_other_tenants import world as world
from tests.attacks.test_references import bodies
from tests.support.administrators import Api, Console, console, master
from tests.support.enroll_app import PAGE, problem_code
from tests.support.every_route import Operation, console_routes
from tests.support.tenants import OURS, UNKNOWN, contents

from keystead_enroll.domain.lists import LISTS
from keystead_enroll.domain.search import FieldKind, cursor_of

NOT_THEIRS_TO_SET = (
    "id", "digest", "version", "created_at", "secret_id_hash", "access_code_digest", "uri_extension", "published",
    "invitation", "last_seen_at", "administrator_id", "state", "actor", "kind_", "__class__", "grants", "active",
)  # fmt: skip
UNSTORABLE = {"nul": "a\0b", "surrogate": "a\ud800b", "escape": "a\x1bb", "return": "a\rb"}
NO_DOMAINS = (
    "exаmple.org",  # Cyrillic
    "ｅxample.org", "example。org", "example.org\u200b", "xn--", "-a.example", "a..example", "*.example",
    "example.org.", "example.org/x", "exam ple.org", "127.0.0.1", "[::1]", "a" * 64 + ".example",
    "örg.example",
)  # fmt: skip
BULK_ROW = ("POST /bulk-jobs/rows", "rows.0.device_name")
"""What is wrong in a row costs that row alone, once it is read: `tests/unit/enroll/test_bulk_file.py`."""
ANYTHING = {("POST /licences", "text"), BULK_ROW}
"""The first may be as long as a request."""


def sent(api: Api, operation: Operation, ids: dict[str, str], body: Any) -> httpx.Response:
    """Sends `body`, whatever it is, as JSON of ASCII alone."""
    address = operation.path.replace("{id}", ids.get(operation.kind, UNKNOWN))
    content = json.dumps(body).encode()
    return api(operation.method, address, content=content, headers={"content-type": "application/json"})


def told(world: World) -> list[tuple[Operation, Any]]:
    """Every operation that takes JSON, with such a body."""
    known = bodies(world.ours)
    found = [
        (each, known.get(str(each), each.filled(world.ours.ids) if each.method != "PATCH" else {"name": "Any"}))
        for each in world.operations
        if each.body is not None
    ]
    assert len(found) >= 20
    return found


def strings(body: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Each text in a body: its place, and the body as a function of another text."""

    def walk(part: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            if isinstance(value, str):
                yield (*path, key)
            elif isinstance(value, dict | list):
                yield from walk(value, (*path, key))

    for path in walk(body, ()):

        def changed(text: Any, path: tuple[Any, ...] = path) -> Any:
            fresh = deepcopy(body)
            place = fresh
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = text
            return fresh

        yield ".".join(map(str, path)), changed


def test_nobody_sets_what_is_not_asked_for(world: World) -> None:
    api = master(world.app)
    before = contents(world.app)
    for operation, body in told(world):
        assert operation.body is not None
        known = operation.resolved(operation.body)["properties"]
        for extra in NOT_THEIRS_TO_SET:
            if extra in known:
                continue
            response = sent(api, operation, world.ours.ids, {**body, extra: "x"})
            assert (str(operation), response.status_code) == (str(operation), 422), (extra, response.text)
            assert extra in response.json()["fields"], (str(operation), extra)
    assert contents(world.app) == before


@pytest.mark.parametrize("what", UNSTORABLE)
def test_text_that_nothing_can_hold_is_refused_in_every_field(world: World, what: str) -> None:
    api = master(world.app)
    before = contents(world.app)
    for operation, body in told(world):
        for place, changed in strings(body):
            if (str(operation), place) == BULK_ROW:
                continue
            response = sent(api, operation, world.ours.ids, changed(UNSTORABLE[what]))
            assert 400 <= response.status_code < 500, (str(operation), place, response.status_code)
        odd = sent(api, operation, world.ours.ids, {**body, UNSTORABLE[what]: 1})
        assert (str(operation), odd.status_code) == (str(operation), 422)
    assert contents(world.app) == before


def test_what_is_no_text_and_too_much_text_is_refused_in_every_field(world: World) -> None:
    api = master(world.app)
    before = contents(world.app)
    for operation, body in told(world):
        for place, changed in strings(body):
            if (str(operation), place) in ANYTHING:
                continue
            for other in (7, True, [], {}, {"$ne": 1}, ["x"], "x" * 60_000, 1e400, -(2**70)):
                response = sent(api, operation, world.ours.ids, changed(other))
                assert 400 <= response.status_code < 500, (str(operation), place, str(other)[:20], response.status_code)
    assert contents(world.app) == before


ODD_BODIES = {
    "deep": b"[" * 30_000 + b"]" * 30_000, "deep object": b'{"name":' * 9_000 + b"1" + b"}" * 9_000,
    "cut off": b'{"name":', "no json": b"name=x", "empty": b"", "null": b"null", "list": b"[]", "text": b'"x"',
    "no unicode": b'{"name": "\xff"}',
    "other unicode": '{"name": 1}'.encode("utf-16"), "long number": b'{"name": ' + b"9" * 5000 + b"}",
    "not a number": b'{"name": NaN}', "surrogate key": b'{"\\ud800": 1}', "large": b'{"name": "' + b"x" * 2**21 + b'"}',
}  # fmt: skip


@pytest.mark.parametrize("what", ODD_BODIES)
def test_an_odd_body_is_refused_everywhere(world: World, what: str) -> None:
    api = master(world.app)
    before = contents(world.app)
    for operation in world.operations:
        if "requestBody" not in operation.described:
            continue
        address = operation.path.replace("{id}", world.ours.ids.get(operation.kind, UNKNOWN))
        headers = {"content-type": "application/json"}
        response = api(operation.method, address, content=ODD_BODIES[what], headers=headers)
        assert response.status_code in (400, 413, 422), (str(operation), response.status_code)
        assert problem_code(response)
    assert contents(world.app) == before


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/xml", ""]
)
def test_a_body_of_another_kind_is_no_json(world: World, kind: str) -> None:
    """Such as a form elsewhere could send."""
    api = master(world.app)
    before = contents(world.app)
    for operation, body in told(world):
        address = operation.path.replace("{id}", world.ours.ids.get(operation.kind, UNKNOWN))
        content = json.dumps(body).encode()
        response = api(operation.method, address, content=content, headers={"content-type": kind})
        assert response.status_code in (400, 415, 422), (str(operation), response.status_code)
    assert contents(world.app) == before


def test_of_a_name_that_comes_twice_one_counts_for_everybody(world: World) -> None:
    api = master(world.app)
    content = b'{"name": "First of twins", "name": "Second of twins"}'
    made = api("POST", "/organizations", content=content, headers={"content-type": "application/json"}).json()
    assert api("GET", f"/organizations/{made['id']}").json()["name"] == "Second of twins"
    assert "First of twins" not in api("GET", "/audit", params={"limit": 200}).text
    assert api("DELETE", f"/organizations/{made['id']}").status_code == 204


@pytest.mark.parametrize("domain", NO_DOMAINS)
def test_what_looks_like_a_domain_and_is_none_is_not_delegated(world: World, domain: str) -> None:
    api = master(world.app)
    for field in ("email_domains", "dns_domains"):
        answer = api("POST", "/organizations", json={"name": "Look-alike", field: [domain]})
        assert (answer.status_code, list(answer.json()["fields"])) == (422, [f"{field}.0"])


@pytest.mark.parametrize("days", [0, -1, 367, 10**30, -(10**30), 1.5, "1e3", None])
def test_numbers_out_of_range_are_refused(world: World, days: Any) -> None:
    body = {"name": "Any", "organization_id": world.ours.organization, "days": days}
    answer = master(world.app)("POST", "/registration-tokens", json=body)
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["days"])


ODD_SEARCHES = (
    "\0", "a\0b", "{field}:\0", "{field}:<99999y", "{field}:>99999y", "{field}:<9999-12-31T23:59:59-23:59",
    "{field}:<0001-01-01T00:00:00+23:59", "{field}:'", '{field}:"', "{field}:%", "{field}:\\", "-{field}:x",
    "{field}:＜", "{field}:2026-13-45", "{field}:<-1d", "{field}:<", "\ufffd", "x" * 501, "\u202e", "{field}:<2026-W01",
)  # fmt: skip


def test_an_odd_search_order_or_mark_breaks_no_list(world: World) -> None:
    api, opened = master(world.app), console(world.app)
    pages = {path for method, path in console_routes(world.app.web) if method == "GET"}
    for definition in LISTS:
        path = f"/{ADDRESSES.get(definition.name, definition.name.replace('_', '-'))}"
        kinds = {field.kind: name for name, field in definition.fields.items()}
        assert FieldKind.TEXT in kinds or kinds
        for search in ODD_SEARCHES:
            for name in kinds.values() if "{field}" in search else ("",):
                params = {"q": search.replace("{field}", name)}
                answer = api("GET", path, params=params)
                assert answer.status_code in (200, 422), (path, params, answer.status_code)
                if f"/console{path}" in pages:
                    shown = opened.client.get(f"/console{path}", params=params, headers=PAGE)
                    assert shown.status_code == 200, (path, params, shown.status_code)
        sort, backwards = definition.sorts[0], definition.newest_first
        for mark in marks(sort, backwards):
            answer = api("GET", path, params={"after": mark})
            assert answer.status_code in (200, 422), (path, mark, answer.status_code)
            if f"/console{path}" in pages:
                shown = opened.client.get(f"/console{path}", params={"after": mark}, headers=PAGE)
                assert shown.status_code == 200, (path, mark, shown.status_code)


def marks(sort: str, backwards: bool) -> list[str]:
    """Marks of a next page that no list has given."""
    ids = ("x", "\0", "\ud800", "9" * 30, "-" + "9" * 30, "9" * 5000, "1.5", UNKNOWN)
    values = ("", "\0", "\ud800", "2026-01-01", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59",
              "9999-12-31T23:59:59-23:59", "' OR 1=1 --")  # fmt: skip
    found = [cursor_of(sort, backwards, "2026-01-01T00:00:00+00:00", each) for each in ids]
    found += [cursor_of(sort, backwards, each, UNKNOWN) for each in values]
    plain = [b"", b"null", b"[]", b'["", false, 1, 2]', b"[" * 1400, b"\xff\xfe", b'{"a":1}', b"1" * 1400]
    return [*found, *(base64.urlsafe_b64encode(each).decode() for each in plain), "!", "ä", "===", "%00"]


@pytest.mark.parametrize(
    "thing", ["\0", "%00", "%ff", "%ed%a0%80", "x" * 5000, "%2e%2e%2fme", "' OR 1=1 --", "９", "٣"]
)
def test_an_odd_id_is_nothing(world: World, thing: str) -> None:
    api, opened = master(world.app), console(world.app)
    for operation in world.operations:
        if operation.of_one and operation.method == "GET":
            address = operation.path.replace("{id}", thing.replace("\0", "%00"))
            assert api("GET", address).status_code in (404, 405), operation
    for method, path in console_routes(world.app.web):
        if method == "GET" and path.endswith("/{id}"):
            page = opened.get(path.removeprefix("/console").replace("{id}", thing.replace("\0", "%00")))
            assert page.status_code == 404, path


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, "a\x7f"])
def test_an_odd_idempotency_key_is_refused(world: World, key: str) -> None:
    headers = {"idempotency-key": key.encode()}
    before = contents(world.app)
    for operation, body in told(world):
        if operation.method == "POST" and any(
            each["name"] == "idempotency-key" for each in operation.described.get("parameters", ())
        ):
            address = operation.path.replace("{id}", world.ours.ids.get(operation.kind, UNKNOWN))
            answer = master(world.app)("POST", address, json=body, headers=headers)
            assert (str(operation), answer.status_code) == (str(operation), 422)
    now = contents(world.app)
    assert {name: rows for name, rows in now.items() if name not in ("administrators", "api_tokens")} == {
        name: rows for name, rows in before.items() if name not in ("administrators", "api_tokens")
    }


def test_a_form_of_the_console_with_odd_text_breaks_nothing(world: World) -> None:
    opened: Console = console(world.app)
    opened.get("/organizations")
    for method, path in console_routes(world.app.web):
        if method != "POST" or "sign-out" in path:
            continue
        address = path.removeprefix("/console").replace("{id}", world.ours.ids.get(path.split("/")[2], UNKNOWN))
        for text in ("a\0b", "\ud800", OURS * 3000):
            names = (
                "name",
                "note",
                "email",
                "days",
                "place",
                "organization_id",
                "grant-0",
                "roles",
                "chosen",
                "reason",
            )
            raw = {"form_token": opened.form_token, **dict.fromkeys(names, text.encode("utf-8", "surrogatepass"))}
            response = opened.client.post(f"/console{address}", data=raw, headers=PAGE | {"origin": world.app.origin})
            assert response.status_code < 500, (path, text[:3], response.status_code)
