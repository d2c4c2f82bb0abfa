"""Tell auth what it has to know of the enrollment forms."""

from __future__ import annotations

from keystead_contracts.events import FormPublished
from keystead_enroll.domain.enrollment import Authorization, EnrollmentForm, WebFormAccount
from keystead_enroll.ports import Transaction


def publish_forms(tx: Transaction) -> None:
    """Tells every form whose public face has changed, also through an organization's domains."""
    for form in tx.forms():
        publish_form(tx, form)


def publish_form(tx: Transaction, form: EnrollmentForm, *, withdrawn: bool = False) -> None:
    """Tells the form as it is now, if that is news; with `withdrawn` that its address leads nowhere any more."""
    accounts = [account for account in tx.accounts(form.id) if account.active]
    organizations = {account.organization_id: tx.organization(account.organization_id) for account in accounts}
    domains = {
        domain
        for account in accounts
        if account.authorization is not Authorization.IDP_MAPPING
        for domain in _domains(tx, account)
    }
    face: dict[str, object] = {
        "form": form.uri_extension,
        "name": form.name,
        "organization": ", ".join(sorted(o.name for o in organizations.values())) or "Keystead",
        "certificate_type": form.certificate_type.value,
        "methods": [method.value for method in form.methods],
        "email_domains": sorted(domains),
        "help_text": form.help_text,
        "help_link": form.help_link,
        "withdrawn": withdrawn or not form.active,
        "organization_ids": sorted(organizations),
    }
    if form.published == face:
        return
    # one count for all forms: an address that goes from one form to another must rise too
    form.version = max(other.version for other in tx.forms()) + 1
    form.published = face
    tx.record(FormPublished.model_validate({**face, "version": form.version}), destination="auth")


def _domains(tx: Transaction, account: WebFormAccount) -> list[str]:
    """Whose addresses the account is for: those of its department's domains, or else of its organization's."""
    narrower = tx.department(account.department_id).email_domains if account.department_id else []
    return narrower or tx.organization(account.organization_id).email_domains
