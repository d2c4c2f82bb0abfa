"""Take in what enroll published of a form."""

from __future__ import annotations

from keystead_auth.domain.sign_in import Form
from keystead_auth.ports import Forms
from keystead_contracts.base import CertificateType
from keystead_contracts.events import FormPublished
from keystead_contracts.identity import SignInMethod


def project_form(forms: Forms, fact: FormPublished) -> bool:
    """Stores the form as `fact` says, in the inbox's transaction; False if a newer version is known (facts come in
    any order)."""
    return forms.put(
        Form(
            uri=fact.form,
            version=fact.version,
            name=fact.name,
            organization=fact.organization,
            methods=tuple(method for method in fact.methods if _possible(method, fact.certificate_type)),
            email_domains=tuple(fact.email_domains),
            help_text=fact.help_text,
            help_link=fact.help_link,
            withdrawn=fact.withdrawn,
            organization_ids=tuple(fact.organization_ids),
        )
    )


def _possible(method: SignInMethod, certificate_type: CertificateType) -> bool:
    """A Secret ID is a person's: it opens forms for client certificates alone."""
    return method is not SignInMethod.SECRET_ID or certificate_type is CertificateType.CLIENT
