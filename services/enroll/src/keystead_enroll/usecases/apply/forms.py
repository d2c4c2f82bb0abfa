"""Enrollment forms and web form accounts of a declared set-up."""

from __future__ import annotations

import secrets as randomness
from collections import Counter
from collections.abc import Sequence

from keystead_enroll.domain.declaration import AccountDeclaration, Declaration, FormDeclaration
from keystead_enroll.domain.enrollment import CertificateProfile, EnrollmentForm, WebFormAccount
from keystead_enroll.domain.enrollment_rules import account_mistakes, delegates_together, form_mistakes
from keystead_enroll.usecases.apply.work import Change, Work, mentioned, plain_field
from keystead_enroll.usecases.publish_forms import publish_form
from keystead_kit.secrets import new_id

URI_BYTES = 24
CODE_IN_USE = "another account has this access code already; choose another"


def apply_forms(work: Work, declaration: Declaration) -> None:
    """Creates the forms with these names for these organizations, or changes them, and their accounts."""
    declared = Counter(form.name for form in declaration.forms)
    for wanted in declaration.forms:
        _apply_form(work, wanted, alone=declared[wanted.name] == 1)


def _apply_form(work: Work, wanted: FormDeclaration, *, alone: bool) -> None:
    where = f"form “{wanted.name}”"
    delegated = work.delegated(where, wanted)
    meant = _meant([form for form in work.tx.forms() if form.name == wanted.name], delegated, alone=alone)
    if len(meant) > 1:
        work.mistake(wanted.line("name"), f"{where}: several forms have this name; list the organizations of one")
        return
    existing = meant[0] if meant else None
    kept = existing.uri_extension if existing else randomness.token_urlsafe(URI_BYTES)
    fresh = EnrollmentForm(
        id=new_id(),
        name=wanted.name,
        certificate_type=wanted.type,
        uri_extension=wanted.uri_extension or kept,
        methods=wanted.methods,
        help_text=wanted.help_text,
        help_link=wanted.help_link,
        organization_ids=delegated,
        active=wanted.active,
        created_at=work.now,
    )
    if existing is not None and existing.certificate_type != wanted.type:
        work.mistake(wanted.line("type"), f"{where}: its certificate type cannot be changed")
    if existing is not None and existing.uri_extension != fresh.uri_extension:
        publish_form(work.tx, existing, withdrawn=True)
        work.tell(Change.WITHDRAWN, f"address /e/{existing.uri_extension} of form “{wanted.name}”")
    holder = work.tx.form_by_uri(fresh.uri_extension)
    if holder is not None and holder is not existing:
        work.mistake(wanted.line("uri_extension"), f"form “{wanted.name}”: another form has this uri_extension")
    else:
        names = (
            "uri_extension", "methods", "help_text", "help_link", *mentioned(wanted, "active"),
            *(["organization_ids"] if mentioned(wanted, "organizations") else []),
        )  # fmt: skip
        work.put(where, existing, fresh, names)
        work.tx.flush()
    form = existing or fresh
    for account in wanted.accounts:
        _apply_account(work, form, account)
    rest = form_mistakes(
        form.methods, form.organization_ids, work.tx.accounts(form.id), form.certificate_type, wanted.type
    )
    for field_name, sentence in rest.items():
        if field_name != "certificate_type":  # told above
            name = plain_field(field_name)
            work.mistake(wanted.line(name), f"{where}: {name}: {sentence}")
    own = wanted.name if alone or not wanted.organizations else f"{wanted.name} ({', '.join(wanted.organizations)})"
    work.applied.forms[own] = form.uri_extension


def _meant(named: Sequence[EnrollmentForm], delegated: Sequence[str], *, alone: bool) -> list[EnrollmentForm]:
    """Those of the forms with a declared name that the file means: the ones for its organizations. If it declares the
    name once (`alone`), then else the one for all; without organizations, any."""
    fitting = [form for form in named if delegates_together(form.organization_ids, delegated)]
    if not fitting and alone:
        fitting = [form for form in named if not form.organization_ids or not delegated]
    return fitting


def _apply_account(work: Work, form: EnrollmentForm, wanted: AccountDeclaration) -> None:
    where = f"account “{wanted.name}” of form “{form.name}”"
    organization = work.organizations.get(wanted.organization)
    if organization is None:
        work.lacks(wanted.line("organization"), where, "organization", wanted.organization)
    department = work.departments.get((organization.id, wanted.department or "")) if organization else None
    if organization and wanted.department and department is None:
        work.lacks(wanted.line("department"), where, "department", wanted.department)
    place = organization.id if organization else None
    namesakes = (a for a in work.tx.accounts(form.id) if a.name == wanted.name)
    existing = next((a for a in namesakes if a.organization_id == place), None)
    profiles = [p for number, name in enumerate(wanted.profiles) if (p := _usable(work, number, name, wanted, form))]
    if organization is not None:
        before = existing.profile_ids if existing else ()
        fitting = [p for p in profiles if p.certificate_type is form.certificate_type]  # others are told by line
        method = existing.csr_method if existing and not mentioned(wanted, "csr_method") else wanted.csr_method
        rest = account_mistakes(form, organization, department, fitting, wanted.authorization, method, before)
        for field_name, sentence in rest.items():
            name = plain_field(field_name)
            work.mistake(wanted.line(name), f"{where}: {name}: {sentence}")
    digest = work.secrets.access_code_digest(wanted.access_code) if wanted.access_code else None
    holder = work.tx.account_with_code(digest) if digest else None
    if (holder is not None and holder is not existing) or digest in work.codes:
        work.mistake(wanted.line("access_code"), f"{where}: {CODE_IN_USE}")
    if digest:
        work.codes.add(digest)
    if work.mistakes or organization is None:
        return  # nothing will be stored
    fresh = WebFormAccount(
        id=new_id(),
        form_id=form.id,
        name=wanted.name,
        organization_id=organization.id,
        department_id=department.id if department else None,
        profile_ids=[p.id for p in profiles],
        authorization=wanted.authorization,
        access_code_digest=digest,
        automatic_approval=wanted.automatic_approval,
        csr_method=wanted.csr_method,
        idp_rules=wanted.plain_rules,
        active=wanted.active,
        created_at=work.now,
    )
    names = (
        "organization_id", "department_id", "profile_ids", "authorization", "access_code_digest",
        "automatic_approval", "idp_rules", *mentioned(wanted, "csr_method", "active"),
    )  # fmt: skip
    work.put(where, existing, fresh, names)
    work.tx.flush()


def _usable(
    work: Work, number: int, name: str, wanted: AccountDeclaration, form: EnrollmentForm
) -> CertificateProfile | None:
    """The account's profile, if it is there and for the form's certificates."""
    where, line = f"account “{wanted.name}” of form “{form.name}”", wanted.line("profiles", number)
    profile = work.profiles.get(name)
    if profile is None:
        work.lacks(line, where, "profile", name)
    elif profile.certificate_type is not form.certificate_type:
        kinds = f"{profile.certificate_type.value} certificates, the form for {form.certificate_type.value} ones"
        work.mistake(line, f"{where}: profile “{name}” is for {kinds}")
    return profile
