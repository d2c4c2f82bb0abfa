"""What every step of a visit begins with: whose visit it is, and which accounts that person may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystead_contracts.identity import SignInMethod
from keystead_contracts.words import Words
from keystead_enroll.domain.eligibility import HOME, OpenWay, Visitor, Way, open_ways
from keystead_enroll.domain.enrollment import (
    Authorization,
    CertificateProfile,
    Department,
    EnrollmentForm,
    Organization,
    WebFormAccount,
)
from keystead_enroll.domain.persons import Person
from keystead_enroll.domain.refusals import FormUnknown, SessionExpired
from keystead_enroll.domain.visits import PortalSession
from keystead_enroll.ports import Clock, Transaction
from keystead_kit.secrets import token_digest


@dataclass(frozen=True)
class Visit:
    """A signed-in person at a form. `chosen` is the way that they chose, or the only one that is open to them."""

    session: PortalSession
    form: EnrollmentForm
    ways: Sequence[OpenWay]
    chosen: OpenWay | None
    persons: Sequence[Person] = ()
    """Who they are known to be."""

    @property
    def accounts(self) -> Sequence[WebFormAccount]:
        """The accounts that they may use."""
        return [way.account for way in self.ways]

    @property
    def account(self) -> WebFormAccount | None:
        """The chosen account."""
        return self.chosen.account if self.chosen else None

    @property
    def organization(self) -> Organization | None:
        """The chosen account's."""
        return self.chosen.organization if self.chosen else None

    @property
    def department(self) -> Department | None:
        """The chosen account's, if it has one."""
        return self.chosen.department if self.chosen else None

    @property
    def profiles(self) -> Sequence[CertificateProfile]:
        """Those of the chosen account that they may use."""
        return self.chosen.profiles if self.chosen else ()

    @property
    def person(self) -> Person | None:
        """Who they are known to be in the chosen account's organization."""
        here = self.organization.id if self.organization else None
        return next((person for person in self.persons if person.organization_id == here), None)

    @property
    def dns_domains(self) -> Sequence[str]:
        """Where names of servers and devices may lie: in the department's domains if it has any, else in the
        organization's."""
        narrower = self.department.dns_domains if self.department else []
        return narrower or (self.organization.dns_domains if self.organization else [])

    @property
    def locked(self) -> bool:
        """Whether the account's access code is still to be given."""
        account = self.account
        return (
            account is not None
            and account.authorization is Authorization.ACCESS_CODE
            and self.session.unlocked_account_id != account.id
        )


def find_visit(tx: Transaction, clock: Clock, uri_extension: str, token: str | None, *, lock: bool = False) -> Visit:
    """The visit that the session cookie names; with `lock` it does one thing at a time.

    Raises FormUnknown, SessionExpired, and NoAccount if the person may use none of the form's accounts.
    """
    form = tx.form_by_uri(uri_extension)
    if form is None or not form.active:
        raise FormUnknown(Words("There is no enrollment form at this address."))
    session = tx.session_of(token_digest(token), lock=lock) if token else None
    if session is None or session.form_id != form.id or session.expires_at <= clock.now():
        raise SessionExpired(Words("You are not signed in, or were away for a long time."))
    if session.method not in form.methods:
        raise SessionExpired(Words("This form does not let people sign in that way any more."))
    visitor = visitor_of(tx, session)
    ways = open_ways(visitor, form.certificate_type, [way_of(tx, account) for account in tx.accounts(form.id)])
    chosen = next((way for way in ways if way.account.id == session.account_id), None)
    if chosen is None and len(ways) == 1:
        chosen = ways[0]
    return Visit(session, form, ways, chosen, visitor.persons)


def visitor_of(tx: Transaction, session: PortalSession) -> Visitor:
    """Who comes with the session."""
    method = SignInMethod(session.method)
    if method is SignInMethod.SECRET_ID:
        found = [tx.get(Person, person_id) for person_id in session.persons]
        persons = [person for person in found if person is not None and person.email.lower() == session.email]
    else:
        persons = list(tx.persons_by_email(session.email))
    return Visitor(
        email=session.email,
        method=method,
        persons=persons,
        attributes=session.attributes,
        attributes_cut=session.attributes_cut,
        homes=tx.homes(session.attributes.get(HOME, ())),
        provider_organizations=session.identity_provider_organizations,
    )


def way_of(tx: Transaction, account: WebFormAccount) -> Way:
    """The way through the form that the account is."""
    profiles = (tx.profile(profile_id) for profile_id in account.profile_ids)
    return Way(
        account,
        tx.organization(account.organization_id),
        tx.department(account.department_id) if account.department_id else None,
        [profile for profile in profiles if profile is not None],
    )
