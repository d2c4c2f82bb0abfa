"""The history of a thing, from the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, AuditEntry, Grant
from keystead_enroll.domain.lists import AUDIT, DEPARTMENTS, FORMS, ORGANIZATIONS, PROFILES
from keystead_enroll.domain.revocation import RevocationReason
from keystead_enroll.domain.search import Comparison, Criterion, ListDefinition, PageWanted, Search
from keystead_enroll.ports import Transaction
from keystead_enroll.web.console.audit_words import field_words
from keystead_enroll.web.console.cells import listed
from keystead_enroll.web.console.choices import (
    ASSURANCES,
    AUTHORIZATIONS,
    CSR_METHODS,
    KEYS,
    METHODS,
    RULINGS,
    TYPES,
    rule_words,
)
from keystead_enroll.web.console.places import role_cell
from keystead_enroll.web.console.widgets import TimelineEntry

MOST = 20
_VERBS = {
    "create": Words("Created"),
    "change": Words("Changed"),
    "delete": Words("Deleted"),
    "revoke": Words("Revoked"),
    "hold": Words("Put on hold"),
    "release": Words("Released"),
    "invite": Words("Invited"),
    "generate": Words("Given a new address"),
    "submit": Words("Asked for"),
    "approve": Words("Approved"),
    "reject": Words("Declined"),
    "cancel": Words("Cancelled"),
    "remove": Words("Removed"),
    "issue": Words("Issued"),
    "install": Words("Installed"),
    "code-in-use": Words("Access code in use already"),
    "fail": Words("Came to nothing"),
}

_REFERENCES: Mapping[str, ListDefinition[Any]] = {
    "organization_id": ORGANIZATIONS,
    "department_id": DEPARTMENTS,
    "form_id": FORMS,
    "profile_id": PROFILES,
}
"""Fields that hold ids, or several with an s behind: the list in which their names are."""
_ENUMERATIONS: tuple[Mapping[Any, str], ...] = (ASSURANCES, AUTHORIZATIONS, CSR_METHODS, KEYS, METHODS, RULINGS, TYPES)
_SHOWN: Mapping[str, str] = {
    "builtin": Words("Built-in CA"),
    "password": Words("Password and one-time code"),
    **{reason.value: reason.words for reason in RevocationReason},
    **{str(value): words for each in _ENUMERATIONS for value, words in each.items()},
}
"""Values that are names in the program, and the words for them."""
_NAMED = frozenset(
    {
        "authorization",
        "certificate_type",
        "certificate_types",
        "connector",
        "csr_method",
        "key_algorithms",
        "method",
        "methods",
        "minimum_assurance",
        "reason",
        "ruling",
    }
)
"""Fields that hold such values."""


def timeline_of(tx: Transaction, actor: Actor, target_id: str) -> tuple[TimelineEntry, ...]:
    """What was done to the thing, newest first, as far as the actor may see it."""
    about = Search((), (Criterion("target_id", Comparison.IS, target_id),))
    return tuple(
        entry_of(tx, actor, entry) for entry in tx.page(AUDIT, actor.scope, PageWanted(about, limit=MOST)).items
    )


def entry_of(tx: Transaction, actor: Actor, entry: AuditEntry) -> TimelineEntry:
    """A line of the audit log as a line of a timeline. Other things are called by their names, as far as the actor may
    see them."""
    verb = entry.action.partition(".")[2]
    return TimelineEntry(
        at=entry.at,
        who=entry.actor,
        what=_VERBS.get(verb, verb.replace("-", " ").capitalize()),
        trace=entry.trace_id,
        changes=tuple(
            _change(tx, actor, name, value)
            for name, value in entry.details.items()
            if verb != "create" or value not in (None, "", [], {})
        ),
    )


def _change(tx: Transaction, actor: Actor, name: str, value: object) -> tuple[str, str]:
    told = field_words(name)
    if name == "grants" and isinstance(value, list):
        return told, "; ".join(_role(tx, actor, Grant.from_plain(each)) for each in value)
    if name == "idp_rules" and isinstance(value, list):
        return told, listed(rule_words(rule) for rule in value) if value else ""
    if name in _NAMED:
        values = value if isinstance(value, list) else [value]
        return told, listed(_SHOWN.get(str(each), str(each)) for each in values) if values else ""
    definition = _REFERENCES.get(name.removesuffix("s"))
    if definition is None:
        return told, _shown(value)
    ids = value if isinstance(value, list) else [value] if value else []
    names = [getattr(tx.in_reach(definition, actor.scope, str(each)), "name", Words("not shown")) for each in ids]
    return told, listed(names) if names else ""


def _role(tx: Transaction, actor: Actor, grant: Grant) -> str:
    if grant.organization_id and not actor.scope.sees_organization(grant.organization_id):
        return Words("not shown")
    (role,) = role_cell(tx, [grant]).cells
    return f"{role.text} ({role.note})" if role.note else role.text


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')}: {_shown(each)}" for name, each in value.items())
    if isinstance(value, bool):
        return Words("yes") if value else Words("no")
    return "" if value is None else str(value)
