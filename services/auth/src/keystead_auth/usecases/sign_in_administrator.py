"""Sign an administrator in by password, as far as that goes."""

from __future__ import annotations

from keystead_auth.domain.administrator_errors import CredentialsWrong
from keystead_auth.domain.administrators import Administrator, HalfSignedIn, SignedInAdministrator
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.ports import Guess
from keystead_auth.usecases.administrator_desk import AdministratorDesk, after_password
from keystead_contracts.people import AdministratorMethod
from keystead_kit.passwords import MOST_CHARACTERS, hash_password, needs_rehash, verify_password


def sign_in_administrator(desk: AdministratorDesk, guess: Guess, password: str) -> SignedInAdministrator | HalfSignedIn:
    """What comes after the password. Does the same work for an address that nobody has.

    Raises CredentialsWrong, TooManyAttempts.
    """
    with desk.transactions.read() as tx:
        found = tx.administrators.by_email(guess.email)
    known = found if found and found.may_sign_in_by(AdministratorMethod.PASSWORD) else None
    administrator = right_password(desk, guess, known, password)
    renewed = hash_password(password) if needs_rehash(administrator.password_hash or "") else None
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        current = tx.administrators.get(administrator.id, lock=True)
        if current is None or current.password_hash != administrator.password_hash or not current.active:
            raise CredentialsWrong  # changed while we compared
        if renewed:
            tx.administrators.set_password(current.id, renewed)
        return after_password(desk, tx, current, now)


def right_password(desk: AdministratorDesk, guess: Guess, known: Administrator | None, password: str) -> Administrator:
    """The administrator, if this is their password; counts the try. Raises CredentialsWrong, TooManyAttempts."""
    wait = desk.attempts.secret(guess)
    if wait is not None:
        raise TooManyAttempts(wait)
    right = verify_password(known.password_hash if known else None, password[: MOST_CHARACTERS * 4])
    if known is None or not right:
        desk.attempts.secret_wrong(guess)
        raise CredentialsWrong
    desk.attempts.secret_right(guess)
    return known
