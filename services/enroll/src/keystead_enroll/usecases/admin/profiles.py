"""Certificate profiles: create, change, delete. Masters alone; a profile is saved only if a sample of it lints."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterable

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, StillInUse
from keystead_enroll.domain.enrollment import CertificateProfile, Organization
from keystead_enroll.domain.enrollment_inputs import ProfileInput
from keystead_enroll.domain.enrollment_rules import TYPE_STAYS, key_usages_mistake
from keystead_enroll.domain.lists import PROFILES
from keystead_enroll.domain.sample_certificate import sample_mistakes
from keystead_enroll.ports import Clock, Linter, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, masters_only, note, put, reach
from keystead_enroll.usecases.admin.organizations import NAME_TAKEN
from keystead_kit.secrets import new_id

MASTERS_WORK = Words("create, change and delete certificate profiles")


def create_profile(
    transactions: Transactions,
    clock: Clock,
    linter: Linter,
    actor: Actor,
    wanted: ProfileInput,
    once: Once | None = None,
) -> str:
    """Stores a profile and answers its id. Raises NotAllowed, InputRefused."""
    masters_only(actor, MASTERS_WORK)
    now = clock.now()
    fresh = CertificateProfile(new_id(), **wanted.model_dump(), created_at=now)
    _refuse_bad_samples(fresh, linter, clock)
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        refuse_unknown_organizations(tx, wanted.organization_ids)
        if not tx.add_first(fresh):
            raise InputRefused({"name": NAME_TAKEN})
        note(tx, actor, now, "profile.create", _target(fresh), wanted.model_dump(mode="json"))
    return fresh.id


def change_profile(
    transactions: Transactions, clock: Clock, linter: Linter, actor: Actor, profile_id: str, wanted: ProfileInput
) -> None:
    """Makes the profile as `wanted`. Requests that are under way get certificates of the new kind; an account goes on
    naming a profile that is withdrawn, and offers it to nobody. Raises ThingUnknown, NotAllowed, InputRefused."""
    with transactions.read() as tx:
        reach(tx, PROFILES, actor, profile_id, Words("certificate profile"))
    masters_only(actor, MASTERS_WORK)
    _refuse_bad_samples(CertificateProfile(profile_id, **wanted.model_dump()), linter, clock)
    with transactions.write() as tx:
        profile = reach(tx, PROFILES, actor, profile_id, Words("certificate profile"))
        if profile.certificate_type is not wanted.certificate_type:
            raise InputRefused({"certificate_type": TYPE_STAYS})
        refuse_unknown_organizations(tx, wanted.organization_ids, profile.organization_ids)
        if tx.named(CertificateProfile, wanted.name, but=profile.id):
            raise InputRefused({"name": NAME_TAKEN})
        changed = put(profile, wanted.model_dump())
        unfit = key_usages_mistake(profile, tx.accounts_with_profile(profile.id)) if "key_usages" in changed else None
        if unfit:
            raise InputRefused({"key_usages": unfit})
        if changed:
            note(tx, actor, clock.now(), "profile.change", _target(profile), changed)


def delete_profile(transactions: Transactions, clock: Clock, actor: Actor, profile_id: str) -> None:
    """Deletes a profile that nothing refers to. Raises ThingUnknown, NotAllowed, StillInUse."""
    with transactions.write() as tx:
        profile = reach(tx, PROFILES, actor, profile_id, Words("certificate profile"))
        masters_only(actor, MASTERS_WORK)
        if tx.accounts_with_profile(profile.id) or not tx.remove_unused(profile):
            raise StillInUse(
                Words("“{name}” still has accounts, requests or certificates.", name=profile.name),
                Words(
                    "Take it out of the accounts that name it. One that has issued certificates stays: set it inactive."
                ),
            )
        note(tx, actor, clock.now(), "profile.delete", _target(profile))


def refuse_unknown_organizations(tx: Transaction, wanted: Iterable[str], before: Iterable[str] = ()) -> None:
    """Raises InputRefused if a delegation names an organization that is not there, and did not before."""
    known = frozenset(before)
    unknown = [one for one in wanted if one not in known and tx.get(Organization, one) is None]
    if unknown:
        raise InputRefused({"organization_ids": Words("There is no such organization.")})


def _refuse_bad_samples(profile: CertificateProfile, linter: Linter, clock: Clock) -> None:
    mistakes = sample_mistakes(profile, linter.lint, clock.now(), randomness.token_bytes)
    if mistakes:
        raise InputRefused(mistakes)


def _target(profile: CertificateProfile) -> Target:
    return Target(profile.id, profile.name, certificate_type=profile.certificate_type)
