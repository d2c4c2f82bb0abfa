"""Make the link by which an administrator chooses a password."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from keystead_auth.domain.administrator_errors import AdministratorUnknown
from keystead_auth.domain.administrators import (
    INVITATION_LIFETIME,
    RESET_LIFETIME,
    Administrator,
    Invitation,
    Purpose,
)
from keystead_auth.ports import Facts, Invitations, Randomness, Transactions
from keystead_auth.usecases.administrator_desk import sign_out_everywhere
from keystead_contracts.people import AdministratorInvited, AdministratorMethod
from keystead_kit.clock import Clock
from keystead_kit.secrets import token_digest

NOTIFY = "notify"
_LIFETIMES = {Purpose.INVITATION: INVITATION_LIFETIME, Purpose.RESET: RESET_LIFETIME}
LinkFor = Callable[[str], str]
"""The address to send, from a token."""


def new_invitation(
    invitations: Invitations, randomness: Randomness, administrator: Administrator, purpose: Purpose, now: datetime
) -> tuple[str, datetime]:
    """A token whose SHA-256 is stored, and until when it works."""
    token, expires_at = randomness.new_token(), now + _LIFETIMES[purpose]
    invitations.add(Invitation(token_digest(token), administrator.id, purpose, expires_at))
    return token, expires_at


def send_invitation(
    invitations: Invitations,
    facts: Facts,
    randomness: Randomness,
    administrator: Administrator,
    purpose: Purpose,
    *,
    link_for: LinkFor,
    now: datetime,
    trace_id: str,
    requested_at: datetime | None = None,
    invited_by: str = "",
    requested_from: str = "",
    language: str = "",
) -> None:
    """Makes a link and tells notify. The token leaves in the fact alone, as a sign-in link's does."""
    token, expires_at = new_invitation(invitations, randomness, administrator, purpose, requested_at or now)
    facts.record(
        AdministratorInvited(
            email=administrator.email,
            name=administrator.name,
            link=link_for(token),
            purpose=purpose.value,
            invited_by=invited_by,
            requested_at=requested_at or now,
            expires_at=expires_at,
            requested_from=requested_from,
            language=language,
        ),
        destination=NOTIFY,
        message_id=randomness.new_id(),
        trace_id=trace_id,
        now=now,
    )


def find_administrator(transactions: Transactions, email: str) -> Administrator:
    """The active administrator with this address who signs in by password. Raises AdministratorUnknown."""
    with transactions.read() as tx:
        administrator = tx.administrators.by_email(email.strip().lower())
    if administrator is None or not administrator.may_sign_in_by(AdministratorMethod.PASSWORD):
        raise AdministratorUnknown(
            f"No active administrator who signs in by password has the address {email} here.",
            "Make one first: keystead bootstrap administrator. The worker takes it in within seconds.",
        )
    return administrator


def invite_by_hand(
    transactions: Transactions,
    randomness: Randomness,
    clock: Clock,
    *,
    email: str,
    new_authenticator: bool,
    link_for: LinkFor,
) -> tuple[str, datetime]:
    """A link for the operator to pass on, and until when it works. With `new_authenticator` the old one and the
    recovery codes are void, and whoever is signed in is signed out. Raises AdministratorUnknown."""
    administrator = find_administrator(transactions, email)
    with transactions.write() as tx:
        if new_authenticator:
            tx.administrators.set_authenticator(administrator.id, None, None)
            tx.recovery_codes.replace(administrator.id, [])
            sign_out_everywhere(tx, administrator.id, clock.now())
        token, until = new_invitation(tx.invitations, randomness, administrator, Purpose.INVITATION, clock.now())
    return link_for(token), until
