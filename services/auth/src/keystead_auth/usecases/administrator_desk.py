"""What every use case of administrators' sign-in works with, and the steps that several of them take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from keystead_auth.domain.administrator_errors import CodeWrong, HalfSessionOver, NotSignedIn
from keystead_auth.domain.administrators import (
    HALF_SESSION_LIFETIME,
    Administrator,
    AdministratorSession,
    HalfSession,
    HalfSignedIn,
    Rules,
    SignedInAdministrator,
    Step,
)
from keystead_auth.domain.errors import TooManyAttempts
from keystead_auth.ports import (
    Attempts,
    IdentitySigner,
    OneTimeCodes,
    Randomness,
    Transaction,
    Transactions,
)
from keystead_contracts.identity import AdministratorClaims
from keystead_contracts.people import AdministratorMethod, AdministratorSignInsEnded
from keystead_kit.clock import Clock
from keystead_kit.secrets import new_id, token_digest
from keystead_kit.trace import current_trace_id

CONSOLE_TOKEN_LIFETIME = timedelta(minutes=2)


@dataclass(frozen=True)
class AdministratorDesk:
    """Ports and rules."""

    transactions: Transactions
    attempts: Attempts
    signer: IdentitySigner
    randomness: Randomness
    clock: Clock
    codes: OneTimeCodes
    rules: Rules


def after_password(
    desk: AdministratorDesk, tx: Transaction, administrator: Administrator, now: datetime
) -> SignedInAdministrator | HalfSignedIn:
    """What comes after the right password: the code, an authenticator to set up, or the console. Each has a token that
    nobody knew before."""
    if administrator.totp_secret is not None:
        return half_session(desk, tx, administrator, Step.CODE, now)
    if desk.rules.second_factor_required:
        return half_session(desk, tx, administrator, Step.AUTHENTICATOR, now)
    return begin_session(desk, tx, administrator, AdministratorMethod.PASSWORD, second_factor=False, now=now)


def half_session(
    desk: AdministratorDesk, tx: Transaction, administrator: Administrator, step: Step, now: datetime
) -> HalfSignedIn:
    """What somebody holds who gave the password and has this step before them."""
    token = desk.randomness.new_token()
    secret = desk.codes.new_secret(administrator.id) if step is Step.AUTHENTICATOR else None
    tx.half_sessions.add(HalfSession(token_digest(token), administrator.id, step, now + HALF_SESSION_LIFETIME, secret))
    return HalfSignedIn(step, token)


def begin_session(
    desk: AdministratorDesk,
    tx: Transaction,
    administrator: Administrator,
    method: AdministratorMethod,
    *,
    second_factor: bool,
    now: datetime,
) -> SignedInAdministrator:
    """A new session, with a token that nobody knew before."""
    token = desk.randomness.new_token()
    session = AdministratorSession(
        digest=token_digest(token),
        administrator=administrator.id,
        method=method,
        second_factor=second_factor,
        created_at=now,
        seen_at=now,
        expires_at=now + desk.rules.session_lifetime,
        id=desk.randomness.new_id(),
    )
    tx.administrator_sessions.add(session)
    return SignedInAdministrator(administrator, console_token(desk, administrator, session, now), token)


def console_token(
    desk: AdministratorDesk, administrator: Administrator, session: AdministratorSession, now: datetime
) -> str:
    """A token (`AdministratorClaims`) for the console, good once and for `CONSOLE_TOKEN_LIFETIME`."""
    claims = AdministratorClaims(
        sub=administrator.id,
        email=administrator.email,
        jti=desk.randomness.new_id(),
        iat=int(now.timestamp()),
        exp=int((now + CONSOLE_TOKEN_LIFETIME).timestamp()),
        method=session.method,
        second_factor=session.second_factor,
        session=session.id,
    )
    return desk.signer.sign(claims.model_dump(mode="json"))


def half_signed_in(
    desk: AdministratorDesk, tx: Transaction, token: str, step: Step, now: datetime
) -> tuple[HalfSession, Administrator]:
    """The half session that is at this step. Raises HalfSessionOver."""
    half = tx.half_sessions.get(token_digest(token))
    administrator = tx.administrators.get(half.administrator) if half else None
    if half is None or administrator is None or half.step is not step or now >= half.expires_at:
        raise HalfSessionOver
    if not administrator.may_sign_in_by(AdministratorMethod.PASSWORD):
        raise HalfSessionOver
    return half, administrator


def signed_in(
    desk: AdministratorDesk, tx: Transaction, session_token: str | None, now: datetime
) -> tuple[AdministratorSession, Administrator]:
    """The session and whose it is. Raises NotSignedIn."""
    session = tx.administrator_sessions.get(token_digest(session_token)) if session_token else None
    administrator = tx.administrators.get(session.administrator) if session else None
    if session is None or administrator is None or not session.recognizes(administrator, desk.rules, now):
        raise NotSignedIn
    return session, administrator


def count_code(desk: AdministratorDesk, administrator: Administrator) -> None:
    """Counts a try at a code. Raises TooManyAttempts."""
    wait = desk.attempts.code(administrator.id)
    if wait is not None:
        raise TooManyAttempts(wait)


def use_code(desk: AdministratorDesk, tx: Transaction, administrator: Administrator, code: str, now: datetime) -> None:
    """Uses up the code that the administrator's app shows. Raises CodeWrong, for a code that was used too."""
    secret = administrator.totp_secret
    step = desk.codes.step(secret, administrator.id, code, now) if secret else None
    if step is None or not tx.administrators.accept_step(administrator.id, step):
        raise CodeWrong


def end_everywhere(tx: Transaction, administrator: str, now: datetime) -> None:
    """Ends whatever the administrator began: sessions, half sessions, links that set a password, open consoles."""
    tx.invitations.end(administrator)
    sign_out_everywhere(tx, administrator, now)


def sign_out_everywhere(tx: Transaction, administrator: str, now: datetime) -> None:
    """Ends the administrator's sessions, here and at the console."""
    tx.administrator_sessions.end_all(administrator)
    tx.half_sessions.end_all(administrator)
    tell_ended(tx, administrator, now)


def tell_ended(tx: Transaction, administrator: str, now: datetime, session: str = "") -> None:
    """Ends what is open of the administrator's at the console; with `session` what that one opened."""
    tx.facts.record(
        AdministratorSignInsEnded(administrator_id=administrator, ended_at=now, session=session),
        destination="enroll",
        message_id=new_id(),
        trace_id=current_trace_id(),
        now=now,
    )
