"""Persons: create, change, delete, give a Secret ID, invite.

Whoever has the person's place with client certificates in scope manages them. Addresses are delegated from above: only
a master gives a person one that the organization or department does not own, because it ends up in certificates.
"""

from __future__ import annotations

import secrets as randomness
from datetime import datetime

from keystead_contracts.base import CertificateType
from keystead_contracts.delegation import email_is_delegated
from keystead_contracts.identity import SignInMethod
from keystead_contracts.people import PersonInvited, PersonPublished
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed
from keystead_enroll.domain.enrollment import Authorization, Department, EnrollmentForm, Organization, WebFormAccount
from keystead_enroll.domain.lists import DEPARTMENTS, FORMS, ORGANIZATIONS, PERSONS
from keystead_enroll.domain.people_inputs import InvitationInput, PersonInput
from keystead_enroll.domain.persons import Person
from keystead_enroll.ports import Clock, PasswordHasher, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, note, put, reach
from keystead_kit.secrets import new_id

KIND = Words("person")
ADDRESS_TAKEN = Words("Another person of this organization has this address already.")
NO_ORGANIZATION = Words("There is no such organization, or you may not add persons to it.")
NO_DEPARTMENT = Words("There is no such department of the organization.")
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that nobody mistakes for each other."""
GROUPS, GROUP_LENGTH = 4, 5


def new_secret_id() -> str:
    """A fresh Secret ID that can be read out: 99 random bits."""
    return "-".join("".join(randomness.choice(_READABLE) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))


def create_person(
    transactions: Transactions,
    clock: Clock,
    actor: Actor,
    wanted: PersonInput,
    once: Once | None = None,
    *,
    passwords: PasswordHasher,
) -> str:
    """Stores a person and answers their id. Raises InputRefused."""
    now = clock.now()
    secret_id_hash = passwords.hash(wanted.secret_id) if wanted.secret_id else None
    plain = wanted.model_dump(exclude={"secret_id"})
    fresh = Person(new_id(), **plain, secret_id_hash=secret_id_hash, created_at=now)
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        check_place(tx, actor, wanted)
        if not tx.add_first(fresh):
            raise InputRefused({"email": ADDRESS_TAKEN})
        note(tx, actor, now, "person.create", target(fresh), plain | {"secret_id": secret_id_hash is not None})
        publish(tx, fresh)
    return fresh.id


def change_person(
    transactions: Transactions,
    clock: Clock,
    actor: Actor,
    person_id: str,
    wanted: PersonInput,
    *,
    passwords: PasswordHasher,
) -> None:
    """Makes the person as `wanted`. Raises ThingUnknown, InputRefused."""
    secret_id_hash = passwords.hash(wanted.secret_id) if wanted.secret_id else None
    with transactions.write() as tx:
        person = reach_person(tx, actor, person_id)
        if wanted.organization_id != person.organization_id:
            raise InputRefused(
                {"organization_id": Words("A person stays in their organization; add them to the other.")}
            )
        check_place(tx, actor, wanted, person)
        others = tx.persons_with(person.organization_id, [wanted.email])
        if any(other is not person for other in others):
            raise InputRefused({"email": ADDRESS_TAKEN})
        changed = put(person, wanted.model_dump(exclude={"secret_id"}))
        if "secret_id" in wanted.model_fields_set and (secret_id_hash or person.secret_id_hash):
            person.secret_id_hash = secret_id_hash
            changed["secret_id"] = secret_id_hash is not None
        settle(tx, actor, clock.now(), person, changed)


def delete_person(transactions: Transactions, clock: Clock, actor: Actor, person_id: str) -> None:
    """Deletes a person; their certificates stay. Raises ThingUnknown."""
    with transactions.write() as tx:
        person = reach_person(tx, actor, person_id)
        person.version += 1
        publish(tx, person, removed=True)
        note(tx, actor, clock.now(), "person.delete", target(person))
        tx.remove(person)


def give_secret_id(
    transactions: Transactions,
    clock: Clock,
    actor: Actor,
    person_id: str,
    once: Once | None = None,
    *,
    passwords: PasswordHasher,
) -> str | None:
    """Makes a new Secret ID for the person, in place of any they had, and answers it: it is told this once and kept
    nowhere. None if it was made by an earlier request. Raises ThingUnknown."""
    now, secret_id = clock.now(), new_secret_id()
    secret_id_hash = passwords.hash(secret_id)
    with transactions.write() as tx:
        person = reach_person(tx, actor, person_id)
        if once and tx.earlier(actor.id, once.key, once.request_digest, person.id, now):
            return None
        person.secret_id_hash = secret_id_hash
        settle(tx, actor, now, person, {"secret_id": True})
    return secret_id


def take_secret_id(transactions: Transactions, clock: Clock, actor: Actor, person_id: str) -> None:
    """Takes the person's Secret ID away. Raises ThingUnknown."""
    with transactions.write() as tx:
        person = reach_person(tx, actor, person_id)
        if person.secret_id_hash is not None:
            person.secret_id_hash = None
            settle(tx, actor, clock.now(), person, {"secret_id": False})


