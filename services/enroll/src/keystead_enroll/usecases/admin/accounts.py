"""Web form accounts: create, change, delete. They belong to whoever has their organization or department, for the
certificate type of their form.

An access code stands for one account among all: a second use is refused without a word of where the first one is, and
after the same work as any other.
"""

from __future__ import annotations

from typing import Any

from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed, StillInUse
from keystead_enroll.domain.enrollment import (
    Authorization,
    CertificateProfile,
    Department,
    EnrollmentForm,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.enrollment_inputs import AccountInput
from keystead_enroll.domain.enrollment_rules import account_mistakes
from keystead_enroll.domain.lists import ACCOUNTS, DEPARTMENTS, FORMS, ORGANIZATIONS, PROFILES
from keystead_enroll.domain.refusals import AccessCodeInUse
from keystead_enroll.ports import Clock, Secrets, Transaction, Transactions
from keystead_enroll.usecases.admin.access_codes import AccessCodes, choose_code
from keystead_enroll.usecases.admin.common import Once, Target, note, reach
from keystead_enroll.usecases.publish_forms import publish_form
from keystead_kit.secrets import new_id

NAME_TAKEN = Words("Another account of this organization has this name already. Choose another name.")
CODE_MISSING = Words("Give the access code that the account is to ask for.")


def create_account(
    transactions: Transactions,
    clock: Clock,
    codes: AccessCodes,
    actor: Actor,
    wanted: AccountInput,
    once: Once | None = None,
) -> str:
    """Stores an account of a form and answers its id. Raises ThingUnknown, NotAllowed, InputRefused, AccessCodeInUse,
    AccessCodesTriedTooOften."""
    now = clock.now()

    def create(tx: Transaction) -> str:
        form = reach(tx, FORMS, actor, wanted.form_id, Words("enrollment form"))
        stored = _stored(tx, codes.secrets, actor, form, wanted, None)
        fresh = WebFormAccount(id=new_id(), form_id=form.id, **stored, created_at=now)
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        _refuse_taken(tx, fresh, wanted, fresh.access_code_digest)
        if not tx.add_first(fresh):
            _refuse_taken(tx, fresh, wanted, None)
            raise AccessCodeInUse
        note(tx, actor, now, "account.create", _target(form, fresh), _told(wanted))
        publish_form(tx, form)
        return fresh.id

    return choose_code(transactions, codes, actor, now, wanted, create)


def change_account(
    transactions: Transactions, clock: Clock, codes: AccessCodes, actor: Actor, account_id: str, wanted: AccountInput
) -> None:
    """Makes the account as `wanted`. Raises ThingUnknown, NotAllowed, InputRefused, AccessCodeInUse,
    AccessCodesTriedTooOften."""
    now = clock.now()

    def change(tx: Transaction) -> None:
        account = reach(tx, ACCOUNTS, actor, account_id, Words("account"))
        form = tx.form(account.form_id)
        if wanted.form_id != form.id:
            raise InputRefused({"form_id": Words("An account stays in its form.")})
        stored = _stored(tx, codes.secrets, actor, form, wanted, account)
        _refuse_taken(tx, account, wanted, stored["access_code_digest"])
        changed = {name: value for name, value in stored.items() if getattr(account, name) != value}
        if not changed:
            return
        if not tx.set_first(account, changed):
            _refuse_taken(tx, account, wanted, None)
            raise AccessCodeInUse
        told = {name: value for name, value in changed.items() if name != "access_code_digest"}
        if "access_code_digest" in changed:
            told["has_access_code"] = account.access_code_digest is not None
        note(tx, actor, now, "account.change", _target(form, account), told)
        publish_form(tx, form)

    choose_code(transactions, codes, actor, now, wanted, change)


def delete_account(transactions: Transactions, clock: Clock, actor: Actor, account_id: str) -> None:
    """Deletes an account that nobody has used. Raises ThingUnknown, StillInUse."""
    with transactions.write() as tx:
        account = reach(tx, ACCOUNTS, actor, account_id, Words("account"))
        form = tx.form(account.form_id)
        target = _target(form, account)
        if not tx.remove_unused(account):
            raise StillInUse(
                Words("“{name}” has visitors or requests.", name=account.name),
                Words("One that has been used stays: set it inactive."),
            )
        note(tx, actor, clock.now(), "account.delete", target)
        publish_form(tx, form)


def _stored(
    tx: Transaction,
    secrets: Secrets,
    actor: Actor,
    form: EnrollmentForm,
    wanted: AccountInput,
    account: WebFormAccount | None,
) -> dict[str, Any]:
    """What is stored of `wanted`. Raises NotAllowed, InputRefused."""
    before = account.profile_ids if account else []
    profiles = [_profile(tx, actor, profile_id, before) for profile_id in wanted.profile_ids]
    found = [profile for profile in profiles if profile is not None]
    try:
        organization, department = _place(tx, actor, form, wanted)
        mistakes = account_mistakes(
            form, organization, department, found, wanted.authorization, wanted.csr_method, before
        )
    except InputRefused as refusal:
        mistakes = refusal.fields
    if len(found) < len(profiles):
        mistakes["profile_ids"] = Words("There is no such certificate profile.")
    digest = secrets.access_code_digest(wanted.access_code) if wanted.access_code else None
    if wanted.authorization is Authorization.ACCESS_CODE and digest is None:
        digest = account.access_code_digest if account else None
        if digest is None:
            mistakes["access_code"] = CODE_MISSING
    if mistakes:
        raise InputRefused(mistakes)
    return {
        **wanted.model_dump(exclude={"form_id", "access_code", "idp_rules"}),
        "idp_rules": wanted.plain_rules,
        "access_code_digest": digest,
    }


def _place(
    tx: Transaction, actor: Actor, form: EnrollmentForm, wanted: AccountInput
) -> tuple[Organization, Department | None]:
    """The organization and department, if they are the actor's for the form's certificate type."""
    organization = tx.in_reach(ORGANIZATIONS, actor.scope, wanted.organization_id)
    if organization is None:
        raise InputRefused({"organization_id": Words("There is no such organization.")})
    department = None
    if wanted.department_id is not None:
        department = tx.in_reach(DEPARTMENTS, actor.scope, wanted.department_id)
        if department is None:
            raise InputRefused({"department_id": Words("{name} has no such department.", name=organization.name)})
    if not actor.scope.has(organization.id, wanted.department_id, form.certificate_type):
        raise NotAllowed(
            Words("Your role does not cover accounts of this organization, department and certificate type.")
        )
    return organization, department


def _profile(tx: Transaction, actor: Actor, profile_id: str, before: list[str]) -> CertificateProfile | None:
    return tx.profile(profile_id) if profile_id in before else tx.in_reach(PROFILES, actor.scope, profile_id)


def _refuse_taken(tx: Transaction, account: WebFormAccount, wanted: AccountInput, digest: str | None) -> None:
    """Raises InputRefused if another account of the organization has the name in the form, AccessCodeInUse if any has
    the code."""
    named = any(
        (other.name, other.organization_id) == (wanted.name, wanted.organization_id) and other.id != account.id
        for other in tx.accounts(account.form_id)
    )
    holder = tx.account_with_code(digest) if digest else None
    if named:
        raise InputRefused({"name": NAME_TAKEN})
    if holder is not None and holder.id != account.id:
        raise AccessCodeInUse


def _told(wanted: AccountInput) -> dict[str, object]:
    plain = wanted.model_dump(mode="json", exclude={"access_code"})
    return plain | {"has_access_code": wanted.access_code is not None}


def _target(form: EnrollmentForm, account: WebFormAccount) -> Target:
    return Target(
        account.id,
        f"{form.name}, {account.name}",
        account.organization_id,
        account.department_id,
        form.certificate_type,
    )
