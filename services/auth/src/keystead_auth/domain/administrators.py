"""Administrators as auth knows them: who they are is published by enroll, what they sign in with is kept here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from keystead_auth.domain.administrator_errors import InvitationExpired, InvitationUnknown, InvitationUsed
from keystead_contracts.people import AdministratorMethod

HALF_SESSION_LIFETIME = timedelta(minutes=10)
"""How long somebody whose password was right has for the code."""
INVITATION_LIFETIME, RESET_LIFETIME = timedelta(hours=72), timedelta(hours=1)
RECOVERY_CODES = 10


@dataclass(frozen=True)
class Rules:
    """How administrators sign in here."""

    second_factor_required: bool = True
    session_lifetime: timedelta = timedelta(hours=12)
    session_idle: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class Administrator:
    """An administrator. `totp_secret` is sealed; `totp_step` the last time step whose code was accepted."""

    id: str
    version: int
    email: str
    name: str
    methods: tuple[AdministratorMethod, ...]
    active: bool = True
    invitation: int = 0
    password_hash: str | None = field(default=None, repr=False)
    totp_secret: str | None = field(default=None, repr=False)
    totp_step: int | None = None

    def may_sign_in_by(self, method: AdministratorMethod) -> bool:
        """Whether this is a way for them."""
        return self.active and method in self.methods


class Step(StrEnum):
    """What is still to do after the password."""

    CODE = "code"
    AUTHENTICATOR = "authenticator"


@dataclass(frozen=True)
class HalfSession:
    """Somebody gave the password and no code yet: good for that one step. `totp_secret` (sealed) is the one that they
    are being shown. `digest` is the SHA-256 of the cookie's token."""

    digest: str
    administrator: str
    step: Step
    expires_at: datetime
    totp_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AdministratorSession:
    """An administrator who is signed in. `digest` is the SHA-256 of the cookie's token; `id` opens nothing. `address`
    and `user_agent` say where they signed in."""

    digest: str
    administrator: str
    method: AdministratorMethod
    second_factor: bool
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    id: str = ""
    address: str = ""
    user_agent: str = ""

    def recognizes(self, administrator: Administrator | None, rules: Rules, now: datetime) -> bool:
        """Whether it still stands for `administrator` under the rules of today."""
        if administrator is None or now >= self.expires_at or now - self.seen_at >= rules.session_idle:
            return False
        shown_enough = self.method is AdministratorMethod.IDP or self.second_factor or not rules.second_factor_required
        return administrator.may_sign_in_by(self.method) and shown_enough


class Purpose(StrEnum):
    """Why somebody is to choose a password."""

    INVITATION = "invitation"
    RESET = "reset"


@dataclass(frozen=True)
class Invitation:
    """A link by which an administrator chooses a password. `digest` is the SHA-256 of its token."""

    digest: str
    administrator: str
    purpose: Purpose
    expires_at: datetime
    used_at: datetime | None = None


def usable_invitation(
    invitation: Invitation | None, administrator: Administrator | None, now: datetime
) -> Administrator:
    """Whose password the link sets. Raises InvitationUnknown, InvitationUsed or InvitationExpired."""
    if invitation is None or administrator is None:
        raise InvitationUnknown
    if not administrator.may_sign_in_by(AdministratorMethod.PASSWORD):
        raise InvitationUnknown
    if invitation.used_at is not None:
        raise InvitationUsed
    if now >= invitation.expires_at:
        raise InvitationExpired
    return administrator


@dataclass(frozen=True)
class ResetRequest:
    """Somebody typed an address because they forgot its password. Nothing is decided yet."""

    id: str
    email: str
    requested_at: datetime
    requested_from: str
    trace_id: str
    language: str = ""


@dataclass(frozen=True)
class SignedInAdministrator:
    """What a browser gets: the console's token, and a token for its session cookie (None: it keeps its own)."""

    administrator: Administrator
    console_token: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class HalfSignedIn:
    """What a browser gets after the password, and where it goes on."""

    step: Step
    token: str = field(repr=False)