def invite_person(
    transactions: Transactions,
    clock: Clock,
    actor: Actor,
    person_id: str,
    wanted: InvitationInput,
    once: Once | None = None,
    *,
    origin: str,
) -> None:
    """Has a letter sent to the person with the form's address. Raises ThingUnknown, InputRefused."""
    now = clock.now()
    with transactions.write() as tx:
        person = reach_person(tx, actor, person_id)
        if once and tx.earlier(actor.id, once.key, once.request_digest, person.id, now):
            return
        form = tx.in_reach(FORMS, actor.scope, wanted.form_id)
        if form is None or not form.active:
            raise InputRefused({"form_id": Words("There is no such form.")})
        accounts = usable_accounts(tx, form, person)
        if not accounts:
            raise InputRefused(
                {"form_id": Words("“{form}” has no account that {name} could use.", form=form.name, name=person.name)}
            )
        organization = tx.organization(person.organization_id)
        needs_secret_id = SignInMethod.SECRET_ID in form.methods and SignInMethod.EMAIL not in form.methods
        if form.methods == [SignInMethod.SECRET_ID] and person.secret_id_hash is None:
            raise InputRefused(
                {
                    "form_id": Words(
                        "“{form}” asks for a Secret ID. Give {name} one first.", form=form.name, name=person.name
                    )
                }
            )
        person.invited_at = now
        invitation = PersonInvited(
            email=person.email,
            name=person.name,
            organization=organization.name,
            form_name=form.name,
            form_url=f"{origin}/e/{form.uri_extension}",
            needs_secret_id=needs_secret_id,
            needs_access_code=all(a.authorization is Authorization.ACCESS_CODE for a in accounts),
            invited_by=actor.name,
            invited_at=now,
            help_link=form.help_link,
        )
        tx.record(invitation, destination="notify")
        note(tx, actor, now, "person.invite", target(person), {"form_id": form.id, "form": form.name})


def usable_accounts(tx: Transaction, form: EnrollmentForm, person: Person) -> list[WebFormAccount]:
    """The form's accounts that are for the person's place."""
    return [
        account
        for account in tx.accounts(form.id)
        if account.active
        and account.organization_id == person.organization_id
        and account.department_id in (None, person.department_id)
    ]


# What the import of many does too


def reach_person(tx: Transaction, actor: Actor, person_id: str) -> Person:
    """The person, if they are in the actor's scope. Raises ThingUnknown, and NotAllowed if the actor has not got client
    certificates there."""
    person = reach(tx, PERSONS, actor, person_id, KIND)
    if not may_manage(actor, person.organization_id, person.department_id):
        raise NotAllowed(Words("Only an administrator of client certificates may manage persons."))
    return person


def may_manage(actor: Actor, organization_id: str, department_id: str | None) -> bool:
    """Whether persons of that place are the actor's to manage."""
    return actor.scope.has(organization_id, department_id, CertificateType.CLIENT)


def check_place(tx: Transaction, actor: Actor, wanted: PersonInput, before: Person | None = None) -> None:
    """Raises InputRefused unless the actor may have such a person there."""
    organization = tx.in_reach(ORGANIZATIONS, actor.scope, wanted.organization_id)
    department = tx.in_reach(DEPARTMENTS, actor.scope, wanted.department_id) if wanted.department_id else None
    if organization is None:
        raise InputRefused({"organization_id": NO_ORGANIZATION})
    if wanted.department_id and (department is None or department.organization_id != organization.id):
        raise InputRefused({"department_id": NO_DEPARTMENT})
    if not may_manage(actor, organization.id, wanted.department_id):
        field = "department_id" if actor.scope.sees_organization(organization.id) else "organization_id"
        raise InputRefused({field: Words("You may not manage persons there: choose a department that is yours.")})
    check_addresses(actor, organization, department, wanted, before)


def check_addresses(
    actor: Actor, organization: Organization, department: Department | None, wanted: PersonInput, before: Person | None
) -> None:
    """Raises InputRefused if an officer gives an address that is not the place's to give."""
    if actor.scope.everything:
        return
    domains = [*organization.email_domains, *(department.email_domains if department else [])]
    for field, value, kept in (
        ("email", wanted.email, before.email if before else None),
        ("upn", wanted.upn, before.upn if before else None),
    ):
        if value and value != kept and not email_is_delegated(value, domains):
            raise InputRefused(
                {
                    field: Words(
                        "{domain} is not delegated to {organization}. Ask a master.",
                        domain=value.rpartition("@")[2],
                        organization=organization.name,
                    )
                }
            )


def settle(tx: Transaction, actor: Actor, now: datetime, person: Person, changed: dict[str, object]) -> None:
    """Tells and notes a change, if there is one."""
    if changed:
        person.version += 1
        note(tx, actor, now, "person.change", target(person), changed)
        publish(tx, person)


def publish(tx: Transaction, person: Person, *, removed: bool = False) -> None:
    """Tells auth the person as they are now."""
    fact = PersonPublished(
        person_id=person.id,
        version=person.version,
        organization_id=person.organization_id,
        email=person.email,
        name=person.name,
        secret_id_hash=None if removed else person.secret_id_hash,
        removed=removed,
    )
    tx.record(fact, destination="auth")


def target(person: Person) -> Target:
    """The person in the audit log."""
    return Target(
        person.id, f"{person.name} <{person.email}>", person.organization_id, person.department_id,
        CertificateType.CLIENT,
    )  # fmt: skip
