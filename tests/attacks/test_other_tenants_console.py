"""Every page and form of the console, as everybody who has nothing to do with a thing, and as nobody."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from tests.attacks.test_other_tenants import IN_SIGHT, THEIRS_TO_DO, World
from tests.attacks.test_other_tenants import world as world
from tests.support.administrators import Console, administrator, administrator_identity, console
from tests.support.every_route import console_routes
from tests.support.tenants import OUTSIDER, UNKNOWN, contents, grant_of

from keystead_enroll.adapters import administration_tables as a

SIGN_IN = "/auth/administrators/sign-in"
DOOR = {"/console/arrive", "/console/sign-out"}
"""What is there for those who are not signed in."""
ASKS = ("organization", "department", "form", "account", "profile", "person", "administrator")
"""Parameters that a page of a new thing may have for what it belongs to."""


def visit(world: World, role: str) -> Console:
    """The console as somebody with this role sees it, with a form token at hand."""
    opened = console(world.app, grant_of(role, world.ours, world.theirs))
    opened.get()
    assert opened.form_token
    return opened


def fields(ids: dict[str, str]) -> dict[str, Any]:
    """A form that fits everywhere, with everything that it can name."""
    named = {f"{name}_id": ids[f"{name}s"] for name in ASKS} | {f"{name}_ids": ids[f"{name}s"] for name in ASKS}
    where = f"{ids['organizations']}/{ids['departments']}"
    place = {"place": where, "roles": "1", "grant-0": where, "grant-0-types": "client", "chosen": ids["requests"]}
    typed = {"name": "Any name", "note": "Why.", "reason": "unspecified", "days": "3", "email": "any@zweistein.example"}
    return named | place | typed | {"decision": "approve"}


def send(opened: Console, method: str, path: str, ids: dict[str, str]) -> httpx.Response:
    """Opens a page or sends its form."""
    address = path.removeprefix("/console")
    return opened.get(address) if method == "GET" else opened.post(address, **fields(ids))


def without_marks(text: str, *ids: str) -> str:
    """A page without what differs each time: references, marks of drafts, and then `ids`, which may be a digit long."""
    text = re.sub(r"draft=[\w-]+|[0-9a-f]{31,}|back=[^\"]+", "", text)
    for each in ids:
        text = text.replace(each, "")
    return text


@pytest.mark.parametrize("role", IN_SIGHT)
def test_a_page_of_a_thing_outside_of_ones_scope_is_not_there(world: World, role: str) -> None:
    opened, tried = visit(world, role), set()
    before = contents(world.app)
    for method, path in console_routes(world.app.web):
        kind = path.split("/")[2] if "{" in path else ""
        if not kind or kind in IN_SIGHT[role]:
            continue
        assert "{" not in path.replace("{id}", ""), f"{path} names more than one thing: say here which"
        thing, nothing = world.theirs.id_for(kind), UNKNOWN if kind != "audit" else "99999999"
        response = send(opened, method, path.replace("{id}", thing), world.theirs.ids)
        assert (method, path, response.status_code) == (method, path, 404), response.headers.get("location")
        assert not world.theirs.told_in(response.text.replace(thing, "")), path
        other = send(opened, method, path.replace("{id}", nothing), world.theirs.ids)
        assert without_marks(other.text, thing, nothing) == without_marks(response.text, thing, nothing), path
        tried.add(kind)
    assert len(tried) >= len(world.theirs.ids) - len(IN_SIGHT[role]) - 3
    assert contents(world.app) == before


@pytest.mark.parametrize("role", [each for each in IN_SIGHT if each != OUTSIDER])
def test_a_form_about_a_thing_in_sight_is_taken_from_nobody_whose_it_is_not(world: World, role: str) -> None:
    opened, before = visit(world, role), contents(world.app)
    for method, path in console_routes(world.app.web):
        kind = path.split("/")[2] if "{" in path else ""
        if kind not in IN_SIGHT[role] or (role, kind) in THEIRS_TO_DO:
            continue
        response = send(opened, method, path.replace("{id}", world.theirs.id_for(kind)), world.theirs.ids)
        refused = response.status_code == 403 or "?draft=" in response.headers.get("location", "")
        assert refused or (method == "GET" and response.status_code == 200), (method, path, response.status_code)
    assert contents(world.app) == before


@pytest.mark.parametrize("role", IN_SIGHT)
def test_lists_and_empty_forms_show_nothing_outside_of_ones_scope(world: World, role: str) -> None:
    opened, in_sight = visit(world, role), IN_SIGHT[role] or None
    asked = {name: world.theirs.ids[f"{name}s"] for name in ASKS}
    params = asked | {f"{name}_id": thing for name, thing in asked.items()} | {"limit": "200"}
    for method, path in console_routes(world.app.web):
        if method != "GET" or "{" in path or path in DOOR:
            continue
        for query in ({}, params):
            response = opened.client.get(path, params=query, headers={"accept": "text/html"})
            assert response.status_code in (200, 303, 403, 404), (path, response.status_code)
            text = response.text
            for thing in asked.values():  # a page may repeat the address that it was asked for
                text = text.replace(thing, "") if query else text
            assert not world.theirs.told_in(text, but=in_sight), (path, query)


def test_a_form_of_a_new_thing_takes_nothing_that_is_others(world: World) -> None:
    opened, before = visit(world, OUTSIDER), contents(world.app)
    for method, path in console_routes(world.app.web):
        if method != "POST" or "{" in path or path in DOOR:
            continue
        response = send(opened, "POST", path, world.theirs.ids)
        shown = response
        if response.status_code == 303 and "?draft=" in response.headers["location"]:
            shown = opened.get(response.headers["location"].removeprefix("/console"))
        text = shown.text
        for value in fields(world.theirs.ids).values():  # what was typed is shown again
            text = text.replace(value, "")
        assert not world.theirs.told_in(text), path
        assert contents(world.app) == before, path


@pytest.mark.parametrize("who", ["nobody", "a deactivated administrator", "whose session is over"])
def test_whoever_is_not_signed_in_is_sent_to_sign_in(world: World, who: str) -> None:
    opened, owner = Console(world.app), administrator(world.app)
    if who != "nobody":
        opened.arrive(administrator_identity(world.app, owner))
        assert opened.get("/organizations").status_code == 200
    with world.app.enroll.database.write() as session:
        if who == "a deactivated administrator":
            gone = a.administrators.c.id == owner.id
            session.execute(update(a.administrators).where(gone).values(active=False))
        elif who == "whose session is over":
            mine, now = a.console_sessions.c.administrator_id == owner.id, world.app.clock.now()
            session.execute(update(a.console_sessions).where(mine).values(expires_at=now))
    before = contents(world.app)
    for method, path in console_routes(world.app.web):
        if path in DOOR:
            continue
        address = path.replace("{id}", world.theirs.ids.get((path + "//").split("/")[2], UNKNOWN))
        response = send(opened, method, address, world.theirs.ids)
        assert (path, response.status_code, response.headers["location"]) == (path, 303, SIGN_IN)
        if method == "POST":
            plain = opened.client.post(address, data={}, headers={"origin": world.app.origin})
            assert plain.status_code == 401
    assert contents(world.app) == before
