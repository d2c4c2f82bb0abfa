"""Which accounts and profiles a signed-in person may use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from keystead_contracts.base import CertificateType, KeyAlgorithm
from keystead_contracts.identity import SignInMethod
from keystead_enroll.adapters import tables as _mapped  # noqa: F401 before any of its classes has an instance here
from keystead_enroll.domain.eligibility import HOME, Visitor, Way, open_ways
from keystead_enroll.domain.enrollment import (
    Authorization,
    CertificateProfile,
    CsrGenerationMethod,
    Department,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.refusals import AttributesCut, GroupsUnknown, HomeOrganizationUnknown, NoAccount

PHYSICS = Organization("physics", "Physics", ["physics.example"], home_organization="physics.example")
CHEMISTRY = Organization("chemistry", "Chemistry", ["chemistry.example"], home_organization="chemistry.example")
OPTICS = Department("optics", "physics", "Optics", ["optics.physics.example"], home_organization="optics.example")
THEORY = Department("theory", "physics", "Theory")
WIDE = Organization("wide", "Wide", ["wide.example", "labs.wide.example"])
LABS = Department("labs", "wide", "Labs", ["labs.wide.example"])
RULE: dict[str, object] = {"key": "groups", "match_type": "MATCHES", "values": ["staff"]}
SSL, CLIENT = CertificateType.SSL, CertificateType.CLIENT


def profile(name: str = "plain", **changes: Any) -> CertificateProfile:
    return CertificateProfile(name, name, "", CLIENT, [KeyAlgorithm.EC_P256], [365], "CN={email}", [], **changes)


def way(
    organization: Organization = PHYSICS,
    department: Department | None = None,
    profiles: Sequence[CertificateProfile] = (),
    **changes: Any,
) -> Way:
    account = WebFormAccount(
        changes.pop("id", "account"), "form", "Account", organization.id, department.id if department else None, [],
        CsrGenerationMethod.AGENT, **changes,
    )  # fmt: skip
    return Way(account, organization, department, profiles or [profile()])


def person(organization: str = "physics", department: str | None = None) -> Person:
    return Person("p", organization, department, "ada@elsewhere.example", "Ada")


def by_email(email: str = "ada@physics.example", *persons: Person) -> Visitor:
    return Visitor(email, SignInMethod.EMAIL, persons)


def by_secret_id(*persons: Person, email: str = "ada@elsewhere.example") -> Visitor:
    return Visitor(email, SignInMethod.SECRET_ID, persons)


def by_idp(
    *homes: Organization | Department, email: str = "ada@physics.example", groups: Sequence[str] = (), **changes: Any
) -> Visitor:
    attributes = {"schachomeorganization": [str(h.home_organization) for h in homes], "groups": list(groups)}
    return Visitor(email, SignInMethod.IDP, attributes=attributes, homes=homes, **changes)


def sees(visitor: Visitor, *ways: Way, kind: CertificateType = SSL) -> bool:
    try:
        return bool(open_ways(visitor, kind, ways))
    except NoAccount:
        return False


# By e-mail


def test_an_address_opens_accounts_of_the_organization_that_has_its_domain() -> None:
    assert sees(by_email(), way(PHYSICS))
    assert not sees(by_email(), way(CHEMISTRY))


def test_a_department_s_own_domains_narrow_its_organization_s() -> None:
    assert sees(by_email("ada@labs.wide.example"), way(WIDE, LABS))
    assert not sees(by_email("ada@wide.example"), way(WIDE, LABS))
    assert sees(by_email("ada@wide.example"), way(WIDE))


def test_a_department_s_domain_that_its_organization_lost_opens_nothing() -> None:
    assert not sees(by_email("ada@optics.physics.example"), way(PHYSICS, OPTICS))


def test_a_person_of_the_organization_is_let_in_whatever_their_address() -> None:
    assert sees(by_email("ada@elsewhere.example", person()), way(PHYSICS))
    assert not sees(by_email("ada@elsewhere.example", person("chemistry")), way(PHYSICS))


def test_a_person_is_of_the_account_s_department_if_it_has_one() -> None:
    assert sees(by_email("ada@elsewhere.example", person("physics", "optics")), way(PHYSICS, OPTICS))
    assert sees(by_email("ada@elsewhere.example", person("physics", "optics")), way(PHYSICS))
    assert not sees(by_email("ada@elsewhere.example", person("physics", "theory")), way(PHYSICS, OPTICS))
    assert not sees(by_email("ada@elsewhere.example", person("physics")), way(PHYSICS, OPTICS))


# By Secret ID


def test_a_secret_id_opens_what_its_person_is_of_and_nothing_by_domain() -> None:
    assert sees(by_secret_id(person()), way(PHYSICS))
    assert not sees(by_secret_id(person("chemistry"), email="ada@physics.example"), way(PHYSICS))
    assert not sees(by_secret_id(person("physics", "theory")), way(PHYSICS, OPTICS))


# Through an identity provider


def test_what_is_sent_for_the_organization_opens_its_accounts() -> None:
    assert sees(by_idp(PHYSICS), way(PHYSICS))
    assert sees(by_idp(PHYSICS), way(PHYSICS, THEORY))
    assert not sees(by_idp(PHYSICS), way(CHEMISTRY))


def test_a_department_with_a_value_of_its_own_is_reached_by_that_alone() -> None:
    assert sees(by_idp(OPTICS), way(PHYSICS, OPTICS))
    assert not sees(by_idp(PHYSICS), way(PHYSICS, OPTICS))


def test_a_department_s_value_fits_its_own_accounts_and_those_without_a_department() -> None:
    assert sees(by_idp(OPTICS), way(PHYSICS))
    assert not sees(by_idp(OPTICS), way(PHYSICS, THEORY))
    assert not sees(by_idp(OPTICS), way(CHEMISTRY))


def test_a_domain_or_a_person_is_no_substitute_for_what_is_sent_for_the_organization() -> None:
    assert not sees(by_idp(CHEMISTRY, email="ada@physics.example", persons=[person()]), way(PHYSICS))
    assert not sees(by_idp(email="ada@physics.example"), way(PHYSICS))


def test_a_provider_speaks_for_its_own_organizations_alone() -> None:
    assert sees(by_idp(PHYSICS, provider_organizations=["physics"]), way(PHYSICS))
    assert not sees(by_idp(PHYSICS, provider_organizations=["chemistry"]), way(PHYSICS))


def test_an_account_with_rules_is_for_those_for_whom_they_hold() -> None:
    mapped = way(authorization=Authorization.IDP_MAPPING, idp_rules=[RULE])
    assert sees(by_idp(PHYSICS, groups=["Staff"]), mapped)
    assert not sees(by_idp(PHYSICS, groups=["Guests"]), mapped)


def test_an_account_with_rules_is_for_nobody_whom_no_provider_sent() -> None:
    mapped = way(authorization=Authorization.IDP_MAPPING, idp_rules=[RULE])
    assert not sees(by_email(), mapped)
    assert not sees(by_secret_id(person()), mapped)


def test_a_client_certificate_needs_a_delegated_address_or_a_person_too() -> None:
    stranger = {"email": "ada@elsewhere.example"}
    assert sees(by_idp(PHYSICS), way(), kind=CLIENT)
    assert not sees(by_idp(PHYSICS, **stranger), way(), kind=CLIENT)
    assert sees(by_idp(PHYSICS, persons=[person()], **stranger), way(), kind=CLIENT)
    assert sees(by_idp(PHYSICS, **stranger), way(), kind=SSL)


# Profiles


def offered(visitor: Visitor, *profiles: CertificateProfile) -> list[str]:
    return [found.id for found in open_ways(visitor, SSL, [way(profiles=profiles)])[0].profiles]


def test_a_profile_with_groups_is_offered_to_their_members() -> None:
    staff = profile("staff", idp_groups=["Staff", "Faculty"])
    assert offered(by_idp(PHYSICS, groups=["faculty"]), profile(), staff) == ["plain", "staff"]
    assert offered(by_idp(PHYSICS, groups=["students"]), profile(), staff) == ["plain"]


def test_a_profile_with_groups_is_offered_to_nobody_whom_no_provider_sent() -> None:
    staff = profile("staff", idp_groups=["Staff"])
    assert offered(by_email(), profile(), staff) == ["plain"]
    claims = Visitor("ada@physics.example", SignInMethod.EMAIL, attributes={"groups": ["Staff"]})
    assert offered(claims, profile(), staff) == ["plain"]
    assert not sees(by_email(), way(profiles=[staff]))


def test_a_withdrawn_profile_is_not_offered() -> None:
    assert offered(by_email(), profile(), profile("old", active=False)) == ["plain"]
    assert not sees(by_email(), way(profiles=[profile("old", active=False)]))


def test_a_profile_of_other_organizations_is_not_offered() -> None:
    theirs, ours = profile("theirs", organization_ids=["chemistry"]), profile("ours", organization_ids=["physics"])
    assert offered(by_email(), theirs, ours) == ["ours"]


def test_a_withdrawn_account_is_not_offered() -> None:
    assert not sees(by_email(), way(active=False))


def test_every_account_that_fits_is_open() -> None:
    ways = [way(id="a"), way(CHEMISTRY, id="b"), way(PHYSICS, THEORY, id="c")]
    assert [found.account.id for found in open_ways(by_email(), SSL, ways)] == ["a", "c"]


# Attributes of which more was sent than is known


def test_what_is_decided_by_values_that_are_known_is_decided_though_there_are_more() -> None:
    staff = profile(idp_groups=["Staff"])
    ruled = way(idp_rules=[{"key": "groups", "match_type": "MATCHES", "values": ["Staff"]}])
    visitor = by_idp(PHYSICS, groups=["Staff"], attributes_cut=["groups"])
    assert offered(visitor, staff) == ["plain"]
    assert sees(visitor, ruled)
    assert sees(by_idp(PHYSICS, groups=["Guests"], attributes_cut=["groups"]), way())


@pytest.mark.parametrize(
    ("rules", "groups", "cut"),
    [([], ["Staff"], "groups"), (["groups"], [], "groups"), (["entitlement"], [], "entitlement"), ([], [], HOME)],
)
def test_what_would_depend_on_values_that_are_not_known_is_refused(
    rules: list[str], groups: list[str], cut: str
) -> None:
    ruled = [{"key": key, "match_type": "MATCHES", "values": ["Staff"]} for key in rules]
    closed = way(profiles=[profile(idp_groups=groups)], idp_rules=ruled)
    with pytest.raises(AttributesCut, match=f"more values of “{cut}”"):
        open_ways(by_idp(PHYSICS, attributes_cut=[cut]), SSL, [closed])


def test_a_rule_that_fails_anyway_closes_an_account_whatever_the_others_would_say() -> None:
    rules = [{"key": key, "match_type": "MATCHES", "values": ["Staff"]} for key in ("groups", "entitlement")]
    visitor = by_idp(PHYSICS, attributes_cut=["groups"])
    with pytest.raises(GroupsUnknown):
        open_ways(visitor, SSL, [way(idp_rules=rules)])


# Refusals


def test_an_unknown_organization_and_unmapped_groups_are_told_apart() -> None:
    staff = way(profiles=[profile(idp_groups=["Staff"])])
    with pytest.raises(HomeOrganizationUnknown, match=r"sends “chemistry\.example”"):
        open_ways(by_idp(CHEMISTRY), SSL, [staff])
    with pytest.raises(HomeOrganizationUnknown, match="does not say which organization"):
        open_ways(by_idp(), SSL, [staff])
    with pytest.raises(GroupsUnknown, match="sends the groups “Guests”"):
        open_ways(by_idp(PHYSICS, groups=["Guests"]), SSL, [staff])
    with pytest.raises(GroupsUnknown, match="sends no groups"):
        open_ways(by_idp(PHYSICS), SSL, [staff])


def test_another_tenant_s_value_is_refused_in_the_words_for_one_that_nobody_has() -> None:
    attributes = {"schachomeorganization": ["chemistry.example"]}
    told = []
    for homes in ([CHEMISTRY], []):
        visitor = Visitor("ada@physics.example", SignInMethod.IDP, attributes=attributes, homes=homes)
        with pytest.raises(HomeOrganizationUnknown) as refused:
            open_ways(visitor, SSL, [way()])
        told.append((refused.value.detail, refused.value.advice))
    assert told[0] == told[1]


def test_what_a_provider_sent_cannot_deceive_whoever_reads_the_refusal() -> None:
    attributes = {"schachomeorganization": ["a\u202eb", *(f"org{number}" for number in range(9))]}
    with pytest.raises(HomeOrganizationUnknown) as refused:
        open_ways(Visitor("a@b.example", SignInMethod.IDP, attributes=attributes), SSL, [way()])
    assert "\u202e" not in refused.value.detail
    assert "and 5 more" in refused.value.detail
