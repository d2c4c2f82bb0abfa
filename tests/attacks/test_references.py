"""What a body names of another organization is refused, in the same words as what does not exist at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.attacks.test_other_tenants import World, problem
from tests.attacks.test_other_tenants import world as world
from tests.support.administrators import master, officer
from tests.support.every_route import REFERENCE, kind_named
from tests.support.tenants import OURS, PROFILE, THEIRS, UNKNOWN, Tenant, contents
from tests.unit.enroll_pki.samples import csr_pem

from keystead_enroll.domain.administration import Grant, Role

MASTERS_ONLY = {"POST /profiles", "PATCH /profiles/{id}", "POST /identity-providers", "PATCH /identity-providers/{id}"}
"""Operations that no officer has, whatever the body names."""
OF_A_TOKEN = {"POST /tokens": "a token makes no tokens"}


def bodies(ours: Tenant) -> dict[str, Any]:
    """A body of each operation whose body names other things, as an administrator of `ours` may send it. It names all
    that the operation can name."""
    place = {"organization_id": ours.organization, "department_id": ours.ids["departments"]}
    role = {"role": "drao", **place}
    profile = {**PROFILE, "name": "Any", "organization_ids": [ours.organization]}
    provider = {
        "name": "Any",
        "kind": "saml",
        "metadata_url": "https://idp.example/",
        "attributes": {"mail": "m"},
        **profile_delegation(ours),
    }
    form = {"name": f"{OURS} more", "certificate_type": "client", **profile_delegation(ours)}
    account = {
        "form_id": ours.ids["forms"], "name": f"{OURS} more", **place, "profile_ids": [ours.ids["profiles"]],
    }  # fmt: skip
    person = {**place, "email": f"bob@{ours.domain}", "name": "Bob"}
    administrator = {"email": f"alan@{ours.domain}", "name": "Alan", "grants": [role]}
    department = {"organization_id": ours.organization, "name": f"{OURS} mechanics"}
    return {
        "POST /departments": department,
        "PATCH /departments/{id}": {"organization_id": ours.organization},
        "POST /profiles": profile,
        "PATCH /profiles/{id}": profile_delegation(ours),
        "POST /forms": form,
        "PATCH /forms/{id}": profile_delegation(ours),
        "POST /forms/{id}/trial": {
            "method": "idp",
            "email": f"bob@{ours.domain}",
            "identity_provider_id": ours.ids["identity-providers"],
        },
        "POST /accounts": account,
        "PATCH /accounts/{id}": {**account, "name": f"{OURS} staff"},
        "POST /persons": person,
        "PATCH /persons/{id}": place,
        "POST /persons/{id}/invitations": {"form_id": ours.ids["forms"]},
        "POST /administrators": administrator,
        "PATCH /administrators/{id}": {"grants": [role]},
        "POST /identity-providers": provider,
        "PATCH /identity-providers/{id}": profile_delegation(ours),
        "POST /tokens": {"name": "Any", "grants": [role]},
        "POST /registration-tokens": {"name": f"{OURS} more", "organization_id": ours.organization},
        "POST /endorsement-keys": {"organization_id": ours.organization, "sha256": "e" * 64},
        "PATCH /endorsement-keys/{id}": {"organization_id": ours.organization},
        "POST /certificates": {
            **place,
            "profile_id": ours.ids["profiles"],
            "owner": f"bob@{ours.domain}",
            "csr": csr_pem(ec.generate_private_key(ec.SECP256R1()), x509.Name([])),
        },
        "POST /bulk-jobs/rows": {**place, "profile_id": ours.ids["profiles"], "rows": [{"device_name": "laptop-1"}]},
        "POST /requests/decisions": {"ids": [ours.ids["requests"]], "approve": True},
    }


def profile_delegation(ours: Tenant) -> dict[str, Any]:
    """A delegation to `ours`."""
    return {"organization_ids": [ours.organization]}


def swapped(body: Any, own: str, ids: dict[str, str] | None) -> Iterator[tuple[str, Any]]:
    """The body once for each thing that it names, with another's in its place: of `ids`, or one that is not there."""

    def walk(part: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            if isinstance(value, str) and any(REFERENCE.fullmatch(str(step)) for step in (*path[-1:], key)):
                yield (*path, key)
            elif isinstance(value, dict | list):
                yield from walk(value, (*path, key))

    for path in walk(body, ()):
        changed = deepcopy(body)
        place = changed
        for step in path[:-1]:
            place = place[step]
        name = next(str(step) for step in reversed(path) if isinstance(step, str))
        place[path[-1]] = UNKNOWN if ids is None else ids[kind_named(name, own)]
        yield ".".join(map(str, path)), changed


def said(response: httpx.Response, *ids: str) -> tuple[int, Any]:
    """What an answer says, whichever of `ids` was asked for."""
    status, body = problem(response)
    text = json.dumps(body)
    for each in ids:
        text = text.replace(each, "ID")
    return status, json.loads(text)


def test_every_field_that_names_another_thing_is_tried(world: World) -> None:
    known = bodies(world.ours)
    for operation in world.operations:
        if not operation.references():
            continue
        assert str(operation) in known, f"tests/attacks/test_references.py has no body for {operation}"
        tried = set(json.dumps(known[str(operation)]).split('"'))
        if operation.method == "POST":
            assert operation.references() <= tried, operation


def test_what_belongs_to_others_is_refused_like_what_is_not_there(world: World) -> None:
    api = officer(world.app, Grant(Role.RAO, world.ours.organization))
    before = contents(world.app)
    for operation in world.operations:
        body = bodies(world.ours).get(str(operation))
        if body is None:
            continue
        address = operation.path.replace("{id}", world.ours.ids[operation.kind])
        theirs, nothing = (
            dict(swapped(body, operation.kind, ids)) for ids in (world.theirs.ids, None)
        )  # fmt: skip
        for place, changed in theirs.items():
            answer = api(operation.method, address, json=changed)
            refused = answer.status_code in (403, 404, 422) or answer.json().get("results", [{}])[0].get("problem")
            assert refused, (str(operation), place, answer.text)
            other = api(operation.method, address, json=nothing[place])
            asked = (*world.theirs.ids.values(), UNKNOWN)
            assert said(answer, *asked) == said(other, *asked), (str(operation), place)
            assert not world.theirs.told_in(answer.text.replace(json.dumps(changed), ""), but=world.theirs.ids)
            assert THEIRS not in answer.text
    assert contents(world.app) == before


@pytest.mark.parametrize("name", [THEIRS, "Nobody"])
def test_a_file_of_persons_names_no_other_organization(world: World, name: str) -> None:
    api = officer(world.app, Grant(Role.RAO, world.ours.organization))
    content = f"email,name,organization\nbob@{world.ours.domain},Bob,{name} Institute\n"
    answer = api("POST", "/persons/import", content=content.encode()).json()
    assert (answer["created"], answer["refused"]) == (0, 1)
    assert answer["mistakes"][0]["reason"] == "There is no such organization, or you may not add persons to it."


@pytest.mark.parametrize("name", [THEIRS, "Nobody"])
def test_a_file_of_known_tpms_names_no_other_organization(world: World, name: str) -> None:
    api = officer(world.app, Grant(Role.RAO, world.ours.organization))
    content = f"sha256,organization\n{'f' * 64},{name} Institute\n"
    answer = api("POST", "/endorsement-keys/import", content=content.encode()).json()
    assert (answer["created"], answer["refused"]) == (0, 1)
    told = "There is no such organization, or you may not say which TPMs are its own."
    assert answer["mistakes"][0]["reason"] == told


def test_the_bodies_are_such_as_an_administrator_sends(world: World) -> None:
    """Else their refusals would prove nothing. Last: it leaves things behind."""
    api = officer(world.app, Grant(Role.RAO, world.ours.organization))
    for operation in world.operations:
        body = bodies(world.ours).get(str(operation))
        if body is None or str(operation) in OF_A_TOKEN:
            continue
        asker = master(world.app) if str(operation) in MASTERS_ONLY else api
        address = operation.path.replace("{id}", world.ours.ids[operation.kind])
        answer = asker(operation.method, address, json=body)
        assert answer.status_code in (200, 201, 202, 204), (str(operation), answer.text)
