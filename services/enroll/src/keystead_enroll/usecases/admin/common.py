"""What every verb of an administrator begins and ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import NOTHING, Actor, ActorKind, ApiToken, AuditEntry
from keystead_enroll.domain.administration_refusals import NotAllowed, ThingUnknown
from keystead_enroll.domain.search import ListDefinition
from keystead_enroll.ports import Transaction
from keystead_kit.trace import current_trace_id

T = TypeVar("T")
LONGEST_DETAIL = 1000


@dataclass(frozen=True)
class Once:
    """A creation that a program may send again: its Idempotency-Key and the SHA-256 of what it sent."""

    key: str
    request_digest: str


@dataclass(frozen=True)
class Target:
    """What a line of the audit log is about, and whose it is."""

    id: str
    name: str
    organization_id: str | None = None
    department_id: str | None = None
    certificate_type: CertificateType | None = None


def person_actor(email: str, address: str = "") -> Actor:
    """A person who does something of their own, for the audit log."""
    return Actor(ActorKind.PERSON, email[:64], email, NOTHING, address)


def reach(tx: Transaction, definition: ListDefinition[T], actor: Actor, entity_id: str, kind: str) -> T:
    """The thing with this id, if it is in the actor's scope. Raises ThingUnknown; `kind` is its name in words."""
    found = tx.in_reach(definition, actor.scope, entity_id)
    if found is None:
        raise ThingUnknown(kind)
    return found


def administrator_of(tx: Transaction, actor: Actor) -> str:
    """The id of the administrator who asks, also through a token."""
    token = tx.get(ApiToken, actor.id) if actor.kind is ActorKind.TOKEN else None
    return token.administrator_id if token else actor.id


def masters_only(actor: Actor, what: str) -> None:
    """Raises NotAllowed unless the actor's scope is everything; `what` ends "Only a master administrator may …"."""
    if not actor.scope.everything:
        raise NotAllowed(Words("Only a master administrator may {what}.", what=what))


def put(entity: object, wanted: Mapping[str, object]) -> dict[str, object]:
    """Sets the attributes that differ; answers which, and what they became."""
    changed = {name: value for name, value in wanted.items() if getattr(entity, name) != value}
    for name, value in changed.items():
        setattr(entity, name, value)
    return changed


def note(
    tx: Transaction,
    actor: Actor,
    now: datetime,
    action: str,
    target: Target,
    details: Mapping[str, object] | None = None,
) -> None:
    """Writes a line of the audit log; see `audit_line`."""
    tx.add(audit_line(actor, now, action, target, details))


def audit_line(
    actor: Actor, now: datetime, action: str, target: Target, details: Mapping[str, object] | None = None
) -> AuditEntry:
    """A line of the audit log. `action` is noun and verb; `details` hold no secret and no digest."""
    return AuditEntry(
        at=now,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor=actor.name[:256],
        address=actor.address[:64],
        action=action,
        target_id=target.id,
        target=target.name[:256],
        organization_id=target.organization_id,
        department_id=target.department_id,
        certificate_type=target.certificate_type,
        details={name: _plain(value) for name, value in (details or {}).items()},
        trace_id=current_trace_id(),
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return str(value)[:LONGEST_DETAIL]
    return value if isinstance(value, bool | int | float | dict) or value is None else str(value)
