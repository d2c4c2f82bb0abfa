"""Where each list of `domain.lists` is found in the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, cast, exists, func, literal, not_, or_, select, true
from sqlalchemy.types import Text

from keystead_enroll.adapters import administration_tables as a
from keystead_enroll.adapters import bulk_tables as b
from keystead_enroll.adapters import tables as t
from keystead_enroll.adapters.scoping import in_delegation, in_scope
from keystead_enroll.domain import lists
from keystead_enroll.domain.administration import Role, Scope
from keystead_enroll.domain.bulk_jobs import BulkState
from keystead_enroll.domain.orders import PRESENCE_LIFE
from keystead_enroll.domain.registration_tokens import TokenState
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.domain.search import Comparison, Criterion

Condition = ColumnElement[bool]
Translate = Callable[[Criterion, datetime, Scope], Condition]
"""Makes the condition of a field that is no plain column, of what the scope may know; negation is added to it."""


@dataclass(frozen=True)
class Listed:
    """Where a list is found: its table, its fields, the columns in which words are looked for, its orders, and whose
    rows are whose."""

    table: Table
    fields: Mapping[str, ColumnElement[Any] | Translate]
    words: Sequence[ColumnElement[Any]]
    sorts: Mapping[str, ColumnElement[Any]]
    scope: Callable[[Scope], Condition]

    @property
    def id(self) -> Column[Any]:
        """The primary key."""
        return self.table.c.id


def compare(column: ColumnElement[Any], criterion: Criterion) -> Condition:
    """The condition that a plain column fits `criterion`."""
    if criterion.comparison is Comparison.CONTAINS:
        return contains(column, str(criterion.value))
    if criterion.comparison is Comparison.BEFORE:
        return column < criterion.value
    if criterion.comparison is Comparison.FROM:
        return column >= criterion.value
    return column == criterion.value


def contains(column: ColumnElement[Any], text: str) -> Condition:
    """Whether the column's text has `text` in it, whatever the case."""
    return func.lower(cast(column, Text)).contains(text.lower(), autoescape=True)


# What the fields of each list are


def _name_of(table: Table, reference: ColumnElement[Any], column: str = "name") -> Translate:
    """A text of the row of another table that `reference` refers to."""

    def translate(criterion: Criterion, _now: datetime, _scope: Scope) -> Condition:
        return exists().where(table.c.id == reference, contains(table.c[column], str(criterion.value)))

    return translate


def _is_set(column: ColumnElement[Any]) -> Translate:
    def translate(criterion: Criterion, _now: datetime, _scope: Scope) -> Condition:
        return column.is_not(None) if criterion.value else column.is_(None)

    return translate


def _is_not_set(column: ColumnElement[Any]) -> Translate:
    def translate(criterion: Criterion, _now: datetime, _scope: Scope) -> Condition:
        return column.is_(None) if criterion.value else column.is_not(None)

    return translate


def _hex(column: ColumnElement[Any]) -> Translate:
    def translate(criterion: Criterion, _now: datetime, _scope: Scope) -> Condition:
        digits = str(criterion.value).replace(":", "")
        return column.in_([digits.lower(), digits.upper()])

    return translate


def _domain(table: Table) -> Translate:
    def translate(criterion: Criterion, _now: datetime, _scope: Scope) -> Condition:
        text = str(criterion.value)
        return or_(contains(table.c.email_domains, text), contains(table.c.dns_domains, text))

    return translate


_HOLD = RevocationReason.CERTIFICATE_HOLD.value


def _certificate_state(criterion: Criterion, now: datetime, _scope: Scope) -> Condition:
    """As `certificate_state` says, in SQL."""
    c = t.certificates.c
    valid_now = and_(c.revoked_at.is_(None), c.not_after > now)
    return {
        "revoked": and_(c.revoked_at.is_not(None), c.revocation_reason.is_distinct_from(_HOLD)),
        "on_hold": and_(c.revoked_at.is_not(None), c.revocation_reason == _HOLD),
        "expired": and_(c.revoked_at.is_(None), c.not_after <= now),
        "expiring": and_(valid_now, c.renews_at <= now),
        "valid": and_(valid_now, c.renews_at > now),
    }[str(criterion.value)]


