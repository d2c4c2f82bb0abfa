"""What every step of a visit begins with: whose visit it is, and which accounts that person may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keystead_contracts.words import Words
from keystead_enroll.domain.enrollment import Authorization, EnrollmentForm, Organization, WebFormAccount
from keystead_enroll.domain.refusals import FormUnknown, NoAccount, SessionExpired
from keystead_enroll.domain.visits import PortalSession
from keystead_enroll.ports import Clock, Transaction
from keystead_kit.secrets import token_digest


@dataclass(frozen=True)
class Visit:
    """A signed-in person at a form. `account` is the one they chose, or the only one they may use."""

    session: PortalSession
    form: EnrollmentForm
    accounts: Sequence[WebFormAccount]
    account: WebFormAccount | None
    organization: Organization | None

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
    accounts = [
        a for a in tx.accounts(form.id) if a.active and tx.organization(a.organization_id).owns_email(session.email)
    ]
    if not accounts:
        raise NoAccount(Words("{email} may not use this form.", email=session.email))
    account = next((a for a in accounts if a.id == session.account_id), None)
    if account is None and len(accounts) == 1:
        account = accounts[0]
    organization = tx.organization(account.organization_id) if account else None
    return Visit(session, form, accounts, account, organization)
