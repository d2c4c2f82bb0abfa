"""Apply a declared set-up: create what is new, change what differs, leave alone what is not mentioned."""

from __future__ import annotations

from collections.abc import Collection

from keystead_enroll.domain.administration import Actor, local_actor
from keystead_enroll.domain.declaration import Declaration
from keystead_enroll.domain.refusals import DeclarationInvalid, Mistake
from keystead_enroll.ports import Clock, Linter, Secrets, Transactions
from keystead_enroll.usecases.admin.common import Target, note
from keystead_enroll.usecases.apply.forms import apply_forms
from keystead_enroll.usecases.apply.licence import apply_licence
from keystead_enroll.usecases.apply.organizations import apply_organization
from keystead_enroll.usecases.apply.people import apply_administrator, apply_identity_provider
from keystead_enroll.usecases.apply.profiles import apply_profile, check_key_usages, lint_profiles, profiles_to_lint
from keystead_enroll.usecases.apply.registration_tokens import apply_registration_tokens
from keystead_enroll.usecases.apply.work import Applied, Change, Work
from keystead_enroll.usecases.publish_forms import publish_forms

APPLY = local_actor("keystead apply")
SET_UP = Target("set-up", "set-up file")


def apply_declaration(
    transactions: Transactions,
    clock: Clock,
    secrets: Secrets,
    linter: Linter,
    declaration: Declaration,
    *,
    mistakes: Collection[Mistake] = (),
    left_out: Collection[tuple[str, str]] = (),
    check: bool = False,
    actor: Actor = APPLY,
) -> Applied:
    """Brings the database to the declaration, all or nothing; with `check` only says what would be done. What was done
    is a line of the audit log.

    Raises DeclarationInvalid with every mistake. `mistakes` were found when the file was read, `left_out` are
    (kind, name) of what it declares and `declaration` has not for them.
    """
    now = clock.now()
    with transactions.read() as tx:
        to_lint = profiles_to_lint(declaration, {profile.name: profile for profile in tx.profiles()})
    bad_samples = list(lint_profiles(to_lint, linter, now))
    with transactions.write() as tx:
        work = Work(tx, secrets, left_out, now, actor)
        work.mistakes += [*mistakes, *declaration.repeated_names(), *bad_samples]
        for organization in declaration.organizations:
            apply_organization(work, organization)
        apply_licence(work, declaration)
        for profile in declaration.profiles:
            apply_profile(work, profile)
        tx.flush()
        apply_forms(work, declaration)
        check_key_usages(work, declaration)
        apply_registration_tokens(work, declaration)
        for administrator in declaration.administrators:
            apply_administrator(work, administrator)
        for provider in declaration.identity_providers:
            apply_identity_provider(work, provider)
        if work.mistakes:
            raise DeclarationInvalid(work.mistakes)
        publish_forms(tx)
        changes = {
            change.value: [done.thing for done in work.applied.done if done.change is change]
            for change in (Change.CREATED, Change.CHANGED, Change.WITHDRAWN)
        }
        if any(changes.values()):
            note(
                tx, actor, now, "set-up.apply", SET_UP, {change: things for change, things in changes.items() if things}
            )
        if check:
            tx.undo()
    return work.applied
