"""Set an administrator's password: by a link that was sent, by themselves, by the operator."""

from __future__ import annotations

from keystead_auth.domain.administrator_errors import InvitationInvalid, InvitationUsed, NotSignedIn, PasswordUnfit
from keystead_auth.domain.administrators import (
    Administrator,
    HalfSignedIn,
    SignedInAdministrator,
    usable_invitation,
)
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.ports import Guess, Transactions, Whose
from keystead_auth.usecases.administrator_desk import (
    AdministratorDesk,
    after_password,
    begin_session,
    end_everywhere,
    signed_in,
)
from keystead_auth.usecases.sign_in_administrator import right_password
from keystead_contracts.people import AdministratorMethod
from keystead_contracts.words import Words
from keystead_kit.clock import Clock
from keystead_kit.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, Unfit, hash_password, unfit
from keystead_kit.secrets import token_digest

_WHY = {
    Unfit.SHORT: Words(
        "Choose at least {least} characters. Several words are easy to remember.", least=LEAST_CHARACTERS
    ),
    Unfit.LONG: Words("Choose at most {most} characters.", most=MOST_CHARACTERS),
    Unfit.COMMON: Words("This is among the first passwords that somebody would try. Choose another one."),
    Unfit.NAME: Words("Your name or address is no password. Choose something that nobody would guess."),
}


def view_invitation(desk: AdministratorDesk, *, token: str, client: str) -> Administrator:
    """Whose password the link sets, using nothing up. Raises InvitationInvalid, TooManyAttempts."""
    wait = desk.attempts.confirm(client)
    if wait is not None:
        raise TooManyAttempts(wait)
    with desk.transactions.read() as tx:
        invitation = tx.invitations.get(token_digest(token))
        administrator = tx.administrators.get(invitation.administrator) if invitation else None
    try:
        return usable_invitation(invitation, administrator, desk.clock.now())
    except InvitationInvalid as refusal:
        if refusal.reason == "unknown":
            desk.attempts.guessed(client)
        raise


def accept_invitation(
    desk: AdministratorDesk, *, token: str, password: str, client: str
) -> SignedInAdministrator | HalfSignedIn:
    """Uses the link up and sets the password; what comes after it. Everything that was begun with the old one ends,
    the authenticator stays. Raises InvitationInvalid, PasswordUnfit, TooManyAttempts."""
    administrator = view_invitation(desk, token=token, client=client)
    hashed = fit_password(administrator, password)
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        current = tx.administrators.get(administrator.id, lock=True)
        if current is None or not tx.invitations.consume(token_digest(token), now):
            raise InvitationUsed
        tx.administrators.set_password(current.id, hashed)
        end_everywhere(tx, current.id, now)
        return after_password(desk, tx, current, now)


def change_password(
    desk: AdministratorDesk, *, session_token: str | None, current: str, new: str, client: str, browser: str | None
) -> SignedInAdministrator:
    """Sets the password of who is signed in and knows the old one. Every session ends but this one, which goes on with
    a new token. Raises NotSignedIn, CredentialsWrong, PasswordUnfit, TooManyAttempts."""
    with desk.transactions.read() as tx:
        session, administrator = signed_in(desk, tx, session_token, desk.clock.now())
    if not administrator.may_sign_in_by(AdministratorMethod.PASSWORD):
        raise NotSignedIn
    guess = Guess(Whose.ADMINISTRATOR, administrator.email, client, browser)
    right_password(desk, guess, administrator, current)
    hashed = fit_password(administrator, new)
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        tx.administrators.get(administrator.id, lock=True)
        signed_in(desk, tx, session_token, now)
        tx.administrators.set_password(administrator.id, hashed)
        end_everywhere(tx, administrator.id, now)
        return begin_session(desk, tx, administrator, session.method, second_factor=session.second_factor, now=now)


def set_password(transactions: Transactions, clock: Clock, administrator: Administrator, password: str) -> None:
    """Sets the password on the operator's word. Everything that was begun with the old one ends.
    Raises PasswordUnfit."""
    hashed = fit_password(administrator, password)
    with transactions.write() as tx:
        tx.administrators.set_password(administrator.id, hashed)
        end_everywhere(tx, administrator.id, clock.now())


def fit_password(administrator: Administrator, password: str) -> str:
    """The hash of a password that may be theirs. Raises PasswordUnfit."""
    local = administrator.email.partition("@")[0]
    why = unfit(password, administrator.email, local, administrator.name)
    if why is not None:
        raise PasswordUnfit(_WHY[why])
    return hash_password(password)
