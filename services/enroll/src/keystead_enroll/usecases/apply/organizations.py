"""Organizations and departments of a declared set-up."""

from __future__ import annotations

from keystead_enroll.domain.declaration import DepartmentDeclaration, OrganizationDeclaration
from keystead_enroll.domain.enrollment import Department, Organization
from keystead_enroll.domain.enrollment_rules import domains_outside
from keystead_enroll.usecases.apply.work import Work, mentioned
from keystead_kit.secrets import new_id


def apply_organization(work: Work, wanted: OrganizationDeclaration) -> None:
    """Creates the organization with this name, or changes it, and its departments."""
    where = f"organization “{wanted.name}”"
    existing = work.organizations.get(wanted.name)
    fresh = Organization(
        new_id(), wanted.name, wanted.email_domains, wanted.dns_domains, wanted.home_organization, created_at=work.now
    )
    names = ("email_domains", "dns_domains", *mentioned(wanted, "home_organization"))
    _check_home(work, where, wanted, existing)
    work.put(where, existing, fresh, names)
    organization = work.organizations.setdefault(wanted.name, existing or fresh)
    work.tx.flush()
    for department in wanted.departments:
        _apply_department(work, organization, department)


def _apply_department(work: Work, organization: Organization, wanted: DepartmentDeclaration) -> None:
    where = f"department “{wanted.name}” of organization “{organization.name}”"
    key = (organization.id, wanted.name)
    existing = work.departments.get(key)
    fresh = Department(
        new_id(), organization.id, wanted.name, wanted.email_domains, wanted.dns_domains,
        wanted.home_organization, work.now,
    )  # fmt: skip
    for name, sentence in domains_outside(organization, wanted.email_domains, wanted.dns_domains).items():
        work.mistake(wanted.line(name), f"{where}: {name}: {sentence}")
    _check_home(work, where, wanted, existing)
    names = mentioned(wanted, "email_domains", "dns_domains", "home_organization")
    if existing is None or names:
        work.put(where, existing, fresh, names)
    work.departments.setdefault(key, existing or fresh)


def _check_home(
    work: Work,
    where: str,
    wanted: OrganizationDeclaration | DepartmentDeclaration,
    existing: Organization | Department | None,
) -> None:
    """What identity providers send belongs to one place."""
    value = wanted.home_organization
    if value and (value in work.homes or any(place is not existing for place in work.tx.homes([value]))):
        work.mistake(wanted.line("home_organization"), f"{where}: another one has this home_organization already")
    elif value:
        work.homes.add(value)
