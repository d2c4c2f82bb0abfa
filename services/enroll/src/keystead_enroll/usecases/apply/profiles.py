"""Certificate profiles of a declared set-up."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from keystead_enroll.domain.declaration import Declaration, ProfileDeclaration
from keystead_enroll.domain.enrollment import CertificateProfile
from keystead_enroll.domain.enrollment_rules import key_usages_mistake
from keystead_enroll.domain.refusals import Mistake
from keystead_enroll.domain.sample_certificate import sample_mistakes
from keystead_enroll.ports import Linter
from keystead_enroll.usecases.apply.work import Work, differing, mentioned
from keystead_kit.secrets import new_id


def profiles_to_lint(
    declaration: Declaration, stored: Mapping[str, CertificateProfile]
) -> list[tuple[ProfileDeclaration, CertificateProfile]]:
    """The declared profiles that are not `stored` (by name) as declared, each with what is to be stored: what is, was
    linted when it was stored."""
    found = []
    for wanted in declaration.profiles:
        existing, fresh = stored.get(wanted.name), _profile(wanted, [], None)
        if existing is None:
            found.append((wanted, fresh))
        elif changed := differing(existing, fresh, _linted_fields(wanted)):
            found.append((wanted, replace(existing, **{name: getattr(fresh, name) for name in changed})))
    return found


def lint_profiles(
    profiles: list[tuple[ProfileDeclaration, CertificateProfile]], linter: Linter, now: datetime
) -> Iterator[Mistake]:
    """What a sample of each profile violates."""
    for wanted, profile in profiles:
        for name, sentence in sample_mistakes(profile, linter.lint, now, randomness.token_bytes).items():
            blamed = f"{name}: " if name in type(wanted).model_fields else ""
            yield Mistake(wanted.line(name), f"profile “{wanted.name}”: {blamed}{sentence}")


def apply_profile(work: Work, wanted: ProfileDeclaration) -> None:
    """Creates the profile with this name, or changes it."""
    where = f"profile “{wanted.name}”"
    existing = work.profiles.get(wanted.name)
    fresh = _profile(wanted, work.delegated(where, wanted), work.now)
    if existing is not None and existing.certificate_type is not wanted.type:
        work.mistake(wanted.line("type"), f"{where}: its certificate type cannot be changed")
    names = (*_fields(wanted), *(["organization_ids"] if mentioned(wanted, "organizations") else []))
    work.put(where, existing, fresh, names)
    work.profiles.setdefault(wanted.name, existing or fresh)


def check_key_usages(work: Work, declaration: Declaration) -> None:
    """Notes the declared profiles whose keys are to decipher, and have accounts, declared or not, with keys of the
    agent. After the accounts."""
    for wanted in declaration.profiles if not work.mistakes else ():
        profile = work.profiles[wanted.name]
        if unfit := key_usages_mistake(profile, work.tx.accounts_with_profile(profile.id)):
            work.mistake(wanted.line("key_usages"), f"profile “{wanted.name}”: key_usages: {unfit}")


def _profile(
    wanted: ProfileDeclaration, organization_ids: list[str], created_at: datetime | None
) -> CertificateProfile:
    """The profile that is declared."""
    said = wanted.model_dump(exclude={"type", "organizations"})
    return CertificateProfile(
        new_id(), certificate_type=wanted.type, organization_ids=organization_ids, created_at=created_at, **said
    )


def _fields(wanted: ProfileDeclaration) -> tuple[str, ...]:
    """What of a stored profile is brought to the declared one."""
    return (
        "description", "key_algorithms", "term_days", "subject", "subject_alternative_names",
        "minimum_assurance", "device_name_pattern", "renewal_window_days", "policy_oids",
        *mentioned(
            wanted, "scope", "key_usages", "extended_key_usages", "idp_groups", "notice_days", "connector", "active"
        ),
    )  # fmt: skip


def _linted_fields(wanted: ProfileDeclaration) -> tuple[str, ...]:
    return ("certificate_type", *_fields(wanted))
