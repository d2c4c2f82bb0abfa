"""What is asked about an enrollment form in the console: a new one, a change, and once before something ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import Request

from keystead_contracts.base import CertificateType
from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor, Role
from keystead_enroll.domain.administration_refusals import NotAllowed
from keystead_enroll.domain.enrollment import EnrollmentForm
from keystead_enroll.ports import Transaction
from keystead_enroll.usecases.admin import forms as verbs
from keystead_enroll.web.console.choices import (
    METHODS,
    TYPES,
    delegated_values,
    delegation_fields,
    delegation_of,
    kept,
    options,
)
from keystead_enroll.web.console.form_widgets import ConfirmPage, Fieldset, FormField, FormPage
from keystead_enroll.web.console.navigation import HOME
from keystead_enroll.web.console.resources import Standing, asked_once, change_page, new_page
from keystead_enroll.web.console.tools import Posted
from keystead_enroll.web.console.widgets import Crumb
from keystead_kit.drafts import Draft

BASE = f"{HOME}/forms"
TOP = Crumb(Words("Enrollment forms"), BASE)
SOUND: Mapping[str, object] = {
    "name": "-", "certificate_type": "client", "methods": ["email"], "help_text": "", "help_link": None,
    "organization_ids": [],
}  # fmt: skip
_CHECKS = ("methods", "organization_ids")


def may_create(actor: Actor) -> bool:
    """Whether any form could be theirs to create."""
    return actor.scope.everything or any(grant.role is Role.RAO for grant in actor.scope.grants)


def new_form(tx: Transaction, actor: Actor, draft: Draft, _request: Request) -> FormPage:
    """A new form. Raises NotAllowed."""
    if not may_create(actor):
        raise NotAllowed(Words("Only administrators of whole organizations create forms."))
    usual: dict[str, str | Sequence[str]] = {"certificate_type": "client", "methods": ["email"], "delegation": "listed"}
    return new_page(
        Words("New enrollment form"),
        BASE,
        _fieldsets(tx, actor, None),
        Words("Create the form"),
        kept(draft, usual, _CHECKS),
        draft,
        (TOP,),
    )


def change_form(tx: Transaction, actor: Actor, form: EnrollmentForm, draft: Draft) -> FormPage:
    """A form that is there. Raises NotAllowed."""
    return change_page(
        _managed(actor, form),
        Words("Change the enrollment form"),
        _fieldsets(tx, actor, form),
        kept(draft, _stored(form), _CHECKS),
        draft,
        delete=Words("Delete this form"),
    )


def generate(actor: Actor, form: EnrollmentForm) -> ConfirmPage:
    """Before it gets a new address. Raises NotAllowed."""
    return asked_once(
        _managed(actor, form),
        Words("Generate a new address"),
        Words("The address that people have now leads nowhere from then on."),
        Words("Certificates and requests stay."),
        question=Words("Give “{name}” a new address?", name=form.name),
        path="uri-extension",
    )


def withdraw(actor: Actor, form: EnrollmentForm) -> ConfirmPage:
    """Before its address leads nowhere. Raises NotAllowed."""
    return asked_once(
        _managed(actor, form),
        Words("Withdraw this form"),
        Words("Its address leads nowhere until you offer it again."),
        Words("Certificates stay valid."),
        question=Words("Withdraw “{name}”?", name=form.name),
        path="withdraw",
    )


def delete_form(_tx: Transaction, actor: Actor, form: EnrollmentForm) -> ConfirmPage:
    """Before it is gone. Raises NotAllowed."""
    return asked_once(_managed(actor, form), Words("Delete this form"))


def _managed(actor: Actor, form: EnrollmentForm) -> Standing:
    if not verbs.may_manage(actor, form.organization_ids, form.certificate_type):
        raise NotAllowed(Words("This form is not yours to change."))
    return Standing(f"{BASE}/{form.id}", form.name, (TOP,))


def _fieldsets(tx: Transaction, actor: Actor, form: EnrollmentForm | None) -> tuple[Fieldset, ...]:
    client = form is None or form.certificate_type is CertificateType.CLIENT
    methods = {method: words for method, words in METHODS.items() if client or method is not SignInMethod.SECRET_ID}
    details = [FormField("name", Words("Name"), more={"maxlength": 128, "autocomplete": "off"})]
    if form is None:
        details.append(FormField("certificate_type", Words("Type"), "radios", options=options(TYPES)))
    details += delegation_fields(tx, actor, form.organization_ids if form else ())
    return (
        Fieldset(
            tuple(details),
            Words("Details"),
            Words("The address is generated when you create the form.") if form is None else "",
        ),
        Fieldset(
            (
                FormField(
                    "methods",
                    Words("Authentication types"),
                    "checks",
                    options=options(methods),
                    hint=Words("Secret ID is for client forms only.") if form is None else "",
                ),
                FormField("help_text", Words("Help text"), "textarea", required=False, more={"maxlength": 2048}),
                FormField(
                    "help_link",
                    Words("Help link"),
                    "url",
                    required=False,
                    hint=Words("An address that begins with `https://` or `http://`."),
                ),
            ),
            Words("Configuration"),
        ),
    )


def form_values(posted: Posted, form: EnrollmentForm | None) -> Mapping[str, object]:
    """The input's fields."""
    return {
        "name": posted.text("name"),
        "certificate_type": form.certificate_type.value if form else posted.text("certificate_type"),
        "methods": posted.many("methods"),
        "help_text": posted.text("help_text").replace("\r\n", "\n"),
        "help_link": posted.optional("help_link"),
        "organization_ids": delegation_of(posted),
        "active": form.active if form else True,
    }


def _stored(form: EnrollmentForm) -> dict[str, str | Sequence[str]]:
    return {
        "name": form.name,
        "methods": [method.value for method in form.methods],
        "help_text": form.help_text,
        "help_link": form.help_link or "",
        **delegated_values(form.organization_ids),
    }
