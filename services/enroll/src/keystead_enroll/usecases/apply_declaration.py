"""Apply a declared set-up: create what is new, change what differs, leave alone what is not mentioned."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

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
from keystead_enroll.domain.refusals import DeclarationInvalid, Mistake
from keystead_enroll.ports import Secrets, Transaction, Transactions
from keystead_enroll.usecases.apply_people import apply_administrator, apply_identity_provider
from keystead_enroll.usecases.publish_forms import publish_form, publish_forms
from keystead_kit.secrets import new_id

URI_BYTES = 24
CODE_IN_USE = "another account has this access code already; choose another"

_PLAIN_FIELDS = {
    "organization_id": "organization",
    "department_id": "department",
    "profile_ids": "profiles",
    "access_code_digest": "access_code",
    "digest": "token",
    "organization_ids": "organizations",
}
"""As a set-up file names what is stored otherwise."""


class Change(StrEnum):
    """What was done to a thing."""

    CREATED = "created"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Done:
    """One thing of the set-up, such as `profile “Staff”`, and what was done to it. `fields` were changed."""

    change: Change
    thing: str
    fields: tuple[str, ...] = ()


@dataclass
class Applied:
    """What was done, and form name → URI extension of the declared forms."""

    forms: dict[str, str] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many things were created, changed, withdrawn or left as they were."""
        return {change.value: sum(done.change is change for done in self.done) for change in Change}


