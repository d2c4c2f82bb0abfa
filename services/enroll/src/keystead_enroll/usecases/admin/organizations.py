"""Organizations and their departments: create, change, delete.

Domains and the identity providers' name for an organization are delegated from above: only a master changes them.
Its own officers manage its departments, whose domains lie within those of the organization.
"""

from __future__ import annotations

from collections.abc import Iterable

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed, StillInUse
from keystead_enroll.domain.enrollment import Department, Organization
from keystead_enroll.domain.enrollment_rules import domains_outside
from keystead_enroll.domain.inputs import DepartmentInput, OrganizationInput
from keystead_enroll.domain.lists import DEPARTMENTS, ORGANIZATIONS
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, masters_only, note, put, reach
from keystead_enroll.usecases.publish_forms import publish_forms
from keystead_kit.secrets import new_id

NAME_TAKEN = Words("Another one has this name already. Choose another name.")
HOME_TAKEN = Words("Another organization or department has this value already. Each belongs to one place.")


def create_organization(
    transactions: Transactions, clock: Clock, actor: Actor, wanted: OrganizationInput, once: Once | None = None
) -> str:
    """Stores an organization and answers its id. Raises NotAllowed, InputRefused."""
    masters_only(actor, Words("create organizations"))
    now = clock.now()
    fresh = Organization(new_id(), **wanted.model_dump(), created_at=now)
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        _refuse_taken_home(tx, wanted.home_organization, fresh.id)
        if not tx.add_first(fresh):
            raise InputRefused({"name": NAME_TAKEN})
        note(tx, actor, now, "organization.create", _target(fresh), wanted.model_dump())
    return fresh.id


def change_organization(
    transactions: Transactions, clock: Clock, actor: Actor, organization_id: str, wanted: OrganizationInput
) -> None:
    """Makes the organization as `wanted`. Raises ThingUnknown, NotAllowed, InputRefused."""
    with transactions.write() as tx:
        organization = reach(tx, ORGANIZATIONS, actor, organization_id, Words("organization"))
        masters_only(actor, Words("change an organization's name and domains"))
        _refuse_taken_home(tx, wanted.home_organization, organization.id)
        if tx.named(Organization, wanted.name, but=organization.id):
            raise InputRefused({"name": NAME_TAKEN})
        changed = put(organization, wanted.model_dump())
        tx.flush()
        if changed:
            note(tx, actor, clock.now(), "organization.change", _target(organization), changed)
            publish_forms(tx)


def delete_organization(transactions: Transactions, clock: Clock, actor: Actor, organization_id: str) -> None:
    """Deletes an organization that nothing refers to. Raises ThingUnknown, NotAllowed, StillInUse."""
    with transactions.write() as tx:
        organization = reach(tx, ORGANIZATIONS, actor, organization_id, Words("organization"))
        masters_only(actor, Words("delete organizations"))
        delegations = [*(f.organization_ids for f in tx.forms()), *(p.organization_ids for p in tx.profiles())]
        if any(organization.id in delegation for delegation in delegations):
            raise StillInUse(
                Words("Forms or certificate profiles are delegated to “{name}”.", name=organization.name),
                Words("Change their delegation first."),
            )
        if any(organization.id in provider.organization_ids for provider in tx.identity_providers()):
            raise StillInUse(
                Words("An identity provider speaks for “{name}”.", name=organization.name),
                Words("Change whom it speaks for first."),
            )
        if not tx.remove_unused(organization):
            raise StillInUse(
                Words(
                    "“{name}” still has departments, accounts, persons, devices, requests or certificates.",
                    name=organization.name,
                ),
                Words("Delete its departments, accounts and persons first. One that has issued certificates stays."),
            )
        note(tx, actor, clock.now(), "organization.delete", _target(organization))


def create_department(
    transactions: Transactions, clock: Clock, actor: Actor, wanted: DepartmentInput, once: Once | None = None
) -> str:
    """Stores a department of an organization and answers its id. Raises ThingUnknown, NotAllowed, InputRefused."""
    now = clock.now()
    with transactions.write() as tx:
        organization = reach(tx, ORGANIZATIONS, actor, wanted.organization_id, Words("organization"))
        _rules(actor, organization)
        fresh = Department(new_id(), **wanted.model_dump(), created_at=now)
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        _check_department(tx, actor, organization, wanted, fresh.id)
        if not tx.add_first(fresh):
            raise InputRefused({"name": NAME_TAKEN})
        note(tx, actor, now, "department.create", _target(organization, fresh), wanted.model_dump())
    return fresh.id


def change_department(
    transactions: Transactions, clock: Clock, actor: Actor, department_id: str, wanted: DepartmentInput
) -> None:
    """Makes the department as `wanted`. Raises ThingUnknown, NotAllowed, InputRefused."""
    with transactions.write() as tx:
        department = reach(tx, DEPARTMENTS, actor, department_id, Words("department"))
        organization = tx.organization(department.organization_id)
        _rules(actor, organization)
        if wanted.organization_id != organization.id:
            raise InputRefused({"organization_id": Words("A department stays in its organization.")})
        _check_department(tx, actor, organization, wanted, department.id, department.home_organization)
        others = {d.name for d in tx.departments() if d.organization_id == organization.id and d is not department}
        if wanted.name in others:
            raise InputRefused({"name": NAME_TAKEN})
        changed = put(department, wanted.model_dump())
        tx.flush()
        if changed:
            note(tx, actor, clock.now(), "department.change", _target(organization, department), changed)
            publish_forms(tx)


def delete_department(transactions: Transactions, clock: Clock, actor: Actor, department_id: str) -> None:
    """Deletes a department that nothing refers to. Raises ThingUnknown, NotAllowed, StillInUse."""
    with transactions.write() as tx:
        department = reach(tx, DEPARTMENTS, actor, department_id, Words("department"))
        organization = tx.organization(department.organization_id)
        _rules(actor, organization)
        target = _target(organization, department)
        if not tx.remove_unused(department):
            raise StillInUse(
                Words("“{name}” still has accounts, persons, requests or certificates.", name=department.name),
                Words("Delete its accounts and persons first. One that has issued certificates stays."),
            )
        note(tx, actor, clock.now(), "department.delete", target)


def _rules(actor: Actor, organization: Organization) -> None:
    if not actor.scope.rules_organization(organization.id):
        raise NotAllowed(Words("Only an administrator of the whole organization may manage its departments."))


def _target(organization: Organization, department: Department | None = None) -> Target:
    if department is None:
        return Target(organization.id, organization.name, organization.id)
    return Target(department.id, f"{organization.name}, {department.name}", organization.id, department.id)


def _refuse_taken_home(tx: Transaction, home: str | None, own_id: str) -> None:
    places: Iterable[Organization | Department] = [*tx.organizations(), *tx.departments()]
    if home and any(place.home_organization == home and place.id != own_id for place in places):
        raise InputRefused({"home_organization": HOME_TAKEN})


def _check_department(
    tx: Transaction,
    actor: Actor,
    organization: Organization,
    wanted: DepartmentInput,
    own_id: str,
    home_before: str | None = None,
) -> None:
    mistakes = domains_outside(organization, wanted.email_domains, wanted.dns_domains)
    if wanted.home_organization != home_before and not actor.scope.everything:
        mistakes["home_organization"] = Words("Only a master administrator may set what identity providers send.")
    if mistakes:
        raise InputRefused(mistakes)
    _refuse_taken_home(tx, wanted.home_organization, own_id)
