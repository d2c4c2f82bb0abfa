"""Apply a declared set-up: create what is new, change what differs, leave alone what is not mentioned."""

from __future__ import annotations

import secrets as randomness
from collections import Counter
from dataclasses import dataclass, field

from keystead_contracts.events import FormPublished
from keystead_enroll.domain.declaration import (
    AccountDeclaration,
    Declaration,
    FormDeclaration,
    OrganizationDeclaration,
    ProfileDeclaration,
)
from keystead_enroll.domain.enrollment import (
    CertificateProfile,
    Department,
    EnrollmentForm,
    LicenceTerms,
    Organization,
    RegistrationToken,
    WebFormAccount,
)
from keystead_enroll.domain.refusals import DeclarationInvalid
from keystead_enroll.ports import Secrets, Transaction, Transactions
from keystead_kit.secrets import new_id

URI_BYTES = 24
CODE_IN_USE = "this access code is in use already; choose another"


@dataclass
class Applied:
    """What was done: form name → URI extension, and how many things were created, changed or left as they were."""

    forms: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


class _Apply:
    def __init__(self, tx: Transaction, secrets: Secrets) -> None:
        self.tx, self.secrets = tx, secrets
        self.done = Applied()
        self.mistakes: list[str] = []
        self.organizations = {o.name: o for o in tx.organizations()}
        self.profiles = {p.name: p for p in tx.profiles()}
        self.departments = {(d.organization_id, d.name): d for d in tx.departments()}

    def put(self, existing: object | None, fresh: object, names: tuple[str, ...]) -> None:
        """Stores `fresh`, or copies its attributes `names` onto `existing` where they differ."""
        if existing is None:
            self.tx.add(fresh)
            self.done.counts["created"] += 1
            return
        changed = [name for name in names if getattr(existing, name) != getattr(fresh, name)]
        for name in changed:
            setattr(existing, name, getattr(fresh, name))
        self.done.counts["changed" if changed else "unchanged"] += 1

    def organization(self, wanted: OrganizationDeclaration) -> None:
        existing = self.organizations.get(wanted.name)
        fresh = Organization(new_id(), wanted.name, wanted.email_domains, wanted.dns_domains)
        self.put(existing, fresh, ("email_domains", "dns_domains"))
        organization = self.organizations.setdefault(wanted.name, existing or fresh)
        self.tx.flush()
        for name in wanted.departments:
            key = (organization.id, name)
            if key not in self.departments:
                self.departments[key] = Department(new_id(), organization.id, name)
                self.tx.add(self.departments[key])

    def profile(self, wanted: ProfileDeclaration) -> None:
        existing = self.profiles.get(wanted.name)
        if existing is not None and existing.certificate_type != wanted.type and self.tx.profile_in_use(existing.id):
            self.mistakes.append(
                f"profile “{wanted.name}”: its certificate type cannot be changed while accounts or requests use it"
            )
            return
        fresh = CertificateProfile(
            id=new_id(),
            name=wanted.name,
            description=wanted.description,
            certificate_type=wanted.type,
            key_algorithms=wanted.key_algorithms,
            term_days=wanted.term_days,
            subject=wanted.subject,
            subject_alternative_names=wanted.subject_alternative_names,
            minimum_assurance=wanted.minimum_assurance,
            device_name_pattern=wanted.device_name_pattern,
            renewal_window_days=wanted.renewal_window_days,
            policy_oids=wanted.policy_oids,
        )
        names = (
            "description", "certificate_type", "key_algorithms", "term_days", "subject", "subject_alternative_names",
            "minimum_assurance", "device_name_pattern", "renewal_window_days", "policy_oids",
        )  # fmt: skip
        self.put(existing, fresh, names)
        self.profiles.setdefault(wanted.name, existing or fresh)

    def form(self, wanted: FormDeclaration) -> None:
        existing = next((f for f in self.tx.forms() if f.name == wanted.name), None)
        kept = existing.uri_extension if existing else randomness.token_urlsafe(URI_BYTES)
        fresh = EnrollmentForm(
            id=new_id(),
            name=wanted.name,
            certificate_type=wanted.type,
            uri_extension=wanted.uri_extension or kept,
            methods=wanted.methods,
            help_text=wanted.help_text,
            help_link=wanted.help_link,
        )
        if existing is not None and existing.certificate_type != wanted.type:
            self.mistakes.append(f"form “{wanted.name}”: its certificate type cannot be changed")
        if existing is not None and existing.uri_extension != fresh.uri_extension:
            self._publish(existing, withdrawn=True)
        holder = self.tx.form_by_uri(fresh.uri_extension)
        if holder is not None and holder is not existing:
            self.mistakes.append(f"form “{wanted.name}”: another form has this uri_extension")
            return
        names = ("uri_extension", "methods", "help_text", "help_link")
        self.put(existing, fresh, names)
        form = existing or fresh
        self.tx.flush()
        for account in wanted.accounts:
            self.account(form, account)
        self.done.forms[form.name] = form.uri_extension

    def account(self, form: EnrollmentForm, wanted: AccountDeclaration) -> None:
        where = f"account “{wanted.name}” of form “{form.name}”"
        organization = self.organizations.get(wanted.organization)
        if organization is None:
            self.mistakes.append(f"{where}: there is no organization “{wanted.organization}”")
            return
        department = self.departments.get((organization.id, wanted.department or ""))
        if wanted.department and department is None:
            self.mistakes.append(f"{where}: there is no department “{wanted.department}”")
        profiles = [self.profiles[name] for name in wanted.profiles if name in self.profiles]
        self.mistakes += [f"{where}: there is no profile “{n}”" for n in wanted.profiles if n not in self.profiles]
        self.mistakes += [
            f"{where}: profile “{p.name}” is for {p.certificate_type.value} certificates, the form is not"
            for p in profiles
            if p.certificate_type is not form.certificate_type
        ]
        existing = next((a for a in self.tx.accounts(form.id) if a.name == wanted.name), None)
        digest = self.secrets.access_code_digest(wanted.access_code) if wanted.access_code else None
        holder = self.tx.account_with_code(digest) if digest else None
        if holder is not None and holder is not existing:
            self.mistakes.append(f"{where}: {CODE_IN_USE}")
            return
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
        )
        names = (
            "organization_id", "department_id", "profile_ids", "authorization", "access_code_digest",
            "automatic_approval",
        )  # fmt: skip
        self.put(existing, fresh, names)
        self.tx.flush()

    def publish_all(self) -> None:
        """Tells auth every form whose public face changed (also through an organization's domains)."""
        for form in self.tx.forms():
            self._publish(form)

    def _publish(self, form: EnrollmentForm, *, withdrawn: bool = False) -> None:
        organizations = {a.organization_id: self.tx.organization(a.organization_id) for a in self.tx.accounts(form.id)}
        face: dict[str, object] = {
            "form": form.uri_extension,
            "form_id": form.id,
            "name": form.name,
            "organization": ", ".join(sorted(o.name for o in organizations.values())) or "Keystead",
            "certificate_type": form.certificate_type.value,
            "methods": [m.value for m in form.methods],
            "email_domains": sorted({d for o in organizations.values() for d in o.email_domains}),
            "help_text": form.help_text,
            "help_link": form.help_link,
            "withdrawn": withdrawn,
        }
        if form.published == face:
            return
        form.version += 1
        form.published = face
        self.tx.record(FormPublished.model_validate({**face, "version": form.version}), destination="auth")

    def registration_tokens(self, declaration: Declaration) -> None:
        tokens = {t.name: t for t in self.tx.registration_tokens()}
        for wanted in declaration.registration_tokens:
            organization = self.organizations.get(wanted.organization)
            if organization is None:
                self.mistakes.append(
                    f"registration token “{wanted.name}”: there is no organization “{wanted.organization}”"
                )
                continue
            digest = self.secrets.registration_digest(wanted.token)
            owner = wanted.owner.lower() if wanted.owner else None
            holder = self.tx.registration_token(digest)
            if holder is not None and holder is not tokens.get(wanted.name):
                self.mistakes.append(f"registration token “{wanted.name}”: another one has this token; choose another")
                continue
            fresh = RegistrationToken(new_id(), wanted.name, digest, organization.id, owner)
            self.put(tokens.get(wanted.name), fresh, ("digest", "organization_id", "owner"))
            self.tx.flush()

    def licence(self, declaration: Declaration) -> None:
        wanted = declaration.licence
        if wanted is None:
            return
        current = self.tx.licence()
        known = self.tx.licence_version(wanted.version)
        if known is not None and known.text != wanted.text:
            self.mistakes.append(f"licence {wanted.version}: persons accepted another text under this version")
            return
        if current is not None and current.version != wanted.version:
            current.current = False
        self.put(known, LicenceTerms(wanted.version, wanted.text), ("current",))


def apply_declaration(transactions: Transactions, secrets: Secrets, declaration: Declaration) -> Applied:
    """Brings the database to the declaration, all or nothing. Raises DeclarationInvalid with every mistake."""
    with transactions.write() as tx:
        apply = _Apply(tx, secrets)
        for organization in declaration.organizations:
            apply.organization(organization)
        apply.licence(declaration)
        for profile in declaration.profiles:
            apply.profile(profile)
        tx.flush()
        for form in declaration.forms:
            apply.form(form)
        apply.registration_tokens(declaration)
        if apply.mistakes:
            raise DeclarationInvalid(apply.mistakes)
        apply.publish_all()
    return apply.done