class _Apply:
    def __init__(self, tx: Transaction, secrets: Secrets, left_out: Collection[tuple[str, str]]) -> None:
        self.tx, self.secrets, self.left_out = tx, secrets, left_out
        self.applied = Applied()
        self.mistakes: list[Mistake] = []
        self.organizations = {o.name: o for o in tx.organizations()}
        self.profiles = {p.name: p for p in tx.profiles()}
        self.departments = {(d.organization_id, d.name): d for d in tx.departments()}
        self.codes: set[str] = set()

    def put(self, thing: str, existing: object | None, fresh: object, names: tuple[str, ...]) -> tuple[str, ...]:
        """Stores `fresh`, or copies its attributes `names` onto `existing` where they differ; answers which did."""
        if existing is None:
            self.tx.add(fresh)
            self.tell(Change.CREATED, thing)
            return ()
        changed = tuple(name for name in names if getattr(existing, name) != getattr(fresh, name))
        for name in changed:
            setattr(existing, name, getattr(fresh, name))
        self.tell(Change.CHANGED if changed else Change.UNCHANGED, thing, changed)
        return changed

    def tell(self, change: Change, thing: str, fields: tuple[str, ...] = ()) -> None:
        """Notes what was done."""
        self.applied.done.append(Done(change, thing, tuple(_PLAIN_FIELDS.get(name, name) for name in fields)))

    def mistake(self, line: int | None, text: str) -> None:
        """Notes what is wrong: then nothing of the file is applied."""
        self.mistakes.append(Mistake(line, text))

    def lacks(self, line: int | None, where: str, kind: str, name: str) -> None:
        """Notes that something is not there, unless it is declared and its own mistakes are told."""
        if (kind, name) not in self.left_out:
            self.mistake(line, f"{where}: there is no {kind} “{name}”")

    def organization(self, wanted: OrganizationDeclaration) -> None:
        existing = self.organizations.get(wanted.name)
        fresh = Organization(new_id(), wanted.name, wanted.email_domains, wanted.dns_domains)
        self.put(f"organization “{wanted.name}”", existing, fresh, ("email_domains", "dns_domains"))
        organization = self.organizations.setdefault(wanted.name, existing or fresh)
        self.tx.flush()
        for name in wanted.departments:
            key = (organization.id, name)
            if key not in self.departments:
                self.departments[key] = Department(new_id(), organization.id, name)
                self.tx.add(self.departments[key])
                self.tell(Change.CREATED, f"department “{name}” of organization “{organization.name}”")

    def profile(self, wanted: ProfileDeclaration) -> None:
        existing = self.profiles.get(wanted.name)
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
            "description", "key_algorithms", "term_days", "subject", "subject_alternative_names",
            "minimum_assurance", "device_name_pattern", "renewal_window_days", "policy_oids",
        )  # fmt: skip
        if existing is not None and existing.certificate_type is not wanted.type:
            self.mistake(wanted.line("type"), f"profile “{wanted.name}”: its certificate type cannot be changed")
        self.put(f"profile “{wanted.name}”", existing, fresh, names)
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
            self.mistake(wanted.line("type"), f"form “{wanted.name}”: its certificate type cannot be changed")
        if existing is not None and existing.uri_extension != fresh.uri_extension:
            publish_form(self.tx, existing, withdrawn=True)
            self.tell(Change.WITHDRAWN, f"address /e/{existing.uri_extension} of form “{wanted.name}”")
        holder = self.tx.form_by_uri(fresh.uri_extension)
        if holder is not None and holder is not existing:
            self.mistake(wanted.line("uri_extension"), f"form “{wanted.name}”: another form has this uri_extension")
        else:
            names = ("uri_extension", "methods", "help_text", "help_link")
            self.put(f"form “{wanted.name}”", existing, fresh, names)
            self.tx.flush()
        form = existing or fresh
        for account in wanted.accounts:
            self.account(form, account)
        self.applied.forms[form.name] = form.uri_extension

    def account(self, form: EnrollmentForm, wanted: AccountDeclaration) -> None:
        where = f"account “{wanted.name}” of form “{form.name}”"
        organization = self.organizations.get(wanted.organization)
        if organization is None:
            self.lacks(wanted.line("organization"), where, "organization", wanted.organization)
        department = self.departments.get((organization.id, wanted.department or "")) if organization else None
        if organization and wanted.department and department is None:
            self.lacks(wanted.line("department"), where, "department", wanted.department)
        profiles = [p for number, name in enumerate(wanted.profiles) if (p := self.usable(number, name, wanted, form))]
        existing = next((a for a in self.tx.accounts(form.id) if a.name == wanted.name), None)
        digest = self.secrets.access_code_digest(wanted.access_code) if wanted.access_code else None
        holder = self.tx.account_with_code(digest) if digest else None
        if (holder is not None and holder is not existing) or digest in self.codes:
            self.mistake(wanted.line("access_code"), f"{where}: {CODE_IN_USE}")
        if digest:
            self.codes.add(digest)
        if self.mistakes or organization is None:
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
        )
        names = (
            "organization_id", "department_id", "profile_ids", "authorization", "access_code_digest",
            "automatic_approval",
        )  # fmt: skip
        self.put(where, existing, fresh, names)
        self.tx.flush()

    def usable(
        self, number: int, name: str, wanted: AccountDeclaration, form: EnrollmentForm
    ) -> CertificateProfile | None:
        """The account's profile, if it is there and for the form's certificates."""
        where, line = f"account “{wanted.name}” of form “{form.name}”", wanted.line("profiles", number)
        profile = self.profiles.get(name)
        if profile is None:
            self.lacks(line, where, "profile", name)
        elif profile.certificate_type is not form.certificate_type:
            kinds = f"{profile.certificate_type.value} certificates, the form for {form.certificate_type.value} ones"
            self.mistake(line, f"{where}: profile “{name}” is for {kinds}")
        return profile

    def registration_tokens(self, declaration: Declaration) -> None:
        tokens = {t.name: t for t in self.tx.registration_tokens()}
        for wanted in declaration.registration_tokens:
            where = f"registration token “{wanted.name}”"
            organization = self.organizations.get(wanted.organization)
            if organization is None:
                self.lacks(wanted.line("organization"), where, "organization", wanted.organization)
            digest = self.secrets.registration_digest(wanted.token)
            owner = wanted.owner.lower() if wanted.owner else None
            holder = self.tx.registration_token(digest)
            if holder is not None and holder is not tokens.get(wanted.name):
                self.mistake(wanted.line("token"), f"{where}: another one has this token already; choose another")
            if self.mistakes or organization is None:
                continue  # nothing will be stored
            fresh = RegistrationToken(new_id(), wanted.name, digest, organization.id, owner)
            self.put(where, tokens.get(wanted.name), fresh, ("digest", "organization_id", "owner"))
            self.tx.flush()

    def licence(self, declaration: Declaration) -> None:
        wanted = declaration.licence
        if wanted is None:
            return
        current = self.tx.licence()
        known = self.tx.licence_version(wanted.version)
        if known is not None and known.text != wanted.text:
            self.mistake(
                wanted.line("text"),
                f"licence “{wanted.version}”: persons accepted another text under this version; give it a new one",
            )
            return
        if current is not None and current.version != wanted.version:
            current.current = False
            self.tell(Change.WITHDRAWN, f"licence “{current.version}”")
        self.put(f"licence “{wanted.version}”", known, LicenceTerms(wanted.version, wanted.text), ("current",))


def apply_declaration(
    transactions: Transactions,
    secrets: Secrets,
    declaration: Declaration,
    *,
    mistakes: Collection[Mistake] = (),
    left_out: Collection[tuple[str, str]] = (),
    check: bool = False,
) -> Applied:
    """Brings the database to the declaration, all or nothing; with `check` only says what would be done.

    Raises DeclarationInvalid with every mistake. `mistakes` were found when the file was read, `left_out` are
    (kind, name) of what it declares and `declaration` has not for them.
    """
    with transactions.write() as tx:
        apply = _Apply(tx, secrets, left_out)
        apply.mistakes += [*mistakes, *declaration.repeated_names()]
        for organization in declaration.organizations:
            apply.organization(organization)
        apply.licence(declaration)
        for profile in declaration.profiles:
            apply.profile(profile)
        tx.flush()
        for form in declaration.forms:
            apply.form(form)
        apply.registration_tokens(declaration)
        for administrator in declaration.administrators:
            apply_administrator(apply, administrator)
        for provider in declaration.identity_providers:
            apply_identity_provider(apply, provider)
        if apply.mistakes:
            raise DeclarationInvalid(apply.mistakes)
        publish_forms(tx)
        if check:
            tx.undo()
    return apply.applied
