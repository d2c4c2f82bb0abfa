"""Give an administrator new recovery codes."""

from __future__ import annotations

from keystead_auth.domain.administrators import RECOVERY_CODES
from keystead_auth.usecases.administrator_desk import AdministratorDesk, count_code, signed_in, use_code


def renew_recovery_codes(desk: AdministratorDesk, *, session_token: str | None, code: str) -> list[str]:
    """Fresh recovery codes; the old ones are void. A code of the app shows that it is the administrator who asks.

    Raises NotSignedIn, CodeWrong, TooManyAttempts.
    """
    with desk.transactions.read() as tx:
        _, administrator = signed_in(desk, tx, session_token, desk.clock.now())
    count_code(desk, administrator)
    with desk.transactions.write() as tx:
        now = desk.clock.now()
        use_code(desk, tx, administrator, code, now)
        recovery = desk.codes.new_recovery_codes(RECOVERY_CODES)
        tx.recovery_codes.replace(
            administrator.id, [desk.codes.recovery_digest(administrator.id, each) for each in recovery]
        )
    desk.attempts.code_right(administrator.id)
    return recovery
