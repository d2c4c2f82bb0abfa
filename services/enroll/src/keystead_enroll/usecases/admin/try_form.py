"""Try an enrollment form: what somebody would meet there, by the same decisions as when they come. Nothing is written.

Accounts and persons that the actor does not see are left out of the decision, and told as a number.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from keystead_contracts.identity import SignInMethod
from keystead_contracts.refusals import Refusal
from keystead_contracts.words import Words
from keystead_enroll.domain.administration import Actor
from keystead_enroll.domain.administration_refusals import InputRefused
from keystead_enroll.domain.eligibility import OpenWay, Visitor, Way, open_ways
from keystead_enroll.domain.enrollment import CertificateProfile, EnrollmentForm, WebFormAccount
from keystead_enroll.domain.enrollment_inputs import TrialInput
from keystead_enroll.domain.identity_providers import IdentityProvider
from keystead_enroll.domain.lists import ACCOUNTS, FORMS, PERSONS
from keystead_enroll.domain.names import CertificateNames
from keystead_enroll.domain.refusals import FormsTriedTooOften, NoAccount
from keystead_enroll.domain.sample_certificate import mistakes_with
from keystead_enroll.domain.visits import PortalSession
from keystead_enroll.ports import Clock, Linter, RateLimits, Transaction, Transactions
from keystead_enroll.usecases.admin.common import administrator_of, reach
from keystead_enroll.usecases.submit_request import RequestAnswers, names_for
from keystead_enroll.usecases.visit import Visit, visitor_of, way_of

MOST_LINTED = 20
"""Sample certificates of one trial; profiles beyond are shown without."""
WITHDRAWN = Words("It is withdrawn.")


@dataclass(frozen=True)
class TrialRules:
    """What a trial needs to know besides: the linter, how many requests under way one may have, and how often an
    administrator may try forms, with whichever token."""

    linter: Linter
    limits: RateLimits
    most_open: int
    most_often: str = "60/10 minutes"


@dataclass(frozen=True)
class TriedProfile:
    """A certificate profile that would be offered: the certificate's names, or what is wrong with the request, and what
    the linter has against a sample."""

    profile: CertificateProfile
    names: CertificateNames | None
    mistakes: dict[str, str]
    linted: bool = False

    @property
    def alternative_names(self) -> tuple[str, ...]:
        """Each with its kind in front, as a profile writes them."""
        names = self.names
        if names is None:
            return ()
        kinds = (
            ("email", names.emails),
            ("upn", (names.upn,) if names.upn else ()),
            ("dns", names.dns_names),
            ("uri", names.uris),
        )
        return tuple(f"{kind}:{value}" for kind, values in kinds for value in values)


@dataclass(frozen=True)
class TriedAccount:
    """An account of the form. `closed`: why it is not open to them, "" if it is; `full`: whether they have as many
    requests under way with it as one may."""

    account: WebFormAccount
    place: str
    closed: str = ""
    full: bool = False
    profiles: tuple[TriedProfile, ...] = ()


@dataclass(frozen=True)
class Trial:
    """What somebody would meet. `refusal`: what the form tells one to whom nothing is open. `providers` are those that
    people of this form can sign in through; `unseen` is the number of accounts that are not the actor's to see."""

    form: EnrollmentForm
    refusal: Refusal | None
    accounts: tuple[TriedAccount, ...]
    providers: tuple[str, ...]
    unseen: int
    licence: str | None


def providers_of(tx: Transaction, form: EnrollmentForm) -> list[IdentityProvider]:
    """Those through which people of this form can sign in: people of its accounts, without any those whom it is
    delegated to."""
    if SignInMethod.IDP not in form.methods:
        return []
    whose = {account.organization_id for account in tx.accounts(form.id) if account.active} or form.organization_ids
    return [provider for provider in tx.identity_providers() if provider.signs_in_for(whose)]


def try_form(
    transactions: Transactions,
    clock: Clock,
    rules: TrialRules,
    actor: Actor,
    form_id: str,
    wanted: TrialInput,
) -> Trial:
    """What `wanted` would meet at the form. Raises ThingUnknown, InputRefused, FormsTriedTooOften."""
    with transactions.read() as tx:
        form = reach(tx, FORMS, actor, form_id, Words("enrollment form"))
        retry_after = rules.limits.hit(rules.most_often, "form-trial", administrator_of(tx, actor))
        if retry_after is not None:
            raise FormsTriedTooOften(retry_after)
        providers = providers_of(tx, form)
        session = _session(clock, form, wanted, providers)
        everybody = tx.accounts(form.id)
        accounts = [each for each in everybody if tx.in_reach(ACCOUNTS, actor.scope, each.id) is not None]
        ways = [way_of(tx, account) for account in accounts]
        visitor = _visitor(tx, actor, session)
        opened, refusal = _opened(visitor, form, ways)
        tried = [
            _account(tx, way, visitor, form, session, opened.get(way.account.id), wanted, rules.most_open)
            for way in ways
        ]
        licence = tx.licence()
        trial = Trial(
            form,
            refusal,
            tuple(tried),
            tuple(provider.name for provider in providers),
            len(everybody) - len(accounts),
            licence.version if licence else None,
        )
    return replace(trial, accounts=_linted(trial.accounts, rules.linter, clock))


