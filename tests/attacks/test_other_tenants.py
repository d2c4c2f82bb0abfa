"""Every address of the API, as everybody who has nothing to do with a thing: it is as if it were not there.

The addresses come from the OpenAPI document, so that a new one is attacked without a word here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.support.administrators import Api, master, officer
from tests.support.enroll_app import EnrollApp, enroll_app, problem_code
from tests.support.every_route import NEVER, READS, Operation, operations
from tests.support.servers import PostgresServer, RedisServer
from tests.support.tenants import (
    OTHER_DEPARTMENT,
    OTHER_TYPE,
    OURS,
    OUTSIDER,
    SHUT_OUT,
    THEIRS,
    UNKNOWN,
    Tenant,
    contents,
    grant_of,
    shut_out,
    tenant,
)

from keystead_enroll.domain.lists import LISTS
from keystead_enroll.domain.search import FieldKind

IN_SIGHT: dict[str, dict[str, str]] = {
    OUTSIDER: {},
    OTHER_DEPARTMENT: {
        "organizations": "the organization of one's own department has a name and domains",
        "profiles": "what is delegated to the organization is there for all its departments",
        "forms": "what is delegated to the organization is there for all its departments",
    },
    OTHER_TYPE: {
        "organizations": "one's own organization",
        "departments": "belong to the organization, whatever the certificate type",
        "persons": "who belongs to the organization is known; they are managed with client certificates only",
        "devices": "belong to the organization, whatever the certificate type",
        "registration-tokens": "belong to the organization, whatever the certificate type",
        "endorsement-keys": "belong to the organization, whatever the certificate type",
        "administrators": "who has a role in the organization is known; their roles for other types are not shown",
        "tokens": "as their owners",
    },
}
"""Role → kind of thing that is in its sight by design → why. All that it may not do to it is refused with 403."""
THEIRS_TO_DO = {
    (OTHER_TYPE, kind) for kind in ("departments", "devices", "endorsement-keys", "registration-tokens")
}  # fmt: skip
"""What an administrator of the whole organization manages whatever their certificate types."""

ADDRESSES = {"orders": "requests", "api_tokens": "tokens"}
"""List → its address, where that has another name."""


@dataclass
class World:
    app: EnrollApp
    ours: Tenant
    theirs: Tenant
    operations: list[Operation]

    def api(self, role: str) -> Api:
        return officer(self.app, grant_of(role, self.ours, self.theirs))

    def send(self, api: Api, operation: Operation, thing: str, **changes: Any) -> httpx.Response:
        """Sends what the operation asks for, about a thing of theirs."""
        body = operation.filled(self.theirs.ids)
        if operation.method == "PATCH":
            body = CHANGES.get(operation.kind, {})
        path = operation.path.replace("{id}", thing)
        sent = {"json": body} if body is not None else {"content": CSV} if "import" in path else {}
        return api(operation.method, path, **(sent | changes))


CHANGES: dict[str, Any] = {"administrators": {"grants": [{"role": "mrao"}]}}
"""What changes a thing whose fields are not all in sight."""
CSV = f"email,name,organization\neve@zweistein.example,Eve,{THEIRS} Institute\n".encode()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _redis: RedisServer,
    _postgres: PostgresServer,
) -> Iterator[World]:
    """One enroll with two organizations for all attacks: they leave nothing behind."""
    with _postgres.database() as postgres_url:
        sqlite_url = f"sqlite:///{tmp_path_factory.mktemp('tenants')}/test.db"
        url = sqlite_url if request.param == "sqlite" else postgres_url
        with enroll_app(url, _redis.url, token_limit_address="100000/minute", issue_patience_seconds=0.01) as app:
            ours, theirs = tenant(app, OURS), tenant(app, THEIRS)
            yield World(app, ours, theirs, operations(app.web))


def problem(response: httpx.Response) -> tuple[int, dict[str, Any]]:
    """Status and content of an answer, without what differs each time."""
    body = response.json()
    body.pop("reference", None)
    return response.status_code, body


@pytest.mark.parametrize("role", IN_SIGHT)
def test_a_thing_outside_of_ones_scope_is_as_if_it_were_not_there(world: World, role: str) -> None:
    api, tried = world.api(role), set()
    before = contents(world.app)
    for operation in world.operations:
        if not operation.of_one or operation.kind in IN_SIGHT[role]:
            continue
        thing = world.theirs.id_for(operation.kind)
        response = world.send(api, operation, thing)
        assert (str(operation), response.status_code, problem_code(response)) == (str(operation), 404, "not-found")
        nothing = UNKNOWN if operation.kind != "audit" else "99999999"
        assert problem(world.send(api, operation, nothing)) == problem(response), operation
        assert not world.theirs.told_in(response.text), operation
        tried.add(operation.kind)
    assert len(tried) >= len(world.theirs.ids) - len(IN_SIGHT[role])
    assert contents(world.app) == before


@pytest.mark.parametrize("role", [OTHER_DEPARTMENT, OTHER_TYPE])
def test_a_thing_in_sight_is_changed_by_nobody_whose_it_is_not(world: World, role: str) -> None:
    api, before = world.api(role), contents(world.app)
    for operation in world.operations:
        if not operation.of_one or operation.kind not in IN_SIGHT[role] or (role, operation.kind) in THEIRS_TO_DO:
            continue
        response = world.send(api, operation, world.theirs.id_for(operation.kind))
        expected = 200 if operation.method == "GET" or operation.path in READS else 403
        assert (str(operation), response.status_code) == (str(operation), expected), response.text
    assert contents(world.app) == before


@pytest.mark.parametrize("who", SHUT_OUT)
def test_whose_token_opens_nothing_is_told_nothing(world: World, who: str) -> None:
    api = shut_out(world.app, who)
    before = contents(world.app)
    for operation in world.operations:
        response = world.send(api, operation, world.theirs.ids.get(operation.kind, UNKNOWN))
        answer = (str(operation), response.status_code, problem_code(response))
        assert answer == (str(operation), 401, "unauthenticated")
    assert contents(world.app) == before


def test_other_methods_are_taken_nowhere(world: World) -> None:
    api = master(world.app)
    before = contents(world.app)
    for path in sorted({operation.path for operation in world.operations}):
        address = path.replace("{id}", world.theirs.ids.get(path.split("/")[1], UNKNOWN))
        for method in NEVER:
            response = api(method, address)
            assert (method, path, response.status_code) == (method, path, 405)
    assert contents(world.app) == before


@pytest.mark.parametrize("role", IN_SIGHT)
def test_lists_files_and_figures_hold_nothing_outside_of_ones_scope(world: World, role: str) -> None:
    api, in_sight = world.api(role), IN_SIGHT[role] or None
    for operation in world.operations:
        if operation.method != "GET" or operation.of_one:
            continue
        response = api("GET", operation.path, params={"limit": 200})
        if operation.kind == "licences":  # of no organization, and published by masters
            assert response.status_code == 403
            continue
        assert response.status_code == 200, operation
        assert not world.theirs.told_in(response.text, but=in_sight), operation


def test_numbers_count_nothing_outside_of_ones_scope(world: World) -> None:
    for role, counted in ((OUTSIDER, 1), (OTHER_DEPARTMENT, 0), (OTHER_TYPE, 0)):
        shown = world.api(role)("GET", "/dashboard").json()
        assert (shown["valid"], shown["awaiting_approval"], shown["failing_providers"]) == (counted, counted, [])


def test_a_search_finds_and_tells_nothing_outside_of_ones_scope(world: World) -> None:
    outsider, ruler = world.api(OUTSIDER), master(world.app)
    secrets = [value for values in world.theirs.secrets.values() for value in values]
    for definition in LISTS:
        path, found = f"/{ADDRESSES.get(definition.name, definition.name.replace('_', '-'))}", 0
        terms = [f"{THEIRS}"]
        for name, field in definition.fields.items():
            terms += [f"{name}:{value}" for value in field.choices]
            terms += [f"{name}:{THEIRS}"] if field.kind is FieldKind.TEXT else []
            terms += [f"{name}:{secret}" for secret in secrets] if field.kind is FieldKind.EXACT else []
        for term in terms:
            answer = outsider("GET", path, params={"q": term, "limit": 200})
            assert answer.status_code == 200, (path, term)
            assert not world.theirs.told_in(answer.text), (path, term)
            shown = ruler("GET", path, params={"q": term, "limit": 200}).text
            found += bool(world.theirs.told_in(shown))
            if term.endswith(THEIRS) or (":" in term and term.split(":")[1] in secrets):
                assert answer.json() == {"items": [], "next": None}, (path, term)
        assert found, f"no search of {path} would have found a thing of theirs"


def test_the_mark_of_another_s_page_opens_nothing_of_theirs(world: World) -> None:
    outsider, ruler = world.api(OUTSIDER), master(world.app)
    for definition in LISTS:
        path = ADDRESSES.get(definition.name, definition.name.replace("_", "-"))
        after = None
        for _ in range(6):
            page = ruler("GET", f"/{path}", params={"limit": 1} | ({"after": after} if after else {})).json()
            after = page["next"]
            if after is None:
                break
            answer = outsider("GET", f"/{path}", params={"after": after, "limit": 200})
            assert answer.status_code == 200
            assert not world.theirs.told_in(answer.text), path
