"""Which accounts and certificate profiles of a form a signed-in person may use. Decided from values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keystead_contracts.base import CertificateType
from keystead_contracts.delegation import email_is_delegated
from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.enrollment import (
    Authorization,
    CertificateProfile,
    Department,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.idp_mapping import IdpRule, failing, folded
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.refusals import AttributesCut, GroupsUnknown, HomeOrganizationUnknown, NoAccount

HOME, GROUPS = "schachomeorganization", "groups"


@dataclass(frozen=True)
class Visitor:
    """Who signed in, and how.

    `persons` are those that they are known to be: by Secret ID those whose Secret ID was given, else those with their
    address. `homes` are the organizations and departments whose value is among what the identity provider sent as
    `schacHomeOrganization`; `provider_organizations` those it may speak for, empty for all. `attributes_cut` are those
    of which it sent more than `attributes` has.
    """

    email: str
    method: SignInMethod
    persons: Sequence[Person] = ()
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attributes_cut: Sequence[str] = ()
    homes: Sequence[Organization | Department] = ()
    provider_organizations: Sequence[str] = ()


@dataclass(frozen=True)
class Way:
    """A way through a form: an account with what it refers to. `profiles` are all that it names."""

    account: WebFormAccount
    organization: Organization
    department: Department | None
    profiles: Sequence[CertificateProfile]


@dataclass(frozen=True)
class OpenWay:
    """A way that is open to a visitor, with the profiles that they may choose from."""

    account: WebFormAccount
    organization: Organization
    department: Department | None
    profiles: tuple[CertificateProfile, ...]


def open_ways(visitor: Visitor, certificate_type: CertificateType, ways: Sequence[Way]) -> list[OpenWay]:
    """The ways that are open to `visitor`, at least one.

    Raises NoAccount; for somebody whom an identity provider sent, HomeOrganizationUnknown if it is their organization
    that none of the form's accounts is for, GroupsUnknown if it is what else was said of them, AttributesCut if that
    cannot be decided.
    """
    in_use = [way for way in ways if way.account.active]
    if visitor.method is not SignInMethod.IDP:
        known = [way for way in in_use if _knows(visitor, way)]
        return _with_profiles(visitor, known) or _refuse(visitor)
    if HOME in visitor.attributes_cut:
        raise AttributesCut(HOME)
    at_home = [way for way in in_use if _is_home(visitor, way)]
    if not at_home:
        raise HomeOrganizationUnknown(visitor.attributes.get(HOME, ()))
    found = _with_profiles(visitor, [way for way in at_home if _rules_hold(visitor, way)])
    if not found:
        raise GroupsUnknown(visitor.attributes.get(GROUPS, ()))
    if certificate_type is CertificateType.CLIENT:  # the address will stand in the certificate
        found = [way for way in found if _owns_address(visitor, way) or _is_person(visitor, way)]
    return found or _refuse(visitor)


def _refuse(visitor: Visitor) -> list[OpenWay]:
    raise NoAccount(Words("{email} may not use this form.", email=visitor.email))


def _knows(visitor: Visitor, way: Way) -> bool:
    if way.account.authorization is Authorization.IDP_MAPPING:
        return False
    by_domain = visitor.method is SignInMethod.EMAIL and _owns_address(visitor, way)
    return by_domain or _is_person(visitor, way)


def _owns_address(visitor: Visitor, way: Way | OpenWay) -> bool:
    """Whether the address's domain is delegated: to the organization, and to the department if it has any."""
    narrower = way.department.email_domains if way.department else []
    return way.organization.owns_email(visitor.email) and (not narrower or email_is_delegated(visitor.email, narrower))


def _is_person(visitor: Visitor, way: Way | OpenWay) -> bool:
    return any(
        person.organization_id == way.account.organization_id
        and way.account.department_id in (None, person.department_id)
        for person in visitor.persons
    )


def _is_home(visitor: Visitor, way: Way) -> bool:
    """Whether what was sent for the organization stands for this account's: the value of its department; that of its
    organization, unless the department has one of its own; that of any department, if the account has none."""
    may_speak = visitor.provider_organizations
    if may_speak and way.organization.id not in may_speak:
        return False
    narrowed = way.department is not None and way.department.home_organization is not None
    for home in visitor.homes:
        if isinstance(home, Organization):
            fits = home.id == way.organization.id and not narrowed
        else:
            fits = home.organization_id == way.organization.id and way.account.department_id in (None, home.id)
        if fits:
            return True
    return False


def _rules_hold(visitor: Visitor, way: Way) -> bool:
    against = failing((IdpRule.from_plain(plain) for plain in way.account.idp_rules), visitor.attributes)
    if against and all(rule.key in visitor.attributes_cut for rule in against):
        raise AttributesCut(against[0].key)
    return not against


def _with_profiles(visitor: Visitor, ways: Sequence[Way]) -> list[OpenWay]:
    """Each way with the profiles that are left, if any is."""
    found = []
    for way in ways:
        left = tuple(profile for profile in way.profiles if _offered(visitor, way, profile))
        if left:
            found.append(OpenWay(way.account, way.organization, way.department, left))
    return found


def _offered(visitor: Visitor, way: Way, profile: CertificateProfile) -> bool:
    if not profile.active or (profile.organization_ids and way.organization.id not in profile.organization_ids):
        return False
    if not profile.idp_groups:
        return True
    groups = {folded(group) for group in visitor.attributes.get(GROUPS, ())}
    if visitor.method is not SignInMethod.IDP:
        return False
    fits = any(folded(group) in groups for group in profile.idp_groups)
    if not fits and GROUPS in visitor.attributes_cut:
        raise AttributesCut(GROUPS)
    return fits
