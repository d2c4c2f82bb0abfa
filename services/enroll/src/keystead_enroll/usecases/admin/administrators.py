"""Administrators: create, change, invite. None is ever deleted, because the audit log speaks of them.

A master manages all. An RAO manages those of whose roles every one is within their own, and who are no masters. Nobody
takes the last master away, and nobody changes what they may do themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from keystead_contracts.people import AdministratorMethod, AdministratorPublished
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import (
    Actor,
    Administrator,
    Grant,
    Role,
    Scope,
)
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed, StillInUse
from keystead_enroll.domain.enrollment import Department, Organization
from keystead_enroll.domain.lists import ADMINISTRATORS
from keystead_enroll.domain.people_inputs import AdministratorInput
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, administrator_of, note, put, reach
from keystead_kit.secrets import new_id

KIND = Words("administrator")
EMAIL_TAKEN = Words("An administrator has this address already.")
LAST_MASTER = Words("This is the last active master administrator.")
LAST_MASTER_ADVICE = Words("Make another one first.")


def create_administrator(
    transactions: Transactions, clock: Clock, actor: Actor, wanted: AdministratorInput, once: Once | None = None
) -> str:
    """Stores an administrator and answers their id; one who signs in with a password is invited. Raises NotAllowed,
    InputRefused."""
    _may_have_any(actor)
    now = clock.now()
    grants = _grants(wanted)
    fresh = Administrator(
        id=new_id(),
        email=wanted.email,
        name=wanted.name,
        methods=list(wanted.methods),
        grants=[grant.to_plain() for grant in grants],
        active=wanted.active,
        invitation=1 if AdministratorMethod.PASSWORD in wanted.methods else 0,
        created_at=now,
    )
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        _check_grants(tx, actor, grants)
        if not tx.add_first(fresh):
            raise InputRefused({"email": EMAIL_TAKEN})
        note(tx, actor, now, "administrator.create", _target(fresh), _details(fresh))
        publish(tx, fresh, invited_by=actor.name)
    return fresh.id


def change_administrator(
    transactions: Transactions, clock: Clock, actor: Actor, administrator_id: str, wanted: AdministratorInput
) -> None:
    """Makes the administrator as `wanted`. One who is no longer active is signed out, and their tokens open nothing.
    Raises ThingUnknown, NotAllowed, InputRefused, StillInUse."""
    grants = _grants(wanted)
    with transactions.write() as tx:
        administrator = reach(tx, ADMINISTRATORS, actor, administrator_id, KIND)
        _may_manage(actor, administrator)
        plain = [grant.to_plain() for grant in grants]
        regranted = set(grants) != set(_read(administrator.grants))
        if administrator.id == administrator_of(tx, actor):
            if regranted:
                raise NotAllowed(
                    Words("Nobody changes what they may do themselves."), Words("Ask another administrator.")
                )
            if not wanted.active:
                raise NotAllowed(Words("Nobody deactivates themselves."), Words("Ask another administrator."))
        if regranted:
            _check_grants(tx, actor, grants)
        refuse_to_lose_the_last_master(tx, administrator, grants if wanted.active else [])
        holder = tx.administrator_by_email(wanted.email)
        if holder is not None and holder is not administrator:
            raise InputRefused({"email": EMAIL_TAKEN})
        newly_by_password = (
            AdministratorMethod.PASSWORD in wanted.methods and AdministratorMethod.PASSWORD not in administrator.methods
        )
        changed = put(
            administrator,
            {
                "email": wanted.email,
                "name": wanted.name,
                "methods": list(wanted.methods),
                "active": wanted.active,
                **({"grants": plain} if regranted else {}),
            },
        )
        settle(tx, administrator, changed, invite=newly_by_password, invited_by=actor.name)
        if changed:
            note(tx, actor, clock.now(), "administrator.change", _target(administrator), changed)


def invite_administrator(
    transactions: Transactions, clock: Clock, actor: Actor, administrator_id: str, once: Once | None = None
) -> None:
    """Has another invitation sent, with which they choose a password anew. Raises ThingUnknown, NotAllowed,
    StillInUse."""
    now = clock.now()
    with transactions.write() as tx:
        administrator = reach(tx, ADMINISTRATORS, actor, administrator_id, KIND)
        _may_manage(actor, administrator)
        if once and tx.earlier(actor.id, once.key, once.request_digest, administrator.id, now):
            return
        if not administrator.active or AdministratorMethod.PASSWORD not in administrator.methods:
            raise StillInUse(
                Words("{name} does not sign in with a password.", name=administrator.name),
                Words("Make them active, with the method “password”, first."),
            )
        administrator.invitation += 1
        administrator.version += 1
        publish(tx, administrator, invited_by=actor.name)
        note(tx, actor, now, "administrator.invite", _target(administrator))


def manageable(actor: Actor, administrator: Administrator) -> bool:
    """Whether the actor may change this administrator, whom they see."""
    return actor.scope.everything or (bool(administrator.grants) and actor.scope.covers(_read(administrator.grants)))


def shown_grants(scope: Scope, grants: Sequence[dict[str, object]]) -> list[Grant]:
    """Those of somebody's grants that are within `scope`: the others are nobody's business."""
    return [grant for grant in _read(grants) if scope.covers([grant])]


# What a set-up file does too


def refuse_to_lose_the_last_master(tx: Transaction, administrator: Administrator, grants: Sequence[Grant]) -> None:
    """Raises StillInUse if with these grants, none for one who is not active, no active master would be left."""
    masters = tx.active_masters()
    if [master.id for master in masters] == [administrator.id] and not Scope(tuple(grants)).everything:
        raise StillInUse(LAST_MASTER, LAST_MASTER_ADVICE)


def settle(
    tx: Transaction, administrator: Administrator, changed: dict[str, object], *, invite: bool, invited_by: str
) -> None:
    """Tells auth a change, if there is one, and ends the visits of one who is not active."""
    if not changed:
        return
    administrator.version += 1
    administrator.invitation += invite
    if not administrator.active:
        tx.end_console_sessions(administrator.id)
    publish(tx, administrator, invited_by=invited_by)


def publish(tx: Transaction, administrator: Administrator, *, invited_by: str) -> None:
    """Tells auth the administrator as they are now."""
    fact = AdministratorPublished(
        administrator_id=administrator.id,
        version=administrator.version,
        email=administrator.email,
        name=administrator.name,
        methods=administrator.methods,
        active=administrator.active,
        invited_by=invited_by,
        invitation=administrator.invitation,
    )
    tx.record(fact, destination="auth")


def _grants(wanted: AdministratorInput) -> list[Grant]:
    """Each once, in the order in which they were given."""
    return list(dict.fromkeys(grant.grant() for grant in wanted.grants))


def _read(grants: Sequence[dict[str, object]]) -> list[Grant]:
    return [Grant.from_plain(plain) for plain in grants]


def _may_have_any(actor: Actor) -> None:
    if not any(grant.role in (Role.MRAO, Role.RAO) for grant in actor.scope.grants):
        raise NotAllowed(Words("Only a master and administrators of whole organizations may manage administrators."))


def _may_manage(actor: Actor, administrator: Administrator) -> None:
    _may_have_any(actor)
    if not manageable(actor, administrator):
        raise NotAllowed(Words("They also have a role that you do not have, so you may not change them."))


def _check_grants(tx: Transaction, actor: Actor, grants: Sequence[Grant]) -> None:
    if not actor.scope.covers(grants):
        raise InputRefused({"grants": Words("You can give only roles that are within your own.")})
    for grant in grants:
        if grant.organization_id and tx.get(Organization, grant.organization_id) is None:
            raise InputRefused({"grants": Words("There is no such organization.")})
        department = tx.get(Department, grant.department_id) if grant.department_id else None
        if grant.department_id and (department is None or department.organization_id != grant.organization_id):
            raise InputRefused({"grants": Words("There is no such department of the organization.")})


def _target(administrator: Administrator) -> Target:
    """In the audit log; an organization's officers read of administrators whose one place it is."""
    places = {grant["organization_id"] for grant in administrator.grants}
    (place,) = places if len(places) == 1 else (None,)
    return Target(administrator.id, f"{administrator.name} <{administrator.email}>", str(place) if place else None)


def _details(administrator: Administrator) -> dict[str, object]:
    return {
        "email": administrator.email,
        "name": administrator.name,
        "methods": administrator.methods,
        "grants": administrator.grants,
        "active": administrator.active,
    }