def _role(criterion: Criterion, _now: datetime, scope: Scope) -> Condition:
    """Officers look for roles in organizations that are theirs; what somebody is elsewhere is not for them to know."""
    role = f'"role": "{criterion.value}"'
    if scope.everything:
        return contains(a.administrators.c.grants, role)
    inside = [contains(a.administrators.c.grants, f'{role}, "organization_id": "{place}"') for place in _ruled(scope)]
    return or_(literal(False), *inside)


def _seen(criterion: Criterion, _now: datetime, _scope: Scope) -> Condition:
    c = t.devices.c
    return or_(compare(c.last_seen_at, criterion), compare(c.stream_seen_at, criterion))


def _connected(criterion: Criterion, now: datetime, _scope: Scope) -> Condition:
    """As `Device.connected` says, in SQL."""
    c = t.devices.c
    held = and_(c.stream_holder.is_not(None), func.coalesce(c.stream_seen_at > now - PRESENCE_LIFE, False))
    return held if criterion.value else not_(held)


def _token_state(criterion: Criterion, now: datetime, _scope: Scope) -> Condition:
    """As `RegistrationToken.state` says, in SQL."""
    c = t.registration_tokens.c
    over, lives = c.expires_at <= now, or_(c.expires_at.is_(None), c.expires_at > now)
    full, room = c.uses >= c.most_devices, or_(c.most_devices.is_(None), c.uses < c.most_devices)
    return {
        TokenState.REVOKED: c.revoked_at.is_not(None),
        TokenState.EXPIRED: and_(c.revoked_at.is_(None), over),
        TokenState.USED_UP: and_(c.revoked_at.is_(None), lives, full),
        TokenState.USABLE: and_(c.revoked_at.is_(None), lives, room),
    }[TokenState(str(criterion.value))]


# Whose they are


def _organizations(scope: Scope) -> Condition:
    return true() if scope.everything else t.organizations.c.id.in_(scope.organization_ids)


def _departments(scope: Scope) -> Condition:
    c = t.departments.c
    return in_scope(scope, c.organization_id, c.id)


def _accounts(scope: Scope) -> Condition:
    c = t.accounts.c
    kind = select(t.forms.c.certificate_type).where(t.forms.c.id == c.form_id).scalar_subquery()
    return in_scope(scope, c.organization_id, c.department_id, kind)


def _audit(scope: Scope) -> Condition:
    c = a.audit_entries.c
    return in_scope(scope, c.organization_id, c.department_id, c.certificate_type, untyped=True)


def _administrators(scope: Scope) -> Condition:
    """Those with a role in an organization that is wholly the asker's, without masters; officers of departments see
    nobody."""
    if scope.everything:
        return true()
    grants = cast(a.administrators.c.grants, Text)
    inside = or_(
        literal(False), *(grants.contains(f'"organization_id": "{place}"', autoescape=True) for place in _ruled(scope))
    )
    return and_(inside, not_(grants.contains('"role": "mrao"', autoescape=True)))


def _ruled(scope: Scope) -> list[str]:
    """The organizations that are wholly an officer's."""
    return sorted(str(grant.organization_id) for grant in scope.grants if grant.role is Role.RAO)


def _tokens(scope: Scope) -> Condition:
    return (
        true()
        if scope.everything
        else a.api_tokens.c.administrator_id.in_(select(a.administrators.c.id).where(_administrators(scope)))
    )


def _bulk_jobs(scope: Scope) -> Condition:
    c = b.jobs.c
    theirs = in_scope(scope, c.organization_id, c.department_id, c.certificate_type)
    return and_(theirs, c.state != BulkState.RECEIVING)


def _masters(scope: Scope) -> Condition:
    return literal(scope.everything)


