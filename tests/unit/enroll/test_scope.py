"""What an administrator's grants cover, as a function and as a condition of SQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from sqlalchemy import Column, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.engine import Connection

from keystead_contracts.base import CertificateType
from keystead_enroll.adapters.scoping import in_scope
from keystead_enroll.domain.administration import ALL_TYPES, Grant, Role, Scope

CLIENT, DEVICE, SSL = CertificateType.CLIENT, CertificateType.DEVICE, CertificateType.SSL
MASTER = Scope((Grant(Role.MRAO),))
PHYSICS = Scope((Grant(Role.RAO, "physics"),))
OPTICS = Scope((Grant(Role.DRAO, "physics", "optics"),))

THINGS = Table(
    "things", MetaData(), Column("id", String), Column("organization", String), Column("department", String),
    Column("kind", String),
)  # fmt: skip
_ORGANIZATIONS, _DEPARTMENTS = ("physics", "chemistry"), ("optics", "theory")
_ROWS = [
    {"id": f"{organization}-{department}-{kind}", "organization": organization, "department": department, "kind": kind}
    for organization in _ORGANIZATIONS
    for department in (None, *_DEPARTMENTS)
    for kind in CertificateType
]
_types = some.frozensets(some.sampled_from(CertificateType), min_size=1)
_grants = some.one_of(
    some.builds(Grant, some.just(Role.MRAO)),
    some.builds(Grant, some.just(Role.RAO), some.sampled_from(_ORGANIZATIONS), some.none(), _types),
    some.builds(
        Grant, some.just(Role.DRAO), some.sampled_from(_ORGANIZATIONS), some.sampled_from(_DEPARTMENTS), _types
    ),
)


@pytest.fixture(scope="module")
def rows() -> Iterator[Connection]:
    """A row for every place and type."""
    with create_engine("sqlite://").connect() as connection:
        THINGS.metadata.create_all(connection)
        connection.execute(insert(THINGS), _ROWS)
        yield connection


@settings(max_examples=200, deadline=None)
@given(some.lists(_grants, max_size=4).map(tuple).map(Scope))
def test_the_database_finds_exactly_what_the_rule_covers(rows: Connection, scope: Scope) -> None:
    c = THINGS.c
    found = rows.scalars(select(c.id).where(in_scope(scope, c.organization, c.department, c.kind))).all()
    covered = [
        r["id"] for r in _ROWS if scope.has(str(r["organization"]), r["department"], CertificateType(str(r["kind"])))
    ]
    assert sorted(found) == sorted(map(str, covered))


@settings(max_examples=100, deadline=None)
@given(some.lists(_grants, max_size=3).map(tuple).map(Scope), _grants)
def test_nobody_can_give_what_they_do_not_have(scope: Scope, given: Grant) -> None:
    if scope.covers([given]):
        theirs = Scope((given,))
        for row in _ROWS:
            place = (str(row["organization"]), row["department"], CertificateType(str(row["kind"])))
            assert scope.has(*place) or not theirs.has(*place)


def test_a_master_covers_everything() -> None:
    assert MASTER.everything
    assert MASTER.has("anywhere", None, SSL)
    assert MASTER.covers([Grant(Role.MRAO), Grant(Role.RAO, "physics")])


def test_an_organization_s_officer_covers_all_its_departments_and_no_other_place() -> None:
    assert PHYSICS.has("physics", None, SSL)
    assert PHYSICS.has("physics", "optics", SSL)
    assert not PHYSICS.has("chemistry", None, SSL)
    assert PHYSICS.rules_organization("physics")
    assert not PHYSICS.covers([Grant(Role.MRAO)])


def test_a_department_s_officer_covers_that_department_alone() -> None:
    assert OPTICS.has("physics", "optics", CLIENT)
    assert not OPTICS.has("physics", None, CLIENT)
    assert not OPTICS.has("physics", "theory", CLIENT)
    assert OPTICS.sees_organization("physics")
    assert not OPTICS.rules_organization("physics")
    assert not OPTICS.covers([Grant(Role.RAO, "physics")])


def test_types_that_a_grant_does_not_name_are_not_covered() -> None:
    scope = Scope((Grant(Role.RAO, "physics", certificate_types=frozenset({CLIENT})),))
    assert scope.has("physics", None, CLIENT)
    assert not scope.has("physics", None, DEVICE)
    assert scope.has("physics", None)
    assert scope.types_at("physics", None) == {CLIENT}
    assert scope.certificate_types == {CLIENT}
    assert MASTER.certificate_types == ALL_TYPES


def test_a_token_loses_what_its_owner_loses() -> None:
    token = [Grant(Role.RAO, "physics"), Grant(Role.RAO, "chemistry")]
    assert PHYSICS.narrowed_to(token).organization_ids == {"physics"}
    assert Scope().narrowed_to(token) == Scope()
    assert OPTICS.narrowed_to([Grant(Role.RAO, "physics")]) == Scope()


@pytest.mark.parametrize(
    "place", [(Role.MRAO, "physics", None), (Role.RAO, None, None), (Role.DRAO, "physics", None), (Role.RAO, "x", "y")]
)
def test_a_grant_names_a_place_that_fits_its_role(place: tuple[Role, str | None, str | None]) -> None:
    with pytest.raises(ValueError, match="place"):
        Grant(*place)


def test_a_grant_is_stored_as_it_was_given() -> None:
    grant = Grant(Role.DRAO, "physics", "optics", frozenset({SSL, CLIENT}))
    assert Grant.from_plain(grant.to_plain()) == grant