def _session(
    clock: Clock, form: EnrollmentForm, wanted: TrialInput, providers: Sequence[IdentityProvider]
) -> PortalSession:
    """The visit that signing in would begin; it is not stored. Raises InputRefused."""
    if wanted.method not in form.methods:
        raise InputRefused({"method": Words("The form does not let people sign in that way.")})
    by_provider = wanted.method is SignInMethod.IDP
    provider = next((each for each in providers if each.id == wanted.identity_provider_id), None)
    if provider is None and (by_provider or wanted.identity_provider_id):
        told = Words("Choose one of these.") if providers else Words("No identity provider is set up for this form.")
        raise InputRefused({"identity_provider_id": told})
    now = clock.now()
    return PortalSession(
        digest="",
        form_id=form.id,
        email=wanted.email,
        name=wanted.name,
        method=wanted.method.value,
        created_at=now,
        expires_at=now + timedelta(hours=1),
        identity_provider=provider.id if by_provider and provider else None,
        identity_provider_organizations=provider.organization_ids if by_provider and provider else [],
        attributes=wanted.attributes if by_provider else {},
    )


def _visitor(tx: Transaction, actor: Actor, session: PortalSession) -> Visitor:
    """Who that would be, among the persons that the actor sees; with a Secret ID, those who have one."""
    by_secret = session.method == SignInMethod.SECRET_ID
    known = [
        person
        for person in tx.persons_by_email(session.email)
        if tx.in_reach(PERSONS, actor.scope, person.id) is not None and (person.secret_id_hash or not by_secret)
    ]
    session.persons = [person.id for person in known] if by_secret else []
    return replace(visitor_of(tx, session), persons=known)


def _opened(visitor: Visitor, form: EnrollmentForm, ways: Sequence[Way]) -> tuple[dict[str, OpenWay], NoAccount | None]:
    try:
        return {way.account.id: way for way in open_ways(visitor, form.certificate_type, ways)}, None
    except NoAccount as refusal:
        return {}, refusal


def _account(
    tx: Transaction,
    way: Way,
    visitor: Visitor,
    form: EnrollmentForm,
    session: PortalSession,
    opened: OpenWay | None,
    wanted: TrialInput,
    most_open: int,
) -> TriedAccount:
    place = f"{way.organization.name}, {way.department.name}" if way.department else way.organization.name
    if opened is None:
        refusal = _opened(visitor, form, [way])[1]
        why = refusal.detail if way.account.active and refusal else WITHDRAWN
        return TriedAccount(way.account, place, why)
    visit = Visit(session, form, [opened], opened, visitor.persons)
    tried = tuple(_profile(visit, profile, wanted) for profile in opened.profiles)
    full = tx.open_orders(way.account.id, wanted.email) >= most_open
    return TriedAccount(way.account, place, full=full, profiles=tried)


def _profile(visit: Visit, profile: CertificateProfile, wanted: TrialInput) -> TriedProfile:
    answers = RequestAnswers(
        profile=profile.id,
        key_algorithm=str(profile.key_algorithms[0]),
        term_days=str(profile.term_days[0]),
        dns_names=wanted.dns_names,
        device_name=wanted.device_name,
        serial_number=wanted.serial_number,
    )
    return TriedProfile(profile, *names_for(visit, profile, answers))


def _linted(accounts: Sequence[TriedAccount], linter: Linter, clock: Clock) -> tuple[TriedAccount, ...]:
    left = MOST_LINTED
    done = []
    for account in accounts:
        profiles = []
        for tried in account.profiles:
            if tried.names is not None and left:
                left -= 1
                found = mistakes_with(tried.profile, tried.names, linter.lint, clock.now(), randomness.token_bytes)
                profiles.append(replace(tried, mistakes=tried.mistakes | found, linted=True))
            else:
                profiles.append(tried)
        done.append(replace(account, profiles=tuple(profiles)))
    return tuple(done)