_org = _name_of
LISTED: Mapping[str, Listed] = {
    "organizations": Listed(
        t.organizations, {"domain": _domain(t.organizations)}, [t.organizations.c.name],
        {"name": t.organizations.c.name}, _organizations,
    ),
    "departments": Listed(
        t.departments,
        {
            "org": _org(t.organizations, t.departments.c.organization_id),
            "organization_id": t.departments.c.organization_id,
        },
        [t.departments.c.name], {"name": t.departments.c.name}, _departments,
    ),
    "profiles": Listed(
        t.profiles,
        {"type": t.profiles.c.certificate_type, "active": t.profiles.c.active, "created": t.profiles.c.created_at},
        [t.profiles.c.name, t.profiles.c.description], {"name": t.profiles.c.name},
        lambda scope: in_delegation(scope, t.profiles.c.organization_ids, t.profiles.c.certificate_type),
    ),
    "forms": Listed(
        t.forms,
        {"type": t.forms.c.certificate_type, "active": t.forms.c.active, "created": t.forms.c.created_at},
        [t.forms.c.name, t.forms.c.uri_extension], {"name": t.forms.c.name},
        lambda scope: in_delegation(scope, t.forms.c.organization_ids, t.forms.c.certificate_type),
    ),
    "accounts": Listed(
        t.accounts,
        {
            "form_id": t.accounts.c.form_id, "org": _org(t.organizations, t.accounts.c.organization_id),
            "department": _org(t.departments, t.accounts.c.department_id), "active": t.accounts.c.active,
        },
        [t.accounts.c.name], {"name": t.accounts.c.name}, _accounts,
    ),
    "persons": Listed(
        a.persons,
        {
            "email": a.persons.c.email, "org": _org(t.organizations, a.persons.c.organization_id),
            "department": _org(t.departments, a.persons.c.department_id),
            "secret_id": _is_set(a.persons.c.secret_id_hash), "created": a.persons.c.created_at,
        },
        [a.persons.c.name, a.persons.c.email], {"email": a.persons.c.email, "name": a.persons.c.name},
        lambda scope: in_scope(scope, a.persons.c.organization_id, a.persons.c.department_id),
    ),
    "orders": Listed(
        t.orders,
        {
            "state": t.orders.c.state, "type": t.orders.c.certificate_type, "email": t.orders.c.person_email,
            "org": _org(t.organizations, t.orders.c.organization_id),
            "department": _org(t.departments, t.orders.c.department_id),
            "form": _org(t.forms, t.orders.c.form_id), "profile": _org(t.profiles, t.orders.c.profile_id),
            "key": t.orders.c.key_algorithm, "machine": t.orders.c.machine, "created": t.orders.c.created_at,
            "channel": t.orders.c.channel, "trace": t.orders.c.trace_id,
        },
        [t.orders.c.person_email, t.orders.c.person_name, t.orders.c.names, t.orders.c.machine],
        {"created": t.orders.c.created_at},
        lambda scope: in_scope(
            scope, t.orders.c.organization_id, t.orders.c.department_id, t.orders.c.certificate_type
        ),
    ),
    "certificates": Listed(
        t.certificates,
        {
            "state": _certificate_state, "type": t.certificates.c.certificate_type, "email": t.certificates.c.owner,
            "subject": t.certificates.c.subject, "serial": _hex(t.certificates.c.serial),
            "sha1": _hex(t.certificates.c.sha1), "sha256": _hex(t.certificates.c.sha256),
            "org": _org(t.organizations, t.certificates.c.organization_id),
            "department": _org(t.departments, t.certificates.c.department_id),
            "form": _org(t.forms, t.certificates.c.form_id), "profile": _org(t.profiles, t.certificates.c.profile_id),
            "key": t.certificates.c.key_algorithm, "assurance": t.certificates.c.assurance,
            "machine": t.certificates.c.machine, "issued": t.certificates.c.issued_at,
            "expires": t.certificates.c.not_after, "revoked": t.certificates.c.revoked_at,
        },
        [
            t.certificates.c.subject, t.certificates.c.owner, t.certificates.c.names, t.certificates.c.serial,
            t.certificates.c.machine,
        ],
        {
            "issued": t.certificates.c.issued_at, "expires": t.certificates.c.not_after,
            "subject": t.certificates.c.subject, "email": t.certificates.c.owner,
        },
        lambda scope: in_scope(
            scope, t.certificates.c.organization_id, t.certificates.c.department_id, t.certificates.c.certificate_type
        ),
    ),
    "devices": Listed(
        t.devices,
        {
            "org": _org(t.organizations, t.devices.c.organization_id), "owner": t.devices.c.owner,
            "group": t.devices.c.group, "token": t.devices.c.token_name, "token_id": t.devices.c.token_id,
            "assurance": t.devices.c.assurance, "connected": _connected, "platform": t.devices.c.platform,
            "registered": t.devices.c.registered_at, "seen": _seen,
        },
        [t.devices.c.name, t.devices.c.owner, t.devices.c.group],
        {"name": t.devices.c.name, "registered": t.devices.c.registered_at},
        lambda scope: in_scope(scope, t.devices.c.organization_id, None),
    ),
    "registration_tokens": Listed(
        t.registration_tokens,
        {
            "org": _org(t.organizations, t.registration_tokens.c.organization_id),
            "owner": t.registration_tokens.c.owner, "group": t.registration_tokens.c.group, "state": _token_state,
        },
        [t.registration_tokens.c.name, t.registration_tokens.c.group, t.registration_tokens.c.owner],
        {"name": t.registration_tokens.c.name},
        lambda scope: in_scope(scope, t.registration_tokens.c.organization_id, None),
    ),
    "endorsement_keys": Listed(
        a.endorsement_keys,
        {
            "ruling": a.endorsement_keys.c.ruling,
            "org": _org(t.organizations, a.endorsement_keys.c.organization_id),
            "sha256": _hex(a.endorsement_keys.c.sha256), "serial": a.endorsement_keys.c.serial_number,
            "model": a.endorsement_keys.c.model, "added": a.endorsement_keys.c.created_at,
        },
        [
            a.endorsement_keys.c.label, a.endorsement_keys.c.serial_number, a.endorsement_keys.c.model,
            a.endorsement_keys.c.note, a.endorsement_keys.c.sha256,
        ],
        {"added": a.endorsement_keys.c.created_at, "label": a.endorsement_keys.c.label},
        lambda scope: in_scope(scope, a.endorsement_keys.c.organization_id, None),
    ),
    "bulk_jobs": Listed(
        b.jobs,
        {
            "state": b.jobs.c.state, "type": b.jobs.c.certificate_type,
            "org": _org(t.organizations, b.jobs.c.organization_id),
            "department": _org(t.departments, b.jobs.c.department_id),
            "profile": _org(t.profiles, b.jobs.c.profile_id), "format": b.jobs.c.format, "by": b.jobs.c.created_by,
            "created": b.jobs.c.created_at,
        },
        [b.jobs.c.name, b.jobs.c.created_by], {"created": b.jobs.c.created_at}, _bulk_jobs,
    ),
    "identity_providers": Listed(
        a.identity_providers,
        {"kind": a.identity_providers.c.kind, "active": a.identity_providers.c.active},
        [a.identity_providers.c.name, a.identity_providers.c.entity_id], {"name": a.identity_providers.c.name},
        _masters,
    ),
    "administrators": Listed(
        a.administrators,
        {"email": a.administrators.c.email, "active": a.administrators.c.active, "role": _role},
        [a.administrators.c.name, a.administrators.c.email],
        {"name": a.administrators.c.name, "email": a.administrators.c.email}, _administrators,
    ),
    "api_tokens": Listed(
        a.api_tokens,
        {"administrator_id": a.api_tokens.c.administrator_id, "active": _is_not_set(a.api_tokens.c.revoked_at)},
        [a.api_tokens.c.name], {"created": a.api_tokens.c.created_at}, _tokens,
    ),
    "audit": Listed(
        a.audit_entries,
        {
            "action": a.audit_entries.c.action, "actor": a.audit_entries.c.actor, "kind": a.audit_entries.c.actor_kind,
            "target": a.audit_entries.c.target, "target_id": a.audit_entries.c.target_id,
            "org": _org(t.organizations, a.audit_entries.c.organization_id),
            "type": a.audit_entries.c.certificate_type, "address": a.audit_entries.c.address,
            "trace": a.audit_entries.c.trace_id, "at": a.audit_entries.c.at,
        },
        [a.audit_entries.c.action, a.audit_entries.c.actor, a.audit_entries.c.target], {"at": a.audit_entries.c.at},
        _audit,
    ),
}  # fmt: skip
"""One for each definition in `domain.lists`."""

assert {definition.name for definition in lists.LISTS} == set(LISTED)  # noqa: S101 a mistake of ours, told at start
