"""Administrators: who they are, and what each may see and change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keystead_contracts.base import CertificateType
from keystead_contracts.people import AdministratorMethod

ALL_TYPES = frozenset(CertificateType)


class Role(StrEnum):
    """Registration-authority officers: master of all, of an organization, of a department."""

    MRAO = "mrao"
    RAO = "rao"
    DRAO = "drao"


@dataclass(frozen=True)
class Grant:
    """One role in one place. An MRAO's has no organization, a DRAO's has a department."""

    role: Role
    organization_id: str | None = None
    department_id: str | None = None
    certificate_types: frozenset[CertificateType] = ALL_TYPES

    def __post_init__(self) -> None:
        places = (self.organization_id is not None, self.department_id is not None)
        wanted = {Role.MRAO: (False, False), Role.RAO: (True, False), Role.DRAO: (True, True)}[self.role]
        if places != wanted or not self.certificate_types:
            raise ValueError("a grant names a place that fits its role, and a certificate type")

    @classmethod
    def from_plain(cls, plain: dict[str, object]) -> Grant:
        """The inverse of `to_plain`."""
        types = plain["certificate_types"]
        if not isinstance(types, list):
            raise TypeError("certificate_types is a list")
        return cls(
            Role(str(plain["role"])),
            str(plain["organization_id"]) if plain["organization_id"] else None,
            str(plain["department_id"]) if plain["department_id"] else None,
            frozenset(CertificateType(name) for name in types),
        )

    def to_plain(self) -> dict[str, object]:
        """JSON values."""
        return {
            "role": self.role.value,
            "organization_id": self.organization_id,
            "department_id": self.department_id,
            "certificate_types": sorted(self.certificate_types),
        }

    def covers(self, other: Grant) -> bool:
        """Whether whoever has this one may also do all that `other` allows."""
        if self.role is Role.MRAO:
            return True
        if other.role is Role.MRAO or other.organization_id != self.organization_id:
            return False
        if self.role is Role.DRAO and other.department_id != self.department_id:
            return False
        return other.certificate_types <= self.certificate_types


@dataclass(frozen=True)
class Scope:
    """All that an administrator, or a token of theirs, may see and change.

    Things with an organization, a department and a certificate type are theirs if one grant covers all three. What is
    not theirs does not exist for them.
    """

    grants: tuple[Grant, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether this is a master's."""
        return any(grant.role is Role.MRAO for grant in self.grants)

    @property
    def organization_ids(self) -> frozenset[str]:
        """The organizations in which there is anything of theirs; a master's scope names none."""
        return frozenset(grant.organization_id for grant in self.grants if grant.organization_id)

    @property
    def certificate_types(self) -> frozenset[CertificateType]:
        """The types that any grant has."""
        return ALL_TYPES if self.everything else frozenset().union(*(g.certificate_types for g in self.grants))

    def sees_organization(self, organization_id: str) -> bool:
        """Whether the organization itself, its name and domains, is in sight."""
        return self.everything or organization_id in self.organization_ids

    def seen(self, organization_ids: Iterable[str]) -> list[str]:
        """Those of these organizations that are in sight."""
        return [one for one in organization_ids if self.sees_organization(one)]

    def rules_organization(self, organization_id: str) -> bool:
        """Whether the whole organization is theirs: a master's or its RAO's."""
        return self.everything or any(
            grant.role is Role.RAO and grant.organization_id == organization_id for grant in self.grants
        )

    def sees_department(self, organization_id: str, department_id: str) -> bool:
        """Whether the department itself is in sight."""
        return self.rules_organization(organization_id) or any(g.department_id == department_id for g in self.grants)

    def has(
        self, organization_id: str, department_id: str | None, certificate_type: CertificateType | None = None
    ) -> bool:
        """Whether a thing of that place and type is theirs. Without a type any type does."""
        return self.everything or any(
            grant.organization_id == organization_id
            and (grant.role is Role.RAO or (department_id is not None and grant.department_id == department_id))
            and (certificate_type is None or certificate_type in grant.certificate_types)
            for grant in self.grants
        )

    def types_at(self, organization_id: str, department_id: str | None) -> frozenset[CertificateType]:
        """The certificate types that are theirs at that place."""
        return frozenset(kind for kind in ALL_TYPES if self.has(organization_id, department_id, kind))

    def covers(self, grants: Iterable[Grant]) -> bool:
        """Whether every one of `grants` is within what is theirs: nobody gives more than they have."""
        return all(any(own.covers(grant) for own in self.grants) for grant in grants)

    def narrowed_to(self, grants: Iterable[Grant]) -> Scope:
        """Those of `grants` that are within this scope: what a token may do once its owner may do less."""
        return Scope(tuple(grant for grant in grants if self.covers([grant])))


NOTHING = Scope()


class ActorKind(StrEnum):
    """Who did it."""

    ADMINISTRATOR = "administrator"
    TOKEN = "token"  # noqa: S105 a kind, not a secret
    PERSON = "person"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """Who asks for something, from where, and what they may see and change."""

    kind: ActorKind
    id: str
    name: str
    scope: Scope
    address: str = ""


def local_actor(name: str) -> Actor:
    """Who runs a command on the server itself, and may do everything."""
    return Actor(ActorKind.SYSTEM, "local", name, Scope((Grant(Role.MRAO),)))


THE_SERVICE = Actor(ActorKind.SYSTEM, "enroll", "Keystead", NOTHING)
"""What nobody does by hand: issue, end what came to nothing."""


@dataclass(eq=False)
class Administrator:
    """Somebody who may sign in to the console."""

    id: str
    email: str
    name: str
    methods: list[AdministratorMethod]
    grants: list[dict[str, object]] = field(default_factory=list)
    """`Grant.to_plain` of each."""
    active: bool = True
    version: int = 1
    invitation: int = 0
    created_at: datetime | None = None
    last_seen_at: datetime | None = None
    approvals_told_at: datetime | None = None
    """When they were last written to that requests wait for them."""
    language: str = ""
    """In which they last opened the console (BCP 47), and are written to."""

    @property
    def scope(self) -> Scope:
        """What they may see and change; nothing once they are not active."""
        return Scope(tuple(Grant.from_plain(plain) for plain in self.grants)) if self.active else NOTHING


@dataclass(eq=False)
class ApiToken:
    """A bearer token for the API. Never more than its owner may do at that moment."""

    id: str
    name: str
    digest: str
    """SHA-256 of the token."""
    administrator_id: str
    grants: list[dict[str, object]]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and now < self.expires_at

    def scope_within(self, owner: Scope) -> Scope:
        """What it may do, given what its owner may do now."""
        return owner.narrowed_to(Grant.from_plain(plain) for plain in self.grants)


@dataclass(eq=False)
class ConsoleSession:
    """An administrator's visit to the console. `digest` is the SHA-256 of the cookie's token; `sign_in` is the one, as
    auth calls it, that opened it."""

    digest: str
    administrator_id: str
    method: AdministratorMethod
    second_factor: bool
    created_at: datetime
    expires_at: datetime
    seen_at: datetime
    address: str = ""
    sign_in: str = ""


@dataclass(eq=False)
class AuditEntry:
    """Who did what, when, from where, to what. Written in the transaction of what it records, never changed."""

    at: datetime
    actor_kind: ActorKind
    actor_id: str
    actor: str
    address: str
    action: str
    """Noun and verb: `organization.change`."""
    target_id: str
    target: str
    organization_id: str | None
    department_id: str | None
    certificate_type: CertificateType | None
    details: dict[str, object]
    """Names of fields → what they became. No secret, no digest."""
    trace_id: str
    id: int | None = None
