"""How profiles, forms and accounts go together. Each function answers what does not fit: field name → sentence."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from keystead_contracts.base import CertificateScope, CertificateType
from keystead_contracts.delegation import email_is_delegated
from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.enrollment import (
    Authorization,
    CertificateProfile,
    CsrGenerationMethod,
    Department,
    EnrollmentForm,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.key_usages import DECIPHERING
from keystead_enroll.domain.names import domain_is_delegated

TYPE_STAYS = Words("The certificate type cannot be changed.")


def domains_outside(
    organization: Organization, email_domains: Collection[str], dns_domains: Collection[str]
) -> dict[str, str]:
    """Which domains of a department do not lie within those of its organization."""
    told: dict[str, str] = {}
    for name, domains, above, within in (
        ("email_domains", email_domains, organization.email_domains, _mail_within),
        ("dns_domains", dns_domains, organization.dns_domains, domain_is_delegated),
    ):
        strangers = [domain for domain in domains if not within(domain, above)]
        if strangers:
            told[name] = Words(
                "{domains} is not within the domains of {name}.",
                domains=", ".join(strangers),
                name=organization.name,
            )
    return told


def _mail_within(domain: str, above: Collection[str]) -> bool:
    """Whether all the addresses that `domain` stands for are delegated to the organization."""
    return domain in above or (not domain.startswith("*.") and email_is_delegated(f"any@{domain}", above))


def delegates_together(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two forms are for an organization both, or both for all (no organizations): then they need two names."""
    return bool(set(one) & set(other)) or not (one or other)


def account_mistakes(
    form: EnrollmentForm,
    organization: Organization,
    department: Department | None,
    profiles: Sequence[CertificateProfile],
    authorization: Authorization,
    csr_method: CsrGenerationMethod,
    before: Collection[str] = (),
) -> dict[str, str]:
    """What keeps an account of `form` from being for this organization and department, with these profiles, this
    authorization and these requests. `before` are the ids of the profiles that it has now: those may be withdrawn
    meanwhile."""
    told: dict[str, str] = {}
    if form.organization_ids and organization.id not in form.organization_ids:
        told["organization_id"] = Words("The form is not delegated to {name}.", name=organization.name)
    if department is not None and department.organization_id != organization.id:
        told["department_id"] = Words("{name} has no such department.", name=organization.name)
    for profile in profiles:
        why = _unusable(profile, form, organization)
        if why and (profile.id not in before or profile.certificate_type is not form.certificate_type):
            told["profile_ids"] = Words("“{name}” {why}.", name=profile.name, why=why)
    deciphering = next((profile for profile in profiles if deciphers(profile)), None)
    if csr_method is CsrGenerationMethod.AGENT and deciphering is not None:
        told.setdefault("profile_ids", _only_signs(deciphering))
    if authorization is Authorization.IDP_MAPPING and SignInMethod.IDP not in form.methods:
        told["authorization"] = Words("The form does not let people sign in through an identity provider.")
    return told


def deciphers(profile: CertificateProfile) -> bool:
    """Whether the profile's keys do more than sign."""
    return not DECIPHERING.isdisjoint(profile.key_usages)


def key_usages_mistake(profile: CertificateProfile, accounts: Sequence[WebFormAccount]) -> str | None:
    """What keeps a profile with these accounts from having its key usages."""
    signing = next((one for one in accounts if one.csr_method is CsrGenerationMethod.AGENT), None)
    if signing is None or not deciphers(profile):
        return None
    return Words(
        "The agent makes the keys of “{name}”, and they only sign. Leave out {usages}, or change that account first.",
        name=signing.name,
        usages=", ".join(usage for usage in profile.key_usages if usage in DECIPHERING),
    )


def computers_mistake(profile: CertificateProfile) -> str | None:
    """What keeps registered computers from having certificates of a profile, which their agents make the keys of."""
    if deciphers(profile):
        return _only_signs(profile)
    if profile.scope is CertificateScope.USER:
        return Words("Certificates of “{name}” are persons', not computers'.", name=profile.name)
    return None


def _only_signs(profile: CertificateProfile) -> str:
    return Words(
        "“{name}” is for keys that decipher ({usages}). The agent's only sign: choose another profile.",
        name=profile.name,
        usages=", ".join(usage for usage in profile.key_usages if usage in DECIPHERING),
    )


def _unusable(profile: CertificateProfile, form: EnrollmentForm, organization: Organization) -> str:
    if profile.certificate_type is not form.certificate_type:
        return Words(
            "is for {type} certificates, the form for {form_type} ones",
            type=profile.certificate_type.value,
            form_type=form.certificate_type.value,
        )
    if not profile.active:
        return Words("is withdrawn")
    if profile.organization_ids and organization.id not in profile.organization_ids:
        return Words("is not delegated to {name}", name=organization.name)
    return ""


def form_mistakes(
    methods: Collection[SignInMethod],
    organization_ids: Collection[str],
    accounts: Sequence[WebFormAccount],
    certificate_type: CertificateType,
    before: CertificateType,
) -> dict[str, str]:
    """What keeps a form with these accounts from having these methods and this delegation."""
    told: dict[str, str] = {}
    if certificate_type is not before:
        told["certificate_type"] = TYPE_STAYS
    mapped = [a.name for a in accounts if a.authorization is Authorization.IDP_MAPPING]
    if mapped and SignInMethod.IDP not in methods:
        told["methods"] = Words("“{name}” maps what identity providers say. Change that account first.", name=mapped[0])
    strangers = [a.name for a in accounts if organization_ids and a.organization_id not in organization_ids]
    if strangers:
        told["organization_ids"] = Words(
            "“{name}” is for another organization. Delete or change that account first.", name=strangers[0]
        )
    return told
