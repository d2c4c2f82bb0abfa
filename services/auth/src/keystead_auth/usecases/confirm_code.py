"""Sign an administrator in who gave the password, by the code."""

from __future__ import annotations

from keystead_auth.domain.administrator_errors import CodeWrong, HalfSessionOver
from keystead_auth.domain.administrators import SignedInAdministrator, Step
from keystead_auth.usecases.administrator_desk import (
    AdministratorDesk,
    begin_session,
    count_code,
    half_signed_in,
    use_code,
)
from keystead_contracts.people import AdministratorMethod


def view_half_session(desk: AdministratorDesk, token: str | None, step: Step) -> None:
    """Raises HalfSessionOver unless this browser is at this step."""
    if token is None:
        raise HalfSessionOver
    with desk.transactions.read() as tx:
        half_signed_in(desk, tx, token, step, desk.clock.now())


def confirm_code(desk: AdministratorDesk, *, token: str | None, code: str) -> SignedInAdministrator:
    """The session, for a code of the app or a recovery code; both work once.

    Raises HalfSessionOver, CodeWrong, TooManyAttempts.
    """
    if token is None:
        raise HalfSessionOver
    with desk.transactions.read() as tx:
        _, administrator = half_signed_in(desk, tx, token, Step.CODE, desk.clock.now())
    count_code(desk, administrator)
    digest = desk.codes.recovery_digest(administrator.id, code)
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        half, administrator = half_signed_in(desk, tx, token, Step.CODE, now)
        try:
            use_code(desk, tx, administrator, code, now)
        except CodeWrong:
            if not tx.recovery_codes.use(administrator.id, digest, now):
                raise
        if not tx.half_sessions.take(half.digest):
            raise HalfSessionOver
        who = begin_session(desk, tx, administrator, AdministratorMethod.PASSWORD, second_factor=True, now=now)
    desk.attempts.code_right(administrator.id)
    return who
