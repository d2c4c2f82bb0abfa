"""Administrators and identity providers of a declared set-up."""

from __future__ import annotations

from keystead_contracts.people import AdministratorMethod
from keystead_enroll.domain.administration import Administrator, Grant
from keystead_enroll.domain.administration_refusals import StillInUse
from keystead_enroll.domain.declaration import AdministratorDeclaration, GrantDeclaration, IdentityProviderDeclaration
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.usecases.admin import administrators as administrator_verbs
from keystead_enroll.usecases.admin import identity_providers as provider_verbs
from keystead_enroll.usecases.apply.work import Work
from keystead_kit.secrets import new_id

INVITED_BY = "keystead apply"


def apply_administrator(work: Work, wanted: AdministratorDeclaration) -> None:
    """Creates the administrator with this address, or changes them; whether they are active stays as it is."""
    where = f"administrator “{wanted.name}”"
    grants = [grant for declared in wanted.grants if (grant := _grant(work, where, declared))]
    if work.mistakes:
        return  # nothing will be stored
    existing = work.tx.administrator_by_email(wanted.email)
    fresh = Administrator(
        id=new_id(),
        email=wanted.email,
        name=wanted.name,
        methods=wanted.methods,
        grants=[grant.to_plain() for grant in grants],
        invitation=1 if AdministratorMethod.PASSWORD in wanted.methods else 0,
    )
    if existing is None:
        work.put(where, None, fresh, ())
        administrator_verbs.publish(work.tx, fresh, invited_by=INVITED_BY)
        work.tx.flush()
        return
    invite = AdministratorMethod.PASSWORD in wanted.methods and AdministratorMethod.PASSWORD not in existing.methods
    try:
        administrator_verbs.refuse_to_lose_the_last_master(work.tx, existing, grants if existing.active else [])
    except StillInUse as refusal:
        work.mistake(wanted.line("grants"), f"{where}: {refusal.detail} {refusal.advice}")
        return
    changed = work.put(where, existing, fresh, ("name", "methods", "grants"))
    administrator_verbs.settle(work.tx, existing, dict.fromkeys(changed), invite=invite, invited_by=INVITED_BY)
    work.tx.flush()


def _grant(work: Work, where: str, wanted: GrantDeclaration) -> Grant | None:
    organization = work.organizations.get(wanted.organization or "")
    if wanted.organization and organization is None:
        work.lacks(wanted.line("organization"), where, "organization", wanted.organization)
        return None
    department = work.departments.get((organization.id, wanted.department or "")) if organization else None
    if wanted.department and department is None:
        work.lacks(wanted.line("department"), where, "department", wanted.department)
        return None
    return Grant(
        wanted.role,
        organization.id if organization else None,
        department.id if department else None,
        frozenset(wanted.types),
    )


def apply_identity_provider(work: Work, wanted: IdentityProviderDeclaration) -> None:
    """Creates the identity provider with this name, or changes it; whether it is active stays as it is."""
    where = f"identity provider “{wanted.name}”"
    for number, name in enumerate(wanted.organizations):
        if name not in work.organizations:
            work.lacks(wanted.line("organizations", number), where, "organization", name)
    if work.mistakes:
        return  # nothing will be stored
    plain = wanted.model_dump(exclude={"organizations"})
    plain["organization_ids"] = [work.organizations[name].id for name in wanted.organizations]
    existing = next((p for p in work.tx.identity_providers() if p.name == wanted.name), None)
    if provider_verbs.too_many(plain["organization_ids"], existing.organization_ids if existing else ()):
        work.mistake(wanted.line("organizations"), f"{where}: organizations: {provider_verbs.TOO_MANY}")
        return
    fresh = IdentityProvider(new_id(), **plain)
    changed = work.put(where, existing, fresh, tuple(plain))
    if existing is None:
        provider_verbs.publish(work.tx, fresh)
    else:
        provider_verbs.settle(work.tx, existing, dict.fromkeys(changed))
    work.tx.flush()
