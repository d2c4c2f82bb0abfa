"""Enrollment forms: create, change, give a new address, delete.

A master manages all of them; an officer those that are delegated to organizations that are wholly theirs, and to no
others, for a certificate type that they have.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Collection

from keystead_contracts.base import CertificateType
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, Role
from keystead_enroll.domain.administration_refusals import InputRefused, NotAllowed, StillInUse
from keystead_enroll.domain.enrollment import EnrollmentForm
from keystead_enroll.domain.enrollment_inputs import FormInput
from keystead_enroll.domain.enrollment_rules import form_mistakes
from keystead_enroll.domain.lists import FORMS
from keystead_enroll.ports import Clock, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Once, Target, note, reach
from keystead_enroll.usecases.admin.profiles import refuse_unknown_organizations
from keystead_enroll.usecases.publish_forms import publish_form
from keystead_kit.secrets import new_id

URI_BYTES = 24
NAME_TAKEN = Words("Another form for the same organizations has this name already. Choose another name.")


def new_uri_extension() -> str:
    """The end of a form's address: 192 random bits, 32 URL-safe characters."""
    return randomness.token_urlsafe(URI_BYTES)


def create_form(
    transactions: Transactions, clock: Clock, actor: Actor, wanted: FormInput, once: Once | None = None
) -> str:
    """Stores a form with a fresh address and answers its id. Raises NotAllowed, InputRefused."""
    _manages(actor, wanted.organization_ids, wanted.certificate_type)
    now = clock.now()
    fresh = EnrollmentForm(new_id(), uri_extension=new_uri_extension(), **wanted.model_dump(), created_at=now)
    with transactions.write() as tx:
        earlier = tx.earlier(actor.id, once.key, once.request_digest, fresh.id, now) if once else None
        if earlier:
            return earlier
        refuse_unknown_organizations(tx, wanted.organization_ids)
        if not tx.add_first(fresh):
            raise InputRefused({"name": NAME_TAKEN})
        note(tx, actor, now, "form.create", _target(fresh), wanted.model_dump(mode="json"))
        publish_form(tx, fresh)
    return fresh.id


def change_form(transactions: Transactions, clock: Clock, actor: Actor, form_id: str, wanted: FormInput) -> None:
    """Makes the form as `wanted`. Raises ThingUnknown, NotAllowed, InputRefused."""
    with transactions.write() as tx:
        form = _managed(tx, actor, form_id)
        _manages(actor, wanted.organization_ids, wanted.certificate_type)
        mistakes = form_mistakes(
            wanted.methods,
            wanted.organization_ids,
            tx.accounts(form.id),
            wanted.certificate_type,
            form.certificate_type,
        )
        if tx.form_called(wanted.name, wanted.organization_ids, but=form.id):
            mistakes["name"] = NAME_TAKEN
        if mistakes:
            raise InputRefused(mistakes)
        refuse_unknown_organizations(tx, wanted.organization_ids, form.organization_ids)
        changed = {name: value for name, value in wanted.model_dump().items() if getattr(form, name) != value}
        if changed:
            if not tx.set_first(form, changed):
                raise InputRefused({"name": NAME_TAKEN})
            note(tx, actor, clock.now(), "form.change", _target(form), changed)
            publish_form(tx, form)


def generate_uri_extension(transactions: Transactions, clock: Clock, actor: Actor, form_id: str) -> str:
    """Gives the form a new address, which is answered; the old one leads nowhere any more. Raises ThingUnknown,
    NotAllowed."""
    with transactions.write() as tx:
        form = _managed(tx, actor, form_id)
        publish_form(tx, form, withdrawn=True)
        form.uri_extension = new_uri_extension()
        tx.flush()
        note(tx, actor, clock.now(), "form.generate", _target(form))  # whoever reads the log need not have the address
        publish_form(tx, form)
        return form.uri_extension


def delete_form(transactions: Transactions, clock: Clock, actor: Actor, form_id: str) -> None:
    """Deletes a form that has no accounts, requests or certificates. Raises ThingUnknown, NotAllowed, StillInUse."""
    with transactions.write() as tx:
        form = _managed(tx, actor, form_id)
        publish_form(tx, form, withdrawn=True)
        heir = next((other for other in tx.forms() if other is not form), None)
        if heir is None:
            raise StillInUse(
                Words("“{name}” is the only form there is.", name=form.name), Words("Set it inactive instead.")
            )
        heir.version = max(heir.version, form.version)  # the count of all forms goes on from there
        tx.flush()
        if not tx.remove_unused(form):
            raise StillInUse(
                Words("“{name}” still has accounts, visitors, requests or certificates.", name=form.name),
                Words("Delete its accounts first. One that has been used stays: set it inactive."),
            )
        note(tx, actor, clock.now(), "form.delete", _target(form))


def may_manage(actor: Actor, organization_ids: Collection[str], certificate_type: CertificateType) -> bool:
    """Whether a form of this type and delegation is the actor's to create, change and delete."""
    if actor.scope.everything:
        return True
    ruled = {
        grant.organization_id
        for grant in actor.scope.grants
        if grant.role is Role.RAO and certificate_type in grant.certificate_types
    }
    return bool(organization_ids) and ruled.issuperset(organization_ids)


def _manages(actor: Actor, organization_ids: Collection[str], certificate_type: CertificateType) -> None:
    if not may_manage(actor, organization_ids, certificate_type):
        raise NotAllowed(
            Words(
                "Only a master administrator manages forms that are not delegated to organizations of yours alone, or "
                "are for a certificate type that you do not have."
            ),
            Words("Delegate the form to your own organizations, or ask a master administrator."),
        )


def _managed(tx: Transaction, actor: Actor, form_id: str) -> EnrollmentForm:
    """The form, if it is the actor's to manage. Raises ThingUnknown, NotAllowed."""
    form = reach(tx, FORMS, actor, form_id, Words("enrollment form"))
    _manages(actor, form.organization_ids, form.certificate_type)
    return form


def _target(form: EnrollmentForm) -> Target:
    only = form.organization_ids[0] if len(form.organization_ids) == 1 else None
    return Target(form.id, form.name, only, certificate_type=form.certificate_type)
