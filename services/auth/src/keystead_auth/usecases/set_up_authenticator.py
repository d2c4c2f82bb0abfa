"""Set up the app that shows an administrator's codes."""

from __future__ import annotations

from dataclasses import dataclass, field

from keystead_auth.domain.administrator_errors import CodeWrong, HalfSessionOver
from keystead_auth.domain.administrators import RECOVERY_CODES, HalfSignedIn, SignedInAdministrator, Step
from keystead_auth.ports import Guess, Whose
from keystead_auth.usecases.administrator_desk import (
    AdministratorDesk,
    begin_session,
    count_code,
    half_session,
    half_signed_in,
    sign_out_everywhere,
    signed_in,
)
from keystead_auth.usecases.sign_in_administrator import right_password
from keystead_contracts.people import AdministratorMethod


@dataclass(frozen=True)
class NewAuthenticator:
    """What to put into the app."""

    email: str
    secret: str = field(repr=False)


def begin_authenticator(
    desk: AdministratorDesk, *, session_token: str | None, password: str, client: str, browser: str | None
) -> HalfSignedIn:
    """What the step needs, for somebody who is signed in without an authenticator and gives the password again. The
    session goes on. Raises NotSignedIn, CredentialsWrong, TooManyAttempts, HalfSessionOver if there is one already."""
    with desk.transactions.read() as tx:
        _, administrator = signed_in(desk, tx, session_token, desk.clock.now())
    if not administrator.may_sign_in_by(AdministratorMethod.PASSWORD) or administrator.totp_secret is not None:
        raise HalfSessionOver
    right_password(desk, Guess(Whose.ADMINISTRATOR, administrator.email, client, browser), administrator, password)
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        tx.administrators.get(administrator.id, lock=True)
        _, current = signed_in(desk, tx, session_token, now)
        if current.totp_secret is not None or current.password_hash != administrator.password_hash:
            raise HalfSessionOver  # changed while we compared
        return half_session(desk, tx, current, Step.AUTHENTICATOR, now)


def view_authenticator(desk: AdministratorDesk, token: str | None) -> NewAuthenticator:
    """The secret for the app, the same until the step is done. Raises HalfSessionOver."""
    if token is None:
        raise HalfSessionOver
    with desk.transactions.read() as tx:
        half, administrator = half_signed_in(desk, tx, token, Step.AUTHENTICATOR, desk.clock.now())
    if half.totp_secret is None:
        raise HalfSessionOver
    return NewAuthenticator(administrator.email, desk.codes.shown(half.totp_secret, administrator.id))


def set_up_authenticator(
    desk: AdministratorDesk, *, token: str | None, code: str
) -> tuple[SignedInAdministrator, list[str]]:
    """The session and the recovery codes, which are never shown again. The code shows that the app has the secret.

    Raises HalfSessionOver, CodeWrong, TooManyAttempts.
    """
    if token is None:
        raise HalfSessionOver
    with desk.transactions.read() as tx:
        _, administrator = half_signed_in(desk, tx, token, Step.AUTHENTICATOR, desk.clock.now())
    count_code(desk, administrator)
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        tx.administrators.get(administrator.id, lock=True)
        half, administrator = half_signed_in(desk, tx, token, Step.AUTHENTICATOR, now)
        if half.totp_secret is None or administrator.totp_secret is not None:
            raise HalfSessionOver  # set up in another window meanwhile
        step = desk.codes.step(half.totp_secret, administrator.id, code, now)
        if step is None:
            raise CodeWrong
        if not tx.half_sessions.take(half.digest):
            raise HalfSessionOver
        tx.half_sessions.end_all(administrator.id)
        if not desk.rules.second_factor_required:  # else nothing was begun by the password alone
            sign_out_everywhere(tx, administrator.id, now)
        tx.administrators.set_authenticator(administrator.id, half.totp_secret, step)
        recovery = desk.codes.new_recovery_codes(RECOVERY_CODES)
        tx.recovery_codes.replace(
            administrator.id, [desk.codes.recovery_digest(administrator.id, each) for each in recovery]
        )
        who = begin_session(desk, tx, administrator, AdministratorMethod.PASSWORD, second_factor=True, now=now)
    desk.attempts.code_right(administrator.id)
    return who, recovery
