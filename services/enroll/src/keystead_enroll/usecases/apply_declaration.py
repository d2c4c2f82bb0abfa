"""Apply a declared set-up: create what is new, change what differs, leave alone what is not mentioned."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from keystead_enroll.domain.administration import Actor, local_actor
from keystead_enroll.domain.declaration import (
    AccountDeclaration,
    Declaration,
    DepartmentDeclaration,
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
from keystead_enroll.domain.enrollment_rules import account_mistakes, domains_outside, form_mistakes
from keystead_enroll.domain.refusals import DeclarationInvalid, Mistake
from keystead_enroll.domain.sample_certificate import sample_mistakes
from keystead_enroll.ports import Clock, Linter, Secrets, Transaction, Transactions
from keystead_enroll.usecases.admin.common import Target, note
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


APPLY = local_actor("keystead apply")
SET_UP = Target("set-up", "set-up file")


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
    def __init__(self, tx: Transaction, secrets: Secrets, left_out: Collection[tuple[str, str]], now: datetime) -> None:
        self.tx, self.secrets, self.left_out, self.now = tx, secrets, left_out, now
        self.applied = Applied()
        self.mistakes: list[Mistake] = []
        self.organizations = {o.name: o for o in tx.organizations()}
        self.profiles = {p.name: p for p in tx.profiles()}
        self.departments = {(d.organization_id, d.name): d for d in tx.departments()}
        self.codes: set[str] = set()
        self.homes: set[str] = set()

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
        where = f"organization “{wanted.name}”"
        existing = self.organizations.get(wanted.name)
        fresh = Organization(
            new_id(), wanted.name, wanted.email_domains, wanted.dns_domains, wanted.home_organization,
            created_at=self.now,
        )  # fmt: skip
        names = ("email_domains", "dns_domains", *_mentioned(wanted, "home_organization"))
        self.home(where, wanted, existing)
        self.put(where, existing, fresh, names)
        organization = self.organizations.setdefault(wanted.name, existing or fresh)
        self.tx.flush()
        for department in wanted.departments:
            self.department(organization, department)

    def department(self, organization: Organization, wanted: DepartmentDeclaration) -> None:
        where = f"department “{wanted.name}” of organization “{organization.name}”"
        key = (organization.id, wanted.name)
        existing = self.departments.get(key)
        fresh = Department(
            new_id(), organization.id, wanted.name, wanted.email_domains, wanted.dns_domains,
            wanted.home_organization, self.now,
        )  # fmt: skip
        for name, sentence in domains_outside(organization, wanted.email_domains, wanted.dns_domains).items():
            self.mistake(wanted.line(name), f"{where}: {name}: {sentence}")
        self.home(where, wanted, existing)
        names = _mentioned(wanted, "email_domains", "dns_domains", "home_organization")
        if existing is None or names:
            self.put(where, existing, fresh, names)
        self.departments.setdefault(key, existing or fresh)

    def home(
        self,
        where: str,
        wanted: OrganizationDeclaration | DepartmentDeclaration,
        existing: Organization | Department | None,
    ) -> None:
        """What identity providers send belongs to one place."""
        value = wanted.home_organization
        if value and (value in self.homes or any(place is not existing for place in self.tx.homes([value]))):
            self.mistake(wanted.line("home_organization"), f"{where}: another one has this home_organization already")
        elif value:
            self.homes.add(value)

    def delegated(self, where: str, wanted: ProfileDeclaration | FormDeclaration) -> list[str]:
        """The ids of the organizations that a profile or form is delegated to."""
        for number, name in enumerate(wanted.organizations):
            if name not in self.organizations:
                self.lacks(wanted.line("organizations", number), where, "organization", name)
        return [self.organizations[name].id for name in wanted.organizations if name in self.organizations]

    def profile(self, wanted: ProfileDeclaration) -> None:
        where = f"profile “{wanted.name}”"
        existing = self.profiles.get(wanted.name)
        fresh = profile_of(wanted, self.delegated(where, wanted), self.now)
        if existing is not None and existing.certificate_type is not wanted.type:
            self.mistake(wanted.line("type"), f"{where}: its certificate type cannot be changed")
        names = (
            "description", "key_algorithms", "term_days", "subject", "subject_alternative_names",
            "minimum_assurance", "device_name_pattern", "renewal_window_days", "policy_oids",
            *_mentioned(wanted, "extended_key_usages", "idp_groups", "notice_days", "connector", "active"),
            *(["organization_ids"] if _mentioned(wanted, "organizations") else []),
        )  # fmt: skip
        self.put(where, existing, fresh, names)
        self.profiles.setdefault(wanted.name, existing or fresh)

    def form(self, wanted: FormDeclaration) -> None:
        where = f"form “{wanted.name}”"
        existing = next((f for f in self.tx.forms() if f.name == wanted.name), None)
        kept = existing.uri_extension if existing else randomness.token_urlsafe(URI_BYTES)
        delegated = self.delegated(where, wanted)
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
            created_at=self.now,
        )
        if existing is not None and existing.certificate_type != wanted.type:
            self.mistake(wanted.line("type"), f"{where}: its certificate type cannot be changed")
        if existing is not None and existing.uri_extension != fresh.uri_extension:
            publish_form(self.tx, existing, withdrawn=True)
            self.tell(Change.WITHDRAWN, f"address /e/{existing.uri_extension} of form “{wanted.name}”")
        holder = self.tx.form_by_uri(fresh.uri_extension)
        if holder is not None and holder is not existing:
            self.mistake(wanted.line("uri_extension"), f"form “{wanted.name}”: another form has this uri_extension")
        else:
            names = (
                "uri_extension", "methods", "help_text", "help_link", *_mentioned(wanted, "active"),
                *(["organization_ids"] if _mentioned(wanted, "organizations") else []),
            )  # fmt: skip
            self.put(where, existing, fresh, names)
            self.tx.flush()
        form = existing or fresh
        for account in wanted.accounts:
            self.account(form, account)
        rest = form_mistakes(
            form.methods, form.organization_ids, self.tx.accounts(form.id), form.certificate_type, wanted.type
        )
        for field_name, sentence in rest.items():
            if field_name != "certificate_type":  # told above
                name = _PLAIN_FIELDS.get(field_name, field_name)
                self.mistake(wanted.line(name), f"{where}: {name}: {sentence}")
        self.applied.forms[form.name] = form.uri_extension

    def account(self, form: EnrollmentForm, wanted: AccountDeclaration) -> None:
        where = f"account “{wanted.name}” of form “{form.name}”"
        organization = self.organizations.get(wanted.organization)
        if organization is None:
            self.lacks(wanted.line("organization"), where, "organization", wanted.organization)
        department = self.departments.get((organization.id, wanted.department or "")) if organization else None
        if organization and wanted.department and department is None:
            self.lacks(wanted.line("department"), where, "department", wanted.department)
        existing = next((a for a in self.tx.accounts(form.id) if a.name == wanted.name), None)
        profiles = [p for number, name in enumerate(wanted.profiles) if (p := self.usable(number, name, wanted, form))]
        if organization is not None:
            before = existing.profile_ids if existing else ()
            fitting = [p for p in profiles if p.certificate_type is form.certificate_type]  # others are told by line
            rest = account_mistakes(form, organization, department, fitting, wanted.authorization, before)
            for field_name, sentence in rest.items():
                name = _PLAIN_FIELDS.get(field_name, field_name)
                self.mistake(wanted.line(name), f"{where}: {name}: {sentence}")
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
            csr_method=wanted.csr_method,
            idp_rules=wanted.plain_rules,
            active=wanted.active,
            created_at=self.now,
        )
        names = (
            "organization_id", "department_id", "profile_ids", "authorization", "access_code_digest",
            "automatic_approval", "idp_rules", *_mentioned(wanted, "csr_method", "active"),
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
            self.tx.flush()  # before another one is
            self.tell(Change.WITHDRAWN, f"licence “{current.version}”")
        fresh = LicenceTerms(wanted.version, wanted.text, published_at=self.now)
        self.put(f"licence “{wanted.version}”", known, fresh, ("current",))


def profile_of(wanted: ProfileDeclaration, organization_ids: list[str], now: datetime | None) -> CertificateProfile:
    """The profile that is declared."""
    said = wanted.model_dump(exclude={"type", "organizations"})
    return CertificateProfile(
        new_id(), certificate_type=wanted.type, organization_ids=organization_ids, created_at=now, **said
    )


def _mentioned(wanted: BaseModel, *names: str) -> tuple[str, ...]:
    """Those of `names` that the file gives; the others stay as they are."""
    return tuple(name for name in names if name in wanted.model_fields_set)


def _sample_mistakes(declaration: Declaration, linter: Linter, now: datetime) -> Iterator[Mistake]:
    for wanted in declaration.profiles:
        profile = profile_of(wanted, [], None)
        for name, sentence in sample_mistakes(profile, linter.lint, now, randomness.token_bytes).items():
            blamed = f"{name}: " if name in type(wanted).model_fields else ""
            yield Mistake(wanted.line(name), f"profile “{wanted.name}”: {blamed}{sentence}")


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
    bad_samples = list(_sample_mistakes(declaration, linter, now))
    with transactions.write() as tx:
        apply = _Apply(tx, secrets, left_out, now)
        apply.mistakes += [*mistakes, *declaration.repeated_names(), *bad_samples]
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
        changes = {
            change.value: [done.thing for done in apply.applied.done if done.change is change]
            for change in (Change.CREATED, Change.CHANGED, Change.WITHDRAWN)
        }
        if any(changes.values()):
            note(
                tx, actor, now, "set-up.apply", SET_UP, {change: things for change, things in changes.items() if things}
            )
        if check:
            tx.undo()
    return apply.applied
